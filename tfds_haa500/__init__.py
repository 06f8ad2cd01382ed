"""HAA500 for TensorFlow Datasets: `import tfds_haa500`, then `tfds.load("haa500")`.

Any folder of videos too, once packaged by `python -m tfds_haa500.build_folder`: `tfds.load("clip_folder/NAME")`.
"""

import os

# As in haa_jax: gcsfs reads and writes gs://, keeps no lists of objects, which tensorstore adds to, and
# checks the MD5 of what arrived. Set before etils or fsspec look.
os.environ.setdefault("EPATH_USE_TF", "false")
os.environ.setdefault("FSSPEC_GCS", '{"use_listings_cache": false, "consistency": "md5"}')

from tfds_haa500 import clip_folder_dataset_builder
from tfds_haa500.clip_folder_dataset_builder import ClipFolderConfig
from tfds_haa500.haa500_dataset_builder import Builder, Haa500Config

ClipFolderBuilder = clip_folder_dataset_builder.Builder

__all__ = ["Builder", "ClipFolderBuilder", "ClipFolderConfig", "Haa500Config"]
