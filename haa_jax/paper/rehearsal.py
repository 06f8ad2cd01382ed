"""A dry run of the whole paper at small size, on generated data: every run and every table, then what must hold.

    python -m haa_jax.paper.rehearsal --workdir=DIR

Builds the demo datasets into DIR/data, trains every network of haa_jax/paper/tables.py, most of them for a few steps
only (their accuracies say nothing), those that the checks need for as long as the demo does, and prints all tables.
Hours on two CPU cores; the same command goes on where it was stopped.
"""

import importlib
import logging as std_logging
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging

from haa_jax import config_flag
from haa_jax.paper import tables as paper
from haa_jax.runtime.progress import clock

log = std_logging.getLogger("haa_jax.paper.rehearsal")  # __name__ is __main__ here

# Each dataset of the paper -> the generated one in its place.
DATASETS = {
    "haa500/relaxed": "haa500/demo_relaxed",
    "haa500/rgb": "haa500/demo",
    "haa500/instruments": "haa500/demo",
    "haa500/objects": "haa500/demo",
}
TARGET = "clip_folder/demo_target"  # in the place of every clip_folder
# Runs that the checks look at; they are trained as long as the demo's config says.
TRAINED = (
    "i3d_rgb",
    "i3d_rgb_1_frames",
    "tsn_rgb",
    "tsn_flow",
    f"i3d_rgb_{paper.SPORTS}_composite",
    f"i3d_rgb_{paper.SPORTS}_joint",
)
FEW_STEPS = 12
COCO = ("apple_to_bowl", "apple_to_mouth", "dog_trick_down", "dog_trick_up")  # classes with objects, for Table 10


def main(argv: list[str]) -> None:
    config_flag.no_arguments(argv)
    logging.set_verbosity(logging.WARNING)
    std_logging.getLogger("haa_jax").setLevel(std_logging.INFO)
    from haa_jax.errors import USER_ERRORS
    from haa_jax.paper import __main__ as tables
    from haa_jax.runtime.signals import EXIT_INTERRUPTED, Interrupted

    workdir = pathlib.Path(flags.FLAGS.workdir).absolute()
    try:
        names = [name for name in tables.table_names(flags.FLAGS.tables) if name in paper.TABLES]
        runs = tables.needed(cell.run for name in names for cell in paper.TABLES[name].cells)
        build_datasets(datasets_of(runs, workdir), workdir)
        run_all(runs, workdir)
        (workdir / "runs" / "haa_coco.txt").write_text("\n".join(COCO))
    except Interrupted:
        sys.exit(EXIT_INTERRUPTED)
    except (tables.PaperError, *USER_ERRORS) as error:
        sys.exit(f"error: {error}")
    from haa_jax import embed
    from haa_jax.paper import statistics

    print(statistics.describe("haa500/demo", str(workdir / "data"), list(tables.STATISTICS)))
    for name in names:
        print(f"\n{tables.fill(name, workdir / 'runs')}")
    if "i3d_rgb" in runs:
        embed.embed(small_config("i3d_rgb", workdir), workdir / "runs" / "i3d_rgb", "test", workdir / "figure5")
        print(f"\nFigure 5: {workdir / 'figure5'}")
    failed = check_all(runs, workdir / "runs")
    sys.exit(1 if failed else 0)


def datasets_of(runs: list[str], workdir: pathlib.Path) -> set[str]:
    """The generated datasets that some runs need."""
    configs = [small_config(name, workdir) for name in runs if name in paper.RUNS]
    return {name for config in configs for name in (config.data.dataset, config.eval.dataset) if name}


def build_datasets(names: set[str], workdir: pathlib.Path) -> None:
    """Builds what is not there yet: the demo, its relaxed form, its clips as a folder of videos."""
    import tensorflow_datasets as tfds

    import tfds_haa500

    tfds.disable_progress_bar()
    data_dir = str(workdir / "data")
    for name in sorted(names - {TARGET}):
        tfds_haa500.Builder(config=name.partition("/")[2], data_dir=data_dir).download_and_prepare()
    if TARGET in names and not (workdir / "data" / TARGET).exists():
        _build_target(workdir, data_dir)


def _build_target(workdir: pathlib.Path, data_dir: str) -> None:
    from tfds_haa500 import clip_folder_dataset_builder
    from tfds_haa500.demo import archive as demo

    archive, videos = workdir / "archive", workdir / "target"
    if not archive.exists():
        demo.write_archive(archive)
    _sort_into_splits(archive, videos)
    name = TARGET.partition("/")[2]
    config = clip_folder_dataset_builder.ClipFolderConfig(name=name, folder=str(videos), streams=("pose",))
    clip_folder_dataset_builder.Builder(config=config, data_dir=data_dir).download_and_prepare()


def _sort_into_splits(source: pathlib.Path, out: pathlib.Path) -> None:
    """Links video/<class>/<clip>.mp4 of the archive as <split>/<class>/<clip>.mp4, poses as pose/<split>/...

    Only the classes before "n": other classes, another head.
    """
    for clip in sorted(source.glob("video/*/*.mp4")):
        number, name = int(clip.stem[-3:]), clip.parent.name
        split = "train" if number < 14 else "validation" if number < 16 else "test"
        if name < "n":
            pose = pathlib.Path("pose", name, f"{clip.stem}.json")
            _link(clip, out / split / name / clip.name)
            _link(source / pose, out / "pose" / split / name / pose.name)


def _link(file: pathlib.Path, name: pathlib.Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)
    os.link(file, name)


def run_all(names: list[str], workdir: pathlib.Path) -> None:
    """Trains and fuses what is not done, in this process."""
    import jax

    from haa_jax import fuse, train
    from haa_jax.evaluate import METRICS_FILE, PREDICTIONS_FILE

    runs = workdir / "runs"
    jax.config.update("jax_compilation_cache_dir", str(workdir / "compiled"))  # many runs are of one shape
    missing = [name for name in names if not (runs / name / METRICS_FILE).exists()]
    started = time.monotonic()
    for number, name in enumerate(missing, start=1):
        log.info("run %d of %d missing ones: %s", number, len(missing), name)
        if name in paper.FUSIONS:
            fusion = paper.FUSIONS[name]
            files = [runs / run / PREDICTIONS_FILE for run in fusion.runs]
            fuse.fuse_files(files, list(fusion.weights or [1.0] * len(files)), False, runs / name)
        else:
            train.train_and_evaluate(small_config(name, workdir), runs / name)
            jax.clear_caches()  # nothing of one network is used by the next
        spent = time.monotonic() - started
        log.info("%s done, about %s left", name, clock(spent / number * (len(missing) - number)))


def small_config(name: str, workdir: pathlib.Path):
    """The config of a run on the generated data."""
    run = paper.RUNS[name]
    file, _, variants = run.config.partition(":")
    module = importlib.import_module(f"haa_jax.configs.{file.removesuffix('.py')}")
    config = module.get_config(",".join(filter(None, [variants, "demo"])))
    fields = {key: _in_place(value) for key, value in run.fields.items()}
    if "data.frames" in fields:
        fields["data.frames"] = min(fields["data.frames"], config.data.frames)
    config.update_from_flattened_dict(fields | {"data.data_dir": str(workdir / "data")})
    if run.start:
        config.init_from = str(workdir / "runs" / run.start)
    if name not in TRAINED:
        config.train.epochs, config.train.steps, config.train.batch_size = 0.0, FEW_STEPS, 8
        config.eval.every_epochs = config.checkpoint.every_epochs = 0.0
        config.data.resize, config.data.crop = 36, 32
    return config


def _in_place(value):
    """A dataset's name replaced by that of the generated one; everything else as it is."""
    if isinstance(value, str):
        return TARGET if value.startswith("clip_folder/") else DATASETS.get(value, value)
    return value


def check_all(names: list[str], runs: pathlib.Path) -> int:
    """Prints what must hold by construction, and whether it does; returns how many things do not."""
    checks = [check for check, involved in CHECKS.items() if set(involved) <= set(names)]
    transfers = [name for name in names if name in paper.RUNS and paper.RUNS[name].start]
    results = [check(runs) for check in checks] + [frozen_unchanged(runs, name) for name in transfers]
    print("\nWhat must hold:")
    for text, holds in results:
        print(f"  {'yes' if holds else 'NO '}  {text}")
    return sum(not holds for _, holds in results)


def motion_beats_one_frame(runs: pathlib.Path) -> tuple[str, bool]:
    many, one = _top1(runs, "i3d_rgb"), _top1(runs, "i3d_rgb_1_frames")
    return f"more frames beat one: {_percent(many)} against {_percent(one)}", many["value"] > one["value"]


def fusion_beats_streams(runs: pathlib.Path) -> tuple[str, bool]:
    fused, *single = (_top1(runs, name) for name in ("tsn_two_stream", "tsn_rgb", "tsn_flow"))
    best = max(single, key=lambda figure: figure["value"])
    return f"two streams are not worse than one: {_percent(fused)}, best {_percent(best)}", fused["value"] >= best[
        "value"
    ]


def joint_is_not_worse(runs: pathlib.Path) -> tuple[str, bool]:
    alone, joint = (_top1(runs, f"i3d_rgb_{paper.SPORTS}_{objective}") for objective in ("composite", "joint"))
    margin = 2 * max(alone["standard_error"], joint["standard_error"])
    text = f"composite classes with atomic labels are not worse within error: {_percent(joint)}, {_percent(alone)}"
    return text, joint["value"] >= alone["value"] - margin


CHECKS = {
    motion_beats_one_frame: ("i3d_rgb", "i3d_rgb_1_frames"),
    fusion_beats_streams: ("tsn_two_stream",),
    joint_is_not_worse: TRAINED[-2:],
}


def frozen_unchanged(runs: pathlib.Path, name: str) -> tuple[str, bool]:
    """Whether everything but the last three layers is, bitwise, what the run started from."""
    import numpy as np

    from haa_jax.learning import freeze
    from haa_jax.weights.readers import read_tensors

    parts = ("Mixed_5b", "Mixed_5c", "Logits")
    before, after = read_tensors(runs / paper.RUNS[name].start), read_tensors(runs / name)
    frozen = [path for path in after if not freeze.learns(path.split("/"), parts)]
    kept = [path for path in frozen if np.array_equal(before[path], after[path])]
    moved = any(not np.array_equal(before[p], after[p]) for p in after if p.startswith("Mixed_5"))
    learned = "changed" if moved else "DID NOT CHANGE"
    text = f"{name}: {len(kept)} of {len(frozen)} frozen arrays are unchanged, the last layers {learned}"
    return text, len(kept) == len(frozen) > 0 and moved


def _top1(runs: pathlib.Path, name: str) -> dict:
    from haa_jax.paper import __main__ as tables

    return tables.figure(paper.Cell("", "", name), runs)


def _percent(figure: dict) -> str:
    return f"{100 * figure['value']:.2f} % ({figure['correct']}/{figure['count']})"


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Folder for the datasets and the runs.")
    flags.DEFINE_list("tables", list(paper.TABLES), "Only these tables.")
    flags.mark_flag_as_required("workdir")
    app.run(main)
