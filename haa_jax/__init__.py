"""Video action recognition on HAA500 in JAX and Flax."""

import importlib.util
import os

# As in tfds_haa500: gcsfs reads and writes gs://, keeps no lists of objects, which tensorstore adds to, and
# checks the MD5 of what arrived. Set before etils or fsspec look.
os.environ.setdefault("EPATH_USE_TF", "false")
os.environ.setdefault("FSSPEC_GCS", '{"use_listings_cache": false, "consistency": "md5"}')

_MISSING = [
    name for name in ("jax", "flax", "optax", "orbax", "ml_collections", "clu") if not importlib.util.find_spec(name)
]
if _MISSING:
    raise ImportError(f"haa_jax needs {', '.join(_MISSING)}: install its extra, pip install 'haa_jax[train]'")
