"""Trained networks on video files: what `python -m haa_jax.predict` is made of."""
