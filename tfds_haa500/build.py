"""Builds the dataset: `python -m tfds_haa500.build --manual_dir=DIR`.

    --config=demo                                     the generated dataset, which needs no files
    --config=pose --manual_dir=DIR                    poses too (also: flow, full)
    --manual_dir=DIR --classes=pushup,CPR --name=two  a subset; load it as `haa500/two`
    --manual_dir=DIR --area=musical_instruments --streams=flow,boxes --name=instruments
    --manual_dir=DIR --streams=flow --flow_method=tvl1 --name=slow_flow
    --config=relaxed --manual_dir=DIR                 cut longer, out of the videos in DIR/youtube
    --manual_dir=DIR --beam_pipeline_options=runner=DirectRunner,direct_num_workers=2
                                                      by Apache Beam, with any of the above (`pip install .[beam]`)

A subset keeps the class table that it is taken from: its labels are ids among all 500 classes, and a network trained on
it has 500 outputs. For a network with an output for each of two classes, name them in --classes and give a
--class_table with those two rows.

A dataset has one build at a time: a second waits for the first. One that is stopped by Ctrl-C says so in a line, exits
with code 130 and leaves nothing; after `kill -9` its worker processes end too, and the next build of the dataset
deletes what it had written.

(TFDS's own `tfds build haa500/CONFIG --imports=tfds_haa500` builds the configs by name, and no subset. It does not
start without Apache Beam and mlcroissant.)
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded

import tensorflow_datasets as tfds
from absl import app, flags, logging

from tfds_haa500 import taxonomy
from tfds_haa500.haa500_dataset_builder import FLOW_METHODS, Builder, Haa500Config
from tfds_haa500.runtime.disk import full_disk_said
from tfds_haa500.runtime.interrupt import interrupt_said
from tfds_haa500.sources import archive

_CONFIG = flags.DEFINE_enum("config", "rgb", list(Builder.builder_configs), "Builder config.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "Folder that holds the release, unpacked or as its zip file.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where datasets go (default: TFDS's, ~/tensorflow_datasets).")
_CLASSES = flags.DEFINE_list("classes", [], "Only these classes, by name; needs --name.")
_AREA = flags.DEFINE_string("area", "", "Only the classes of this area of the class table; needs --name.")
_NAME = flags.DEFINE_string("name", None, "Name of the builder config that the other options make.")
_CLASS_TABLE = flags.DEFINE_string(
    "class_table", None, "CSV class table to use instead of the built-in one; needs --name."
)
_STREAMS = flags.DEFINE_list(
    "streams", None, "Any of flow, pose, boxes, objects (default: the config's); needs --name."
)
_FLOW_METHOD = flags.DEFINE_enum(
    "flow_method", None, FLOW_METHODS, "How flow is computed (default: dis), or images: your own; needs --name."
)
_CONTEXT_SECONDS = flags.DEFINE_float(
    "context_seconds", None, "Cut clips longer by so many seconds on both sides, out of youtube/; needs --name."
)
_CONTEXT_FACTOR = flags.DEFINE_float(
    "context_factor", None, "Cut clips so many times as long, out of youtube/; needs --name."
)
_FILE_FORMAT = flags.DEFINE_enum("file_format", "tfrecord", ["tfrecord", "array_record"], "How clips are stored.")
_BEAM = flags.DEFINE_string(
    "beam_pipeline_options", None, "Build by Apache Beam, with these options of it, comma-separated (as `tfds build`)."
)
_WORKERS = flags.DEFINE_integer("workers", None, "Processes that decode (default: one a core).", lower_bound=1)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    logging.set_verbosity(logging.WARNING)
    config = _builder_config()
    if not config.generated and not _MANUAL_DIR.value:
        raise app.UsageError(f"--manual_dir is missing.\n{Builder.MANUAL_DOWNLOAD_INSTRUCTIONS}")
    beam_options = _beam_options()
    if _WORKERS.value:
        os.environ["TFDS_HAA500_WORKERS"] = str(_WORKERS.value)
    tfds.disable_progress_bar()  # ours knows the total
    try:
        builder = Builder(config=config, data_dir=_DATA_DIR.value)
        if builder.info.splits:
            print("Already built; delete its folder to build it again.")
        with interrupt_said(), full_disk_said():
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(manual_dir=_MANUAL_DIR.value, beam_options=beam_options),
                file_format=_FILE_FORMAT.value,
            )
    except (archive.ArchiveError, taxonomy.TaxonomyError) as error:
        sys.exit(f"error: {error}")
    print(_summary(builder))


def _beam_options():
    """Beam's own object with the options of the flag; None without it."""
    if not _BEAM.value:
        return None
    try:
        from apache_beam.options import pipeline_options
    except ImportError as error:
        raise app.UsageError("--beam_pipeline_options needs Apache Beam: pip install .[beam]") from error
    return pipeline_options.PipelineOptions(flags=[f"--{option}" for option in _BEAM.value.split(",")])


def _builder_config() -> Haa500Config:
    """The config that the flags ask for."""
    chosen = Builder.builder_configs[_CONFIG.value]
    context = _CONTEXT_SECONDS.value, _CONTEXT_FACTOR.value
    own = _CLASSES.value or _AREA.value or _CLASS_TABLE.value or _STREAMS.value is not None or _FLOW_METHOD.value
    own = own or context != (None, None)
    options = "--classes, --area, --class_table, --streams, --flow_method and --context_..."
    if not own:
        if _NAME.value:
            raise app.UsageError(f"--name goes with one of {options}")
        return chosen
    if chosen.generated:
        raise app.UsageError(f"{options} do not go with --config=demo")
    if not _NAME.value or _NAME.value in Builder.builder_configs:
        raise app.UsageError(f"{options} need a --name of their own, not {_NAME.value!r}")
    streams = chosen.streams if _STREAMS.value is None else tuple(_STREAMS.value)
    if _FLOW_METHOD.value and "flow" not in streams:
        raise app.UsageError("--flow_method goes with --streams=flow or a --config that has flow")
    if context == (None, None):
        context = chosen.context_seconds, chosen.context_factor
    classes = _classes()
    try:
        return Haa500Config(
            name=_NAME.value,
            description=f"{len(classes) or 'All'} classes, {', '.join(('RGB frames', *streams))}.",
            classes=classes,
            class_table=_CLASS_TABLE.value or "",
            streams=streams,
            flow_method=_FLOW_METHOD.value or "dis",
            context_seconds=context[0],
            context_factor=context[1],
        )
    except ValueError as error:
        raise app.UsageError(f"--{error}") from error


def _classes() -> tuple[str, ...]:
    """The classes that --classes or --area name; () for all."""
    if not _AREA.value:
        return tuple(_CLASSES.value)
    if _CLASSES.value:
        raise app.UsageError("--classes and --area do not go together")
    try:
        table = taxonomy.load(_CLASS_TABLE.value or taxonomy.HAA500_CSV)
    except taxonomy.TaxonomyError as error:
        sys.exit(f"error: {error}")
    if _AREA.value not in table.area_names:
        raise app.UsageError(f"--area={_AREA.value!r} is none of {', '.join(table.area_names)}")
    return tuple(name for name, area in zip(table.names, table.areas, strict=True) if area == _AREA.value)


def _summary(builder) -> str:
    splits = {name: info.num_examples for name, info in builder.info.splits.items()}
    clips = sum(splits.values())
    size = builder.info.dataset_size
    counts = ", ".join(f"{count} {name}" for name, count in splits.items())
    return (
        f"{builder.info.full_name}: {clips} clips ({counts}), {size / 1e6:.1f} MB, {size / clips / 1e3:.0f} kB a clip\n"
        f"in {builder.data_dir}"
    )


if __name__ == "__main__":
    app.run(main)
