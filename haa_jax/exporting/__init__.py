"""A trained network as a folder that JAX and NumPy alone can run.

program.py traces the network, description.py and card.py describe it, and folder.py writes the folder. load.py and
clips.py are copied into it, so they import nothing of haa_jax but sampling.py, which is copied too.
"""
