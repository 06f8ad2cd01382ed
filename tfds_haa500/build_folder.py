r"""Packages a folder of videos: `python -m tfds_haa500.build_folder --dir=DIR --name=NAME`.

    --dir=DIR --name=mine                  DIR/<split>/<class>/*.mp4; splits train, validation (or val), test
    --dir=DIR --name=mine --streams=flow,pose
                                           flow and poses too; poses from DIR/pose/<split>/<class>/<clip>.json
                                           (boxes and objects likewise)
    --dir=DIR --name=mine --split=0.8,0.1,0.1
                                           DIR/<class>/*.mp4, split at random: train, validation, test. Every class is
                                           in every split; another --seed gives another split
    --dir=DIR --name=mine --split=0.8,0,0.2 --group='(.+)_clip\d+'
                                           all videos whose names have the same text in the parentheses are in one
                                           split: those cut from one recording, say
    --dir=DIR --name=mine --split_list=LISTS
                                           LISTS/train.csv, val.csv and test.csv, with lines of `path label`; a label is
                                           a name or an id, a line of LISTS/classes.txt
    --dir=DIR --name=mine --split_list=LISTS --multi_label
                                           the same with lines of `path label,label`: several classes a video
    --dir=DIR --name=mine --class_table=CSV
                                           with any of these: areas and composite actions of the classes
    --dir=UCF-101 --name=ucf101_1 --split_list=ucfTrainTestlist --split_number=1
    --dir=hmdb51 --name=hmdb51_1 --split_list=testTrainMulti_7030_splits --split_number=1
                                           DIR/<class>/*.avi and the official lists; poses from DIR/pose/<class>/
    --dir=videos --name=activitynet --split_list=activity_net.v1-3.min.json
                                           DIR/v_<id>.mp4; each annotation is a clip; the testing videos, which
                                           have no labels, are left out
    --dir=DIR --name=mine --check          only shows what would be packaged, and everything that is wrong: every video
                                           is decoded, and nothing is written; exit code 1 if something is wrong

Videos are mp4, avi, mkv, webm, gif, mov, m4v, 3gp, flv, wmv, mpg, mpeg, ts or m2ts. (The last five, from
wmv on, do not store their length: a file that was cut short between two frames is not noticed.)

`tfds.load("clip_folder/NAME")` loads the result, and `python -m haa_jax.main
--config.data.dataset=clip_folder/NAME` trains on it. Ctrl-C ends a build with one line of text and exit code 130, and
nothing of the dataset is left on disk.
"""

import sys

from absl import app, flags

from tfds_haa500 import check_folder, command_line, split_table
from tfds_haa500.clip_folder_dataset_builder import Builder, ClipFolderConfig
from tfds_haa500.sources import clip_folder
from tfds_haa500.sources.random_split import RandomSplit
from tfds_haa500.streams import STREAMS, flow

flags.adopt_module_key_flags(command_line)
_DIR = flags.DEFINE_string("dir", None, "Folder of the videos.", required=True)
_NAME = flags.DEFINE_string("name", None, "Name of the dataset's config: letters, digits, _ and -.", required=True)
_STREAMS = flags.DEFINE_list("streams", [], f"Any of {', '.join(STREAMS)}.")
_FLOW_METHOD = flags.DEFINE_enum(
    "flow_method", None, flow.METHODS, "How flow is computed (default: dis); needs --streams=flow."
)
_SPLIT_LIST = flags.DEFINE_string(
    "split_list",
    "",
    "Folder of train.csv, val.csv, test.csv, or of UCF101's or HMDB51's lists; or ActivityNet's file.",
)
_SPLIT_NUMBER = flags.DEFINE_integer("split_number", None, "Which split of UCF101's or HMDB51's lists.", 1, 3)
_SPLIT = flags.DEFINE_list("split", [], "Fractions of train, validation and test, to split <class>/ at random.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the random split.")
_GROUP = flags.DEFINE_string(
    "group", "", "Regular expression; videos with the same text in its first parentheses are in one split."
)
_CLASS_TABLE = flags.DEFINE_string("class_table", "", "CSV table of the classes, their areas and composite actions.")

_MULTI_LABEL = flags.DEFINE_bool("multi_label", False, "Lists of `path label` give a video one or more labels.")
_CHECK = flags.DEFINE_bool("check", False, "Only show what would be packaged and everything that is wrong.")


def main() -> None:
    """The command; see the first lines of this file."""
    config = _builder_config()
    if _CHECK.value:
        check_folder.check(Builder, config, command_line.data_dir())
    else:
        _build(config)
    if left_out := clip_folder.count_left_out(_DIR.value, _SPLIT_LIST.value, _SPLIT_NUMBER.value):
        print(f"left out: {left_out} videos that the lists do not use or have no labels for")


def _build(config: ClipFolderConfig) -> None:
    builder = command_line.build(Builder, config)
    if builder.info.metadata.get("split", config.split_metadata) != config.split_metadata:
        name = builder.info.full_name
        sys.exit(f"error: {name} is {split_table.origin(builder)}; choose another --name, or delete its folder")
    print(command_line.summary(builder))
    print(split_table.describe(builder))


def _builder_config() -> ClipFolderConfig:
    """The config that the flags describe; raises UsageError if they contradict each other."""
    if not _NAME.value.replace("_", "").replace("-", "").isalnum():
        raise app.UsageError(f"--name={_NAME.value!r}, must consist of letters, digits, _ and -")
    if _FLOW_METHOD.value and "flow" not in _STREAMS.value:
        raise app.UsageError("--flow_method needs --streams=flow")
    if _SPLIT_NUMBER.value and not _SPLIT_LIST.value:
        raise app.UsageError("--split_number needs --split_list")
    if _SPLIT.value and _SPLIT_LIST.value:
        raise app.UsageError("--split and --split_list cannot be used together")
    if (flags.FLAGS["seed"].present or _GROUP.value) and not _SPLIT.value:
        raise app.UsageError("--seed and --group need --split")
    try:
        return ClipFolderConfig(
            name=_NAME.value,
            description=f"Videos of a folder, {', '.join(('RGB frames', *_STREAMS.value))}.",
            folder=_DIR.value,
            split_list=_SPLIT_LIST.value,
            split_number=_SPLIT_NUMBER.value,
            random_split=RandomSplit(_fractions(), _SEED.value, _GROUP.value) if _SPLIT.value else None,
            class_table=_CLASS_TABLE.value,
            multi_label=_MULTI_LABEL.value,
            streams=tuple(_STREAMS.value),
            flow_method=_FLOW_METHOD.value or "dis",
        )
    except ValueError as error:
        raise app.UsageError(f"--{error}") from error


def _fractions() -> tuple[float, ...]:
    """The numbers of --split; raises ValueError."""
    try:
        return tuple(float(fraction) for fraction in _SPLIT.value)
    except ValueError:
        raise ValueError(f"split={','.join(_SPLIT.value)}: must be numbers, as in 0.8,0.1,0.1") from None


if __name__ == "__main__":
    command_line.run(main)
