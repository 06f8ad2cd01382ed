"""Generated datasets in place of the paper's, for the rehearsal.

The demo stands for every form of HAA500. Each dataset that users package themselves has its own name, splits and
streams, and holds clips of half of the demo's classes, so that its network has another head than the demo's.
"""

import os
import pathlib
from collections.abc import Iterable

from haa_jax.paper.runs import FOLDERS, SEVERAL_LABELS, WITH_OBJECTS, WITHOUT_TEST

DEMO = "haa500/demo"
# Every other dataset of HAA500 is the demo, which has all streams.
_OTHERS = {"haa500/relaxed": "haa500/demo_relaxed", "haa500/demo_relaxed": "haa500/demo_relaxed"}
STREAMS = {"gym288": ("pose",), "ucf101": ("pose",), f"ucf101{WITH_OBJECTS}": ("objects",)}
CLIPS = {"train": range(6), "test": range(16, 19)}  # numbers of each class' clips


def in_place_of(dataset: str) -> str:
    """The generated dataset in place of one of the paper's; "" for "".

    Raises:
      ValueError: there is none.
    """
    family, _, config = dataset.partition("/")
    if family == "clip_folder" and config not in (*FOLDERS.values(), *STREAMS):
        raise ValueError(f"no generated dataset in place of {dataset}")
    return _OTHERS.get(dataset, DEMO) if family == "haa500" else dataset


def build(names: Iterable[str], workdir: pathlib.Path) -> None:
    """Builds those of some generated datasets that are missing, in `workdir`/data."""
    import tensorflow_datasets as tfds

    import tfds_haa500

    tfds.disable_progress_bar()
    data_dir = workdir / "data"
    for name in sorted(names):
        family, _, config = name.partition("/")
        if family == "haa500":
            tfds_haa500.Builder(config=config, data_dir=str(data_dir)).download_and_prepare()
        elif not (data_dir / name).exists():
            _build_folder(config, workdir, str(data_dir))


def with_poses(workdir: pathlib.Path) -> list[str]:
    """The datasets with poses that are built: the demo, and others."""
    others = [f"clip_folder/{name}" for name, streams in STREAMS.items() if "pose" in streams]
    return [name for name in (DEMO, *others) if (workdir / "data" / name).exists()]


def _build_folder(name: str, workdir: pathlib.Path, data_dir: str) -> None:
    from tfds_haa500 import clip_folder_dataset_builder
    from tfds_haa500.demo import archive as demo

    archive, videos = workdir / "archive", workdir / "videos" / name
    if not archive.exists():
        demo.write_archive(archive)
    streams = STREAMS.get(name, ())
    if name in SEVERAL_LABELS:
        lists = {"split_list": str(_write_lists(archive, videos)), "multi_label": True}
    else:
        lists = {}
        _sort_into_splits(archive, videos, "validation" if name in WITHOUT_TEST else "test", streams)
    config = clip_folder_dataset_builder.ClipFolderConfig(name=name, folder=str(videos), streams=streams, **lists)
    clip_folder_dataset_builder.Builder(config=config, data_dir=data_dir).download_and_prepare()


def _chosen(archive: pathlib.Path, tested: str) -> list[tuple[str, str, str]]:
    """(split, class, clip) of the clips that are used, of the first half of the classes."""
    folders = sorted((archive / "video").iterdir())
    return [
        (tested if split == "test" else split, folder.name, f"{folder.name}_{number:03d}")
        for folder in folders[: len(folders) // 2]
        for split, numbers in CLIPS.items()
        for number in numbers
    ]


def _sort_into_splits(archive: pathlib.Path, out: pathlib.Path, tested: str, streams: Iterable[str]) -> None:
    """Links video/<class>/<clip>.mp4 to <split>/<class>/<clip>.mp4, and pose/... to pose/<split>/..."""
    for split, name, clip in _chosen(archive, tested):
        _link(archive / "video" / name / f"{clip}.mp4", out / split / name / f"{clip}.mp4")
        for stream in streams:
            _link(archive / stream / name / f"{clip}.json", out / stream / split / name / f"{clip}.json")


def _write_lists(archive: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Lists of videos with two labels each, the class and the composite action; the videos are linked."""
    from tfds_haa500.demo import archive as demo

    composite = dict(zip(demo.TAXONOMY.names, demo.TAXONOMY.composites, strict=True))
    lines = {"train": [], "validation": []}
    for split, name, clip in _chosen(archive, "validation"):
        _link(archive / "video" / name / f"{clip}.mp4", out / name / f"{clip}.mp4")
        lines[split].append(f"{name}/{clip}.mp4 {name},{composite[name]}\n")
    lists = out.with_name(f"{out.name}_lists")
    lists.mkdir(parents=True, exist_ok=True)
    for split, own in lines.items():
        (lists / f"{split}.csv").write_text("".join(own))
    return lists


def _link(source: pathlib.Path, link: pathlib.Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    os.link(source, link)
