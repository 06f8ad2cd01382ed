"""Video action recognition on HAA500 in JAX and Flax."""
