"""Builds the dataset: `python -m tfds_haa500.build --manual_dir=DIR`.

    --config=demo                                     the generated dataset, which needs no files
    --config=pose --manual_dir=DIR                    poses too (also: flow, full)
    --manual_dir=DIR --classes=pushup,CPR --name=two  a subset; load it as `haa500/two`
    --manual_dir=DIR --area=musical_instruments --streams=flow,boxes --name=instruments
    --manual_dir=DIR --streams=flow --flow_method=tvl1 --name=slow_flow
    --config=relaxed --manual_dir=DIR                 cut longer, from the videos in DIR/youtube
    --manual_dir=DIR --beam_pipeline_options=runner=DirectRunner,direct_num_workers=2
                                                      by Apache Beam, with any of the above (`pip install .[beam]`)

A subset keeps the whole class table: its labels are ids among all 500 classes, and a network trained on it has 500
outputs. For a network with two outputs, give two classes in --classes and a --class_table with only these two rows.

A dataset has one build at a time: a second waits for the first. Ctrl-C ends a build with one line of text and exit code
130, and nothing of the dataset is left on disk; after `kill -9` its worker processes end too, and the next build of the
dataset deletes what the first had written.

(TFDS's own `tfds build haa500/CONFIG --imports=tfds_haa500` builds the configs by name, and no subset. It does not
start without Apache Beam and mlcroissant.)
"""

import sys

from absl import app, flags

from tfds_haa500 import command_line, taxonomy
from tfds_haa500.haa500_dataset_builder import FLOW_METHODS, Builder, Haa500Config
from tfds_haa500.streams import STREAMS

flags.adopt_module_key_flags(command_line)
_CONFIG = flags.DEFINE_enum("config", "rgb", list(Builder.builder_configs), "Builder config.")
_MANUAL_DIR = flags.DEFINE_string("manual_dir", None, "Folder that holds the release, unpacked or as its zip file.")
_CLASSES = flags.DEFINE_list("classes", [], "Only these classes, by name; needs --name.")
_AREA = flags.DEFINE_string("area", "", "Only the classes of this area of the class table; needs --name.")
_NAME = flags.DEFINE_string("name", None, "Name of the builder config that the other options make.")
_CLASS_TABLE = flags.DEFINE_string(
    "class_table", None, "CSV class table to use instead of the built-in one; needs --name."
)
_STREAMS = flags.DEFINE_list("streams", None, f"Any of {', '.join(STREAMS)} (default: the config's); needs --name.")
_FLOW_METHOD = flags.DEFINE_enum(
    "flow_method", None, FLOW_METHODS, "How flow is computed (default: dis), or images to read yours; needs --name."
)
_CONTEXT_SECONDS = flags.DEFINE_float(
    "context_seconds", None, "Cut clips longer by so many seconds on both sides, from youtube/; needs --name."
)
_CONTEXT_FACTOR = flags.DEFINE_float(
    "context_factor", None, "Cut clips so many times as long, from youtube/; needs --name."
)
_FILE_FORMAT = flags.DEFINE_enum("file_format", "tfrecord", ["tfrecord", "array_record"], "How clips are stored.")
_BEAM = flags.DEFINE_string(
    "beam_pipeline_options", None, "Build by Apache Beam, with these of its options, comma-separated (as `tfds build`)."
)


def main() -> None:
    """The command; see the first lines of this file."""
    config = _builder_config()
    if not config.generated and not _MANUAL_DIR.value:
        raise app.UsageError(f"--manual_dir is missing.\n{Builder.MANUAL_DOWNLOAD_INSTRUCTIONS}")
    options = {"beam_options": _beam_options(), "file_format": _FILE_FORMAT.value}
    print(command_line.summary(command_line.build(Builder, config, _MANUAL_DIR.value, **options)))


def _beam_options():
    """Apache Beam's options from the flag; None without it."""
    if not _BEAM.value:
        return None
    try:
        from apache_beam.options import pipeline_options
    except ImportError as error:
        raise app.UsageError("--beam_pipeline_options needs Apache Beam: pip install .[beam]") from error
    return pipeline_options.PipelineOptions(flags=[f"--{option}" for option in _BEAM.value.split(",")])


def _builder_config() -> Haa500Config:
    """The config that the flags describe; raises UsageError if they contradict each other."""
    chosen = Builder.builder_configs[_CONFIG.value]
    context = _CONTEXT_SECONDS.value, _CONTEXT_FACTOR.value
    changed = _CLASSES.value or _AREA.value or _CLASS_TABLE.value or _STREAMS.value is not None or _FLOW_METHOD.value
    changed = changed or context != (None, None)
    options = "--classes, --area, --class_table, --streams, --flow_method and --context_..."
    if not changed:
        if _NAME.value:
            raise app.UsageError(f"--name is only used with one of {options}")
        return chosen
    if chosen.generated:
        raise app.UsageError(f"{options} cannot be used with --config={chosen.name}")
    if not _NAME.value or _NAME.value in Builder.builder_configs:
        raise app.UsageError(f"{options} need a new --name, not {_NAME.value!r}")
    streams = chosen.streams if _STREAMS.value is None else tuple(_STREAMS.value)
    if _FLOW_METHOD.value and "flow" not in streams:
        raise app.UsageError("--flow_method needs --streams=flow or a --config that has flow")
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
    """The classes of --classes or --area; () for all."""
    if not _AREA.value:
        return tuple(_CLASSES.value)
    if _CLASSES.value:
        raise app.UsageError("--classes and --area cannot be used together")
    try:
        table = taxonomy.load(_CLASS_TABLE.value or taxonomy.HAA500_CSV)
    except taxonomy.TaxonomyError as error:
        sys.exit(f"error: {error}")
    if _AREA.value not in table.area_names:
        raise app.UsageError(f"--area={_AREA.value!r}, must be one of {', '.join(table.area_names)}")
    return tuple(name for name, area in zip(table.names, table.areas, strict=True) if area == _AREA.value)


if __name__ == "__main__":
    command_line.run(main)
