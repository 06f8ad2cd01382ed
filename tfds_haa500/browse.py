"""Writes a page of a built data set's clips, to look at: `python -m tfds_haa500.browse --dataset=NAME --out=PAGE.html`.

    --dataset=haa500/demo --out=demo.html                60 clips, spread over the classes and splits
    --dataset=clip_folder/mine --out=mine.html --clips=200 --splits=train
    --dataset=haa500/full --out=rows.html --classes=rowing_boat,canoeing_sprint
    --dataset=haa500/full --out=music.html --area=musical_instruments --seed=1    other clips, at random

Each clip is an animated thumbnail, with its flow, joints and boxes if the data set has them, labels and metadata.
The page can be searched and filtered, is one self-contained file, and needs no JAX. (`python -m haa_jax.browse` shows
clips as a network sees them.)
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is loaded

from absl import app, flags, logging

from tfds_haa500 import program
from tfds_haa500.browsing import page, picks, stored
from tfds_haa500.browsing.picks import BrowseError
from tfds_haa500.records import RecordError
from tfds_haa500.runtime.parallel import progress_bar

MOST = 1000  # clips of a page


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    logging.set_verbosity(logging.WARNING)
    options = flags.FLAGS
    which = {"splits": options.splits, "classes": options.classes, "area": options.area}
    try:
        page.check_out(options.out)
        text = browse(options.dataset, options.data_dir, clips=options.clips, seed=options.seed, **which)
        page.write(options.out, text)
    except (BrowseError, RecordError) as error:
        sys.exit(f"error: {error}")


def browse(
    name: str, data_dir: str | None = None, *, splits=(), classes=(), area="", clips: int = 60, seed: int = 0
) -> str:
    """The page as text.

    Args:
      name: of the data set, as `tfds.load` takes it.
      splits, classes, area: show only clips of these; all by default.
      clips: the maximum number of clips.
      seed: of the choice of clips.

    Raises:
      BrowseError: the data set is not built, or has no such clips.
      RecordError: its files are damaged.
    """
    import tfds_haa500  # noqa: F401 - registers the builders

    builder = stored.open_dataset(name, data_dir)
    readers = stored.open_splits(builder, splits, classes, area)
    chosen = stored.spread(readers, clips, seed)
    features = builder.info.features
    with progress_bar(len(chosen), "drawing") as progress:
        cards = []
        for card in stored.cards(readers, chosen, features):
            cards.append(card)
            progress.update()
    intro = [picks.count_line(len(chosen), sum(map(len, readers.values())), seed), f"Stored in {builder.data_dir}."]
    if unknown := stored.not_drawn(features):
        intro.append(f"Not drawn: {', '.join(unknown)}.")
    return page.render(builder.info.full_name, intro, stored.legend(features), cards)


def _define_flags() -> None:
    flags.DEFINE_string("dataset", None, "The data set, as haa500/demo or clip_folder/NAME.", required=True)
    flags.DEFINE_string("data_dir", None, "Where it was built (default: TFDS's, ~/tensorflow_datasets).")
    flags.DEFINE_string("out", None, "The page, an HTML file.", required=True)
    flags.DEFINE_list("splits", [], "Only clips of these splits (default: all).")
    flags.DEFINE_list("classes", [], "Only clips of these classes, by name.")
    flags.DEFINE_string("area", "", "Only clips of this area.")
    flags.DEFINE_integer("clips", 60, "Maximum number of clips.", 1, MOST)
    flags.DEFINE_integer("seed", 0, "Seed of the choice of clips.", 0)


if __name__ == "__main__":
    _define_flags()
    program.run(main)
