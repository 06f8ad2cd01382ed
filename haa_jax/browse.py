"""Writes a page of clips as a network sees them, to look at.

    python -m haa_jax.browse --config=configs/i3d.py --out=seen.html
    python -m haa_jax.browse --config=configs/i3d.py:rgb+objects --config.data.dataset=haa500/full --out=seen.html
    python -m haa_jax.browse --config=configs/tsn.py:demo --split=test --config.eval.crops=10 --views=10 --out=test.html

Each clip is shown as the network's input after the config's sampling, augmentation and preprocessing, with the
normalization undone, one animation for each stream: exactly the views that the first epochs of a training with this
config and seed see, and the views at test. Clips of other splits than train have test views only. The page can be
searched and filtered, and is one self-contained file. (`python -m tfds_haa500.browse` shows what is stored.)
"""

import sys

import numpy as np
import tqdm
from absl import app, flags

from haa_jax import checks, config_flag, streams
from haa_jax.browsing import examples, inputs
from haa_jax.data import dataset, pipeline
from haa_jax.errors import user_errors
from haa_jax.runtime.logs import set_up_logging
from tfds_haa500.browsing import film, page, picks, stored
from tfds_haa500.browsing.page import Card

SPLITS = ("train", "validation", "test")
MOST = 1000  # clips of a page


def main(argv: list[str]) -> None:
    config_flag.no_arguments(argv)
    config_flag.require("config", "out")
    options = flags.FLAGS
    set_up_logging()
    which = {"split": options.split, "classes": options.classes, "clips": options.clips}
    try:
        page.check_out(options.out)
        text = browse(options.config, **which, epochs=options.epochs, most_views=options.views)
        page.write(options.out, text)
    except (*user_errors(), picks.BrowseError) as error:
        sys.exit(f"error: {error}")


def browse(config, *, split="train", classes=(), clips: int = 24, epochs: int = 3, most_views: int = 4) -> str:
    """The page as text.

    Args:
      config: see configs/base.py.
      split: of the clips.
      classes: show only clips of these; all by default.
      clips: the maximum number of clips.
      epochs: training views of each clip, if `split` is "train".
      most_views: the maximum number of test views of each clip.

    Raises:
      checks.ConfigError: a setting that cannot work.
      dataset.DatasetError, picks.BrowseError: the data set is not built, lacks a stream, or has no such clips.
      records.RecordError: its files are damaged.
    """
    checks.check_config(config)
    builder = _builder(config, split)
    opened = dataset.open_split(builder, split, (), config.area)
    features = builder.info.features
    kept = picks.selected(opened.index, *stored.names_of(features), classes)
    if not len(kept):
        raise picks.BrowseError(f"the {split} split has no clips of the classes {', '.join(classes)}")
    chosen = kept[picks.spread(opened.index.first_class[kept], clips, config.seed)]
    cards = [
        _card(config, opened, int(number), split, features, epochs if split == "train" else 0, most_views)
        for number in tqdm.tqdm(chosen, "drawing", unit=" clips")
    ]
    title = f"{builder.info.full_name} as seen by {config.model.name} {config.model.variant}".rstrip()
    intro = [picks.count_line(len(chosen), len(kept), config.seed), *_described(config, split, epochs)]
    return page.render(title, intro, inputs.legend(config.data), cards)


def _builder(config, split: str):
    """The data set that a run with this config reads a split from."""
    name = config.data.dataset if split == "train" else config.eval.dataset or config.data.dataset
    builder = dataset.open_builder(name, config.data.data_dir)
    dataset.check_stream(builder, config.data)
    return builder


def _described(config, split: str, epochs: int) -> list[str]:
    """What the page says about its views, as paragraphs."""
    data, test = config.data, pipeline.at_test(config.data, config.eval)
    cropped = streams.is_cropped(data)
    sampled = f"{data.stream}, {data.frames} frames ({data.sampling}, stride {data.stride})"
    paragraphs = [f"Stream {sampled}; films show at most {film.FRAMES} frames of a view."]
    if split == "train":
        changes = {"flip": data.flip, "color_jitter": data.color_jitter, "random_move": data.random_move}
        augmented = ", ".join(name for name, done in ({data.augment: cropped} | changes).items() if done)
        paragraphs.append(f"The first {epochs} epochs with seed {config.seed}: {augmented or 'not augmented'}.")
    crops = f", {config.eval.crops} crop(s) of {test.crop} pixels each" if cropped else ""
    return [*paragraphs, f"Test: {config.eval.windows or 'all'} window(s) of {test.frames} frames{crops}."]


def _card(config, opened: dataset.Split, number: int, split: str, features, epochs: int, most_views: int) -> Card:
    """A clip with a row for each of its views."""
    example = opened.reader[number]
    data, test = config.data, pipeline.at_test(config.data, config.eval)
    per_clip = pipeline.Views(config.eval.windows, config.eval.crops)
    training = examples.in_training(example, data, config.seed, number, len(opened), epochs)
    at_test, count = examples.at_test(example, test, per_clip, most_views)
    rows = [_row(view, example, data) for view in training] + [_row(view, example, test) for view in at_test]
    if count > len(at_test):
        rows.append((f"{len(at_test)} of {count} test views", []))
    return stored.card(example, split, features, rows)


def _row(view: examples.View, example: dict, data) -> tuple[str, list[film.Film]]:
    seconds = examples.seconds(view, example)
    filled = np.flatnonzero(view.positions < view.length)  # of skeletons, the rest is empty
    shown = filled[film.chosen(len(filled))]
    films = [film.make(caption, drawn[shown], seconds) for caption, drawn in inputs.pictures(view.clip, data)]
    return examples.describe(view, data), films


def _define_flags() -> None:
    """Not at import: other commands define flags of the same names."""
    config_flag.define()
    flags.DEFINE_string("out", None, "The page, an HTML file.")
    flags.DEFINE_enum("split", "train", SPLITS, "Clips to show.")
    flags.DEFINE_list("classes", [], "Only clips of these classes, by name.")
    flags.DEFINE_integer("clips", 24, "Maximum number of clips.", 1, MOST)
    flags.DEFINE_integer("epochs", 3, "Number of epochs whose training views are shown.", 0, 20)
    flags.DEFINE_integer("views", 4, "Maximum number of test views of each clip.", 1, 100)


if __name__ == "__main__":
    _define_flags()
    app.run(main, flags_parser=config_flag.parse)
