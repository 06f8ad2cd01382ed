"""HAA500 for TensorFlow Datasets: `import tfds_haa500`, then `tfds.load("haa500")`.

Any folder of videos too, once packaged by `python -m tfds_haa500.build_folder`: `tfds.load("clip_folder/NAME")`.
"""

from tfds_haa500 import clip_folder_dataset_builder
from tfds_haa500.clip_folder_dataset_builder import ClipFolderConfig
from tfds_haa500.haa500_dataset_builder import Builder, Haa500Config

ClipFolderBuilder = clip_folder_dataset_builder.Builder

__all__ = ["Builder", "ClipFolderBuilder", "ClipFolderConfig", "Haa500Config"]
