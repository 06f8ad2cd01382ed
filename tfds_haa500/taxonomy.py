"""The class table: 500 atomic actions, each with an area and a composite action.

`classes.csv` next to this file has one row a class: `label,name,area,composite,area_source`. Names are the
release's own, misspellings and spaces kept, in Python `sorted()` order, which defines the label ids that users of
HAA500 agree on. The release does not assign areas and composites to classes: `area_source` says where the row has
them from, "paper" and the section that names the class or its family, or "inferred" where this project assigned them;
"<of the area>; composite: <of the composite>" where the two differ. A user's own table may say anything there. The
area totals equal the paper's (section 3.1.1): 212 sports, 51 instruments, 82 games, 155 daily actions. By name 52
classes are instruments; that play_ otamatone, an electronic toy, is the one that went elsewhere is this project's
choice, and its row says so.
"""

import csv
import dataclasses
import io

from etils import epath

HAA500_CSV = epath.Path(__file__).parent / "classes.csv"
DEMO_CSV = epath.Path(__file__).parent / "demo_classes.csv"
COLUMNS = ("label", "name", "area", "composite", "area_source")


class TaxonomyError(ValueError):
    """A class table that cannot be used; the message lists everything that is wrong."""


@dataclasses.dataclass(frozen=True)
class Taxonomy:
    """Class names by label id, with the area and the composite of each (parallel tuples)."""

    names: tuple[str, ...]
    areas: tuple[str, ...]
    composites: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def area_names(self) -> list[str]:
        """Areas in `sorted()` order: their position is their id in the `area` feature."""
        return sorted(set(self.areas))

    @property
    def composite_names(self) -> list[str]:
        """Composites in `sorted()` order: their position is their id in the `composite` feature."""
        return sorted(set(self.composites))

    def with_class(self, name: str, area: str, composite: str = "") -> "Taxonomy":
        """The table with one more class, a composite of its own by default. Ids of later names grow by one.

        Raises:
          TaxonomyError: the class is there already.
        """
        if name in self.names:
            raise TaxonomyError(f"{name!r} is in the class table already")
        rows = [*zip(self.names, self.areas, self.composites, self.sources, strict=True)]
        rows.append((name, area, composite or name, "own"))
        return Taxonomy(*zip(*sorted(rows), strict=True))

    def to_csv(self) -> str:
        """The table as text; `parse` reads it back."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        rows = zip(self.names, self.areas, self.composites, self.sources, strict=True)
        writer.writerows((label, *row) for label, row in enumerate(rows))
        return out.getvalue()


def load(path: epath.PathLike) -> Taxonomy:
    """Reads a class table from a CSV file.

    Raises:
      TaxonomyError: the file is missing or not a table as described above (everything that is wrong is listed).
    """
    path = epath.Path(path)
    if not path.exists():
        raise TaxonomyError(f"class table not found: {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path} is not UTF-8 text ({error})") from error
    return parse(text, origin=str(path))


def parse(text: str, origin: str = "class table") -> Taxonomy:
    """Reads a class table from CSV text; errors as `load`."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise TaxonomyError(f"{origin}: the first line must be {','.join(COLUMNS)!r}, found {reader.fieldnames}")
    rows = list(reader)
    faults = []
    for number, row in enumerate(rows, start=2):
        if None in row or any(not value for value in row.values()):
            faults.append(f"line {number}: needs {len(COLUMNS)} non-empty fields, found {list(row.values())}")
        elif row["label"] != str(number - 2):
            faults.append(f"line {number}: label {row['label']!r}, expected {number - 2} (labels count up from 0)")
    names = [row["name"] for row in rows]
    if not rows:
        faults.append("no classes")
    elif not faults and names != sorted(set(names)):
        faults.append("names must be unique and in Python sorted() order, which defines the label ids")
    if faults:
        raise TaxonomyError("\n".join([f"{origin}:", *faults]))
    columns = (tuple(row[key] for row in rows) for key in COLUMNS[1:])
    return Taxonomy(*columns)
