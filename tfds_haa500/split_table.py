"""How many clips of each class are in each split of a built dataset, and how it was split."""

from tfds_haa500 import features, records
from tfds_haa500.sources.clips import SPLITS


def describe(builder) -> str:
    """The table, classes by splits, and the split's origin, as text."""
    names = features.class_names(builder.info.features)
    splits = [split for split in SPLITS if split in builder.info.splits]
    counts = {split: records.read_index(builder.data_path, split).multi_hot(len(names)).sum(axis=0) for split in splits}
    rows = [["class", *splits]]
    rows += [[name, *(str(counts[split][label]) for split in splits)] for label, name in enumerate(names)]
    rows.append([f"{len(names)} classes", *(str(builder.info.splits[split].num_examples) for split in splits)])
    return "\n".join([*_aligned(rows), origin(builder)])


def origin(builder) -> str:
    """How a dataset was split, from its metadata: "split at random: 0.8,0.1,0.1, seed 0"."""
    split = (builder.info.metadata or {}).get("split", {})
    if split.get("by") == "random":
        fractions = ",".join(f"{fraction:g}" for fraction in split["fractions"])
        group = f", group {split['group']}" if split["group"] else ""
        return f"split at random: {fractions}, seed {split['seed']}{group}"
    if split.get("by") == "lists":
        number = f", number {split['number']}" if split["number"] else ""
        return f"split by {split['lists']}{number}"
    return "split by its folders"


def _aligned(rows: list[list[str]]) -> list[str]:
    """The rows as lines; the first column is aligned to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows]
    return ["  ".join(row) for row in padded]
