"""What the build commands share: flags, how a build ends, and its summary."""

import os
import sys
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TFDS loads TensorFlow
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # a package that is not installed: no Keras is loaded, 3 s less

import tensorflow_datasets as tfds
from absl import flags

from tfds_haa500 import program
from tfds_haa500.packaging import ClipBuilder
from tfds_haa500.problems import BuildError
from tfds_haa500.runtime.disk import exit_if_full
from tfds_haa500.runtime.interrupt import exit_on_interrupt
from tfds_haa500.taxonomy import TaxonomyError

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where datasets go (default: TFDS's, ~/tensorflow_datasets).")
_WORKERS = flags.DEFINE_integer("workers", None, "Processes that decode (default: one a core).", lower_bound=1)


def run(main: Callable[[], None]) -> None:
    """Runs a build command, which takes these flags, its own, and no other arguments."""

    def with_workers() -> None:
        if _WORKERS.value:
            os.environ["TFDS_HAA500_WORKERS"] = str(_WORKERS.value)
        main()

    program.run_without_arguments(with_workers)


def data_dir() -> str | None:
    """Where datasets go; None for TFDS's folder."""
    return _DATA_DIR.value


def build(builder_class: type[ClipBuilder], config, manual_dir: str | None = None, beam_options=None, **options):
    """Builds a dataset into --data_dir and returns its builder; an error that the user can fix ends the program.

    Args:
      builder_class, config: what to build.
      manual_dir: where the user's files are, for builders that need them.
      beam_options: Apache Beam's, to build by it.
      **options: other options of TFDS's `download_and_prepare`.
    """
    tfds.disable_progress_bar()  # this package has its own, which knows the total
    try:
        builder = builder_class(config=config, data_dir=data_dir())
        if builder.info.splits:
            print("Already built; delete its folder to build it again.")
        download = tfds.download.DownloadConfig(manual_dir=manual_dir, beam_options=beam_options)
        with exit_on_interrupt(), exit_if_full():
            builder.download_and_prepare(download_config=download, **options)
    except (BuildError, TaxonomyError) as error:
        sys.exit(f"error: {error}")
    return builder


def summary(builder: ClipBuilder) -> str:
    """How many clips there are, how large they are, and where."""
    splits = {name: info.num_examples for name, info in builder.info.splits.items()}
    clips, size = sum(splits.values()), builder.info.dataset_size
    counts = ", ".join(f"{count} {name}" for name, count in splits.items())
    return (
        f"{builder.info.full_name}: {clips} clips ({counts}), {size / 1e6:.1f} MB, {size / clips / 1e3:.0f} kB a clip\n"
        f"in {builder.data_path}"
    )
