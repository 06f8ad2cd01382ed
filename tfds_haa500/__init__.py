"""HAA500 for TensorFlow Datasets: `import tfds_haa500`, then `tfds.load("haa500")`."""

from tfds_haa500.haa500_dataset_builder import Builder, Haa500Config

__all__ = ["Builder", "Haa500Config"]
