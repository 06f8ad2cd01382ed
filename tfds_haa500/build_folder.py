"""Packages a folder of videos: `python -m tfds_haa500.build_folder --dir=DIR --name=NAME`.

    --dir=DIR --name=mine                  DIR/<split>/<class>/*.mp4; splits train, validation (or val), test
    --dir=DIR --name=mine --streams=flow,pose
                                           flow and poses too; poses from DIR/pose/<split>/<class>/<clip>.json
                                           (boxes and objects likewise)
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

from absl import app, flags

from tfds_haa500 import check_folder, command_line
from tfds_haa500.clip_folder_dataset_builder import Builder, ClipFolderConfig
from tfds_haa500.sources import split_lists
from tfds_haa500.streams import STREAMS, flow

flags.adopt_module_key_flags(command_line)
_DIR = flags.DEFINE_string("dir", None, "Folder of the videos.", required=True)
_NAME = flags.DEFINE_string("name", None, "Name of the dataset's config: letters, digits, _ and -.", required=True)
_STREAMS = flags.DEFINE_list("streams", [], f"Any of {', '.join(STREAMS)}.")
_FLOW_METHOD = flags.DEFINE_enum(
    "flow_method", None, flow.METHODS, "How flow is computed (default: dis); needs --streams=flow."
)
_SPLIT_LIST = flags.DEFINE_string("split_list", "", "Folder of UCF101's or HMDB51's lists, or ActivityNet's JSON file.")
_SPLIT_NUMBER = flags.DEFINE_integer("split_number", None, "Which split of UCF101's or HMDB51's lists.", 1, 3)

_CHECK = flags.DEFINE_bool("check", False, "Only show what would be packaged and everything that is wrong.")


def main() -> None:
    """The command; see the first lines of this file."""
    config = _builder_config()
    if _CHECK.value:
        check_folder.check(Builder, config, command_line.data_dir())
    else:
        builder = command_line.build(Builder, config)
        print(command_line.summary(builder))
        print(f"{builder.info.features['label'].num_classes} classes")
    if _SPLIT_LIST.value:
        entries, _ = split_lists.read(_SPLIT_LIST.value, _SPLIT_NUMBER.value)
        if left_out := sum(not entry.split for entry in entries):
            print(f"left out: {left_out} videos that the lists do not use or have no labels for")


def _builder_config() -> ClipFolderConfig:
    """The config that the flags describe; raises UsageError if they contradict each other."""
    if not _NAME.value.replace("_", "").replace("-", "").isalnum():
        raise app.UsageError(f"--name={_NAME.value!r}, must consist of letters, digits, _ and -")
    if _FLOW_METHOD.value and "flow" not in _STREAMS.value:
        raise app.UsageError("--flow_method needs --streams=flow")
    if _SPLIT_NUMBER.value and not _SPLIT_LIST.value:
        raise app.UsageError("--split_number needs --split_list")
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


if __name__ == "__main__":
    command_line.run(main)
