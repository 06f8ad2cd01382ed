"""A page of clips as one self-contained HTML file: no server, no network, no JAX.

All text of the data set is escaped, and the page's content security policy lets the browser load nothing else.
"""

import dataclasses
import html
import json
import pathlib
from collections.abc import Mapping, Sequence

from tfds_haa500.browsing import look
from tfds_haa500.browsing.film import Film
from tfds_haa500.browsing.picks import BrowseError
from tfds_haa500.runtime.files import write_atomically

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclasses.dataclass(frozen=True)
class Card:
    """A clip on a page; all texts are plain.

    Attributes:
      title: such as its id.
      tags: what it can be found by, name -> value, or several.
      facts: what else is known of it.
      rows: heading ("" for none) and films of each row.
      link: where its video is from; shown if it is an http address.
    """

    title: str
    tags: Mapping[str, str | Sequence[str]]
    facts: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Film]]]
    link: str = ""


@dataclasses.dataclass(frozen=True)
class Legend:
    """What a color stands for."""

    label: str
    color: tuple[int, int, int]


def render(title: str, intro: Sequence[str], legend: Sequence[Legend], cards: Sequence[Card]) -> str:
    """The page.

    Args:
      intro: paragraphs of plain text below the title.
    """
    paragraphs = "".join(f"<p>{_text(line)}</p>\n" for line in intro)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title)}</title>
<style>{look.STYLE}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
{paragraphs}{_legend(legend)}</header>
<form><div>
{_controls(cards)}</div></form>
<main>
{"".join(map(_article, cards))}</main>
<script>{look.SCRIPT}</script>
</body>
</html>
"""


def check_out(out: str) -> None:
    """Raises BrowseError if a page cannot be at this path, before the work of drawing it."""
    path = pathlib.Path(out).expanduser()
    if path.is_dir():
        raise BrowseError(f"--out={out} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise BrowseError(f"--out={out}: there is no folder {path.parent}")


def write(out: str, text: str) -> None:
    """Writes the page as `write_bytes` does."""
    write_bytes(out, text.encode())


def write_bytes(out: str, data: bytes) -> None:
    """Writes a file atomically and prints where it is. Raises BrowseError if it cannot be written."""
    path = pathlib.Path(out).expanduser()
    try:
        write_atomically(path, data)
    except OSError as error:
        raise BrowseError(f"--out={out} cannot be written: {error.strerror}") from error
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def _legend(legend: Sequence[Legend]) -> str:
    if not legend:
        return ""
    swatches = "".join(
        f'<span><i style="background: rgb{entry.color}"></i>{_text(entry.label)}</span>' for entry in legend
    )
    return f'<p class="legend">{swatches}</p>\n'


def _controls(cards: Sequence[Card]) -> str:
    """A search field, and a choice for each tag that has several values."""
    values = {}
    for card in cards:
        for tag, value in card.tags.items():
            values.setdefault(tag, set()).update(_listed(value))
    choices = "".join(_choice(tag, sorted(found)) for tag, found in values.items() if len(found) > 1)
    return f"""<input type="search" name="search" placeholder="Search" aria-label="Search">
{choices}<label>size <input type="range" name="zoom" min="1" max="3" step="0.25" value="1"></label>
<label><input type="checkbox" name="play" checked> play</label>
<output name="count">{len(cards)} clips</output>
"""


def _choice(tag: str, values: Sequence[str]) -> str:
    options = "".join(f'<option value="{_text(value)}">{_text(value)}</option>' for value in values)
    every = f'<option value="">any {_text(tag)}</option>'
    return f'<select data-tag="{_text(tag)}" aria-label="{_text(tag)}">{every}{options}</select>\n'


def _article(card: Card) -> str:
    tags = [", ".join(_listed(value)) for value in card.tags.values()]
    searched = " ".join([card.title, *tags, *card.facts]).lower()
    facts = " · ".join(map(_text, card.facts)) + _source(card.link)
    rows = "".join(_row(heading, films) for heading, films in card.rows)
    return f"""<article data-tags="{_text(json.dumps(dict(card.tags)))}" data-text="{_text(searched)}">
<h2>{_text(card.title)}</h2>
<p>{" · ".join(map(_text, tags))}</p>
<div class="rows">
{rows}</div>
<p class="facts">{facts}</p>
</article>
"""


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _source(link: str) -> str:
    if not link.startswith(("http://", "https://")):
        return ""
    return f' · <a href="{_text(link)}" rel="noopener noreferrer" target="_blank">source</a>'


def _row(heading: str, films: Sequence[Film]) -> str:
    above = f"<h3>{_text(heading)}</h3>" if heading else ""
    return f'<div class="row">{above}<div class="films">{"".join(map(_figure, films))}</div></div>\n'


def _figure(film: Film) -> str:
    width, height = film.size
    moving = " moving" if film.frames > 1 else ""
    style = (
        f"--frames: {film.frames}; --shape: {width} / {height}; --seconds: {film.seconds:.2f}s; "
        f"background-image: url({film.uri})"
    )
    window = f'<div class="film{moving}" role="img" aria-label="{_text(film.caption)}" style="{style}"></div>'
    return f"<figure>{window}<figcaption>{_text(film.caption)}</figcaption></figure>"


def _text(text: str) -> str:
    return html.escape(str(text), quote=True)
