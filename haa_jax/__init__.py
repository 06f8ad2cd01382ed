"""Video action recognition on HAA500 in JAX and Flax."""

import importlib.util

_MISSING = [
    name for name in ("jax", "flax", "optax", "orbax", "ml_collections", "clu") if not importlib.util.find_spec(name)
]
if _MISSING:
    raise ImportError(f"haa_jax needs {', '.join(_MISSING)}: install its extra, pip install 'haa_jax[train]'")
