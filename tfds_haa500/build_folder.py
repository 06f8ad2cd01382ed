"""Packages a folder of videos: `python -m tfds_haa500.build_folder --dir=DIR --name=NAME`.

    --dir=DIR --name=mine                  DIR/<split>/<class>/*.mp4; splits train, validation (or val), test
    --dir=DIR --name=mine --streams=flow,pose
                                           flow and poses too; poses from DIR/pose/<split>/<class>/<clip>.json
    --dir=UCF-101 --name=ucf101_1 --split_list=ucfTrainTestlist --split_number=1
    --dir=hmdb51 --name=hmdb51_1 --split_list=testTrainMulti_7030_splits --split_number=1
                                           DIR/<class>/*.avi and the official lists; poses from DIR/pose/<class>/
    --dir=videos --name=activitynet --split_list=activity_net.v1-3.min.json
                                           DIR/v_<id>.mp4; each annotation is a clip; the testing videos, which
                                           have no labels, are left out

Videos are mp4, avi, mkv, webm, gif, mov, m4v, 3gp, flv, wmv, mpg, mpeg, ts or m2ts. (The last five, from
wmv on, do not say how long they are: one that was cut short between two frames passes for whole.)

`tfds.load("clip_folder/NAME")` loads the result, and `python -m haa_jax.main
--config.data.dataset=clip_folder/NAME` trains on it. Ctrl-C is said in a line, with exit code 130, and leaves nothing.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded

import tensorflow_datasets as tfds
from absl import app, flags, logging

from tfds_haa500.clip_folder_dataset_builder import Builder, ClipFolderConfig
from tfds_haa500.runtime.disk import full_disk_said
from tfds_haa500.runtime.interrupt import interrupt_said
from tfds_haa500.sources import clip_folder, split_lists
from tfds_haa500.streams import flow

_DIR = flags.DEFINE_string("dir", None, "Folder of the videos.", required=True)
_NAME = flags.DEFINE_string("name", None, "Name of the dataset's config: letters, digits, _ and -.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where datasets go (default: TFDS's, ~/tensorflow_datasets).")
_STREAMS = flags.DEFINE_list("streams", [], "Any of flow, pose.")
_FLOW_METHOD = flags.DEFINE_enum(
    "flow_method", None, flow.METHODS, "How flow is computed (default: dis); needs --streams=flow."
)
_SPLIT_LIST = flags.DEFINE_string("split_list", "", "Folder of UCF101's or HMDB51's lists, or ActivityNet's JSON file.")
_SPLIT_NUMBER = flags.DEFINE_integer("split_number", None, "Which split of UCF101's or HMDB51's lists.", 1, 3)
_WORKERS = flags.DEFINE_integer("workers", None, "Processes that decode (default: one a core).", lower_bound=1)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    logging.set_verbosity(logging.WARNING)
    config = _builder_config()
    if _WORKERS.value:
        os.environ["TFDS_HAA500_WORKERS"] = str(_WORKERS.value)
    tfds.disable_progress_bar()  # ours knows the total
    try:
        builder = Builder(config=config, data_dir=_DATA_DIR.value)
        if builder.info.splits:
            print("Already built; delete its folder to build it again.")
        with interrupt_said(), full_disk_said():
            builder.download_and_prepare()
    except clip_folder.FolderError as error:
        sys.exit(f"error: {error}")
    print(_summary(builder))


def _builder_config() -> ClipFolderConfig:
    """The config that the flags ask for."""
    if not _NAME.value.replace("_", "").replace("-", "").isalnum():
        raise app.UsageError(f"--name={_NAME.value!r}, must have letters, digits, _ and - alone")
    if _FLOW_METHOD.value and "flow" not in _STREAMS.value:
        raise app.UsageError("--flow_method goes with --streams=flow")
    if _SPLIT_NUMBER.value and not _SPLIT_LIST.value:
        raise app.UsageError("--split_number goes with --split_list")
    try:
        return ClipFolderConfig(
            name=_NAME.value,
            description=f"Videos of a folder, {', '.join(('RGB frames', *_STREAMS.value))}.",
            folder=_DIR.value,
            split_list=_SPLIT_LIST.value,
            split_number=_SPLIT_NUMBER.value,
            streams=tuple(_STREAMS.value),
            flow_method=_FLOW_METHOD.value or "dis",
        )
    except ValueError as error:
        raise app.UsageError(f"--{error}") from error


def _summary(builder) -> str:
    splits = {name: info.num_examples for name, info in builder.info.splits.items()}
    clips = sum(splits.values())
    counts = ", ".join(f"{count} {name}" for name, count in splits.items())
    lines = [
        f"{builder.info.full_name}: {clips} clips ({counts}) of {builder.info.features['label'].num_classes} classes, "
        f"{builder.info.dataset_size / 1e6:.1f} MB",
        f"in {builder.data_path}",
    ]
    if _SPLIT_LIST.value:
        entries, _ = split_lists.read(_SPLIT_LIST.value, _SPLIT_NUMBER.value)
        left_out = sum(not entry.split for entry in entries)
        lines += [f"left out: {left_out} videos that the lists do not use or have no labels for"] if left_out else []
    return "\n".join(lines)


if __name__ == "__main__":
    # absl knows --help, but not -h.
    app.run(main, argv=["--help" if arg == "-h" else arg for arg in sys.argv])
