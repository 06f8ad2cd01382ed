"""The whole paper at small size, on generated data: every run, every table, and checks of what must hold.

    python -m haa_jax.paper.rehearsal --workdir=DIR

Builds the demo datasets in DIR/data, trains every network of haa_jax/paper/runs.py, and prints all tables. Most runs
take a few steps only, so their accuracies mean nothing; those that the checks compare train as long as the demo does.
Takes hours on two CPU cores; the same command resumes where it was stopped.
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
from haa_jax.paper import commands, expectations, report, statistics
from haa_jax.paper.runs import COCO_CLASSES, FUSIONS, RUNS
from haa_jax.paper.tables import TABLES
from haa_jax.runtime.progress import clock
from haa_jax.runtime.signals import EXIT_INTERRUPTED, Interrupted

log = std_logging.getLogger("haa_jax.paper.rehearsal")  # __name__ is __main__ here

# Each dataset of the paper -> the generated one in its place.
DATASETS = {
    "haa500/relaxed": "haa500/demo_relaxed",
    "haa500/rgb": "haa500/demo",
    "haa500/instruments": "haa500/demo",
    "haa500/objects": "haa500/demo",
}
TARGET = "clip_folder/demo_target"  # in place of every clip_folder
# Runs that train as long as the demo's config says, since the checks compare them.
TRAINED = (*expectations.FRAMES, *expectations.ONE_STREAM, *expectations.OBJECTIVES)
FEW_STEPS = 12  # of all other runs
COCO = ("apple_to_bowl", "apple_to_mouth", "dog_trick_down", "dog_trick_up")  # classes with objects, for Table 10


def parse(argv: list[str]) -> list[str]:
    """The flags; for `absl.app.run`."""
    rest = config_flag.parse(argv)
    config_flag.no_arguments(rest, "options are --workdir and --tables")
    config_flag.require("workdir")
    return rest


def main(argv: list[str]) -> None:
    logging.set_verbosity(logging.WARNING)
    std_logging.getLogger("haa_jax").setLevel(std_logging.INFO)
    from haa_jax.errors import user_errors

    workdir = pathlib.Path(flags.FLAGS.workdir).absolute()
    try:
        names = [name for name in report.table_names(flags.FLAGS.tables) if name in TABLES]
        runs = commands.needed(cell.run for name in names for cell in TABLES[name].cells)
        build_datasets(datasets_of(runs, workdir), workdir)
        run_all(runs, workdir)
        (workdir / "runs" / COCO_CLASSES).write_text("\n".join(COCO))
        print_results(names, runs, workdir)
    except Interrupted:
        sys.exit(EXIT_INTERRUPTED)
    except user_errors() as error:
        sys.exit(f"error: {error}")
    failed = expectations.check_all(runs, workdir / "runs")
    sys.exit(1 if failed else 0)


def print_results(names: list[str], runs: list[str], workdir: pathlib.Path) -> None:
    """Prints Tables 3 and 5 of the demo, the tables `names`, and where Figure 5 is."""
    from haa_jax import embed

    print(statistics.describe("haa500/demo", str(workdir / "data"), statistics.TABLES))
    for name in names:
        print(f"\n{report.text(name, workdir / 'runs')}")
    if "i3d_rgb" in runs:
        embed.embed(small_config("i3d_rgb", workdir), workdir / "runs" / "i3d_rgb", "test", workdir / "figure5")
        print(f"\nFigure 5: {workdir / 'figure5'}")


def datasets_of(runs: list[str], workdir: pathlib.Path) -> set[str]:
    """The generated datasets that some runs need."""
    configs = [small_config(name, workdir) for name in runs if name in RUNS]
    return {name for config in configs for name in (config.data.dataset, config.eval.dataset) if name}


def build_datasets(names: set[str], workdir: pathlib.Path) -> None:
    """Builds those that are missing: the demo, its relaxed form, its clips as a folder of videos."""
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
    """Links the archive's video/<class>/<clip>.mp4 to <split>/<class>/<clip>.mp4, and poses to pose/<split>/...

    Only the classes before "n", so that the class table, and with it the head, differs from the demo's.
    """
    for clip in sorted(source.glob("video/*/*.mp4")):
        number, name = int(clip.stem[-3:]), clip.parent.name
        split = "train" if number < 14 else "validation" if number < 16 else "test"
        if name < "n":
            pose = pathlib.Path("pose", name, f"{clip.stem}.json")
            _link(clip, out / split / name / clip.name)
            _link(source / pose, out / "pose" / split / name / pose.name)


def _link(source: pathlib.Path, link: pathlib.Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    os.link(source, link)


def run_all(names: list[str], workdir: pathlib.Path) -> None:
    """Trains and fuses what is not finished, in this process."""
    import jax

    runs = workdir / "runs"
    jax.config.update("jax_compilation_cache_dir", str(workdir / "compiled"))  # many runs have the same shapes
    missing = commands.missing(names, runs)
    started = time.monotonic()
    for number, name in enumerate(missing, start=1):
        log.info("run %d of %d missing: %s", number, len(missing), name)
        run(name, workdir)
        jax.clear_caches()  # the next network uses nothing of this one
        elapsed = time.monotonic() - started
        log.info("%s done, about %s left", name, clock(elapsed / number * (len(missing) - number)))


def run(name: str, workdir: pathlib.Path) -> None:
    """Trains one run, or fuses the predictions of its runs."""
    from haa_jax import fuse, train
    from haa_jax.predictions import PREDICTIONS_FILE

    runs = workdir / "runs"
    if name in FUSIONS:
        fusion = FUSIONS[name]
        files = [runs / each / PREDICTIONS_FILE for each in fusion.runs]
        fuse.fuse_files(files, list(fusion.weights or [1.0] * len(files)), False, runs / name)
    else:
        train.train_and_evaluate(small_config(name, workdir), runs / name)


def small_config(name: str, workdir: pathlib.Path):
    """The config of a run on the generated data."""
    run = RUNS[name]
    file, _, variants = run.config.partition(":")
    module = importlib.import_module(f"haa_jax.configs.{file.removesuffix('.py')}")
    config = module.get_config(",".join(filter(None, [variants, "demo"])))
    fields = {key: _generated(value) for key, value in run.fields.items()}
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


def _generated(value):
    """The generated dataset in place of a dataset's name; any other value unchanged."""
    if isinstance(value, str):
        return TARGET if value.startswith("clip_folder/") else DATASETS.get(value, value)
    return value


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Folder for the datasets and the runs.")
    flags.DEFINE_list("tables", list(TABLES), "Only these tables.")
    app.run(main, flags_parser=parse)
