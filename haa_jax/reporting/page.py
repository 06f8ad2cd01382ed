"""The report as one HTML page without external resources: a template, its style, its script, and the data as JSON."""

import base64
import html
import importlib.resources
import json
from collections.abc import Mapping, Sequence

import numpy as np

from haa_jax.reporting import several, tables
from haa_jax.reporting.groups import Groups
from haa_jax.reporting.runs import Answers, Run

TOP = 5  # classes that are shown of each clip
MOST_PAIRS = 200


def render(data: dict) -> str:
    """The page of `page_data`. Text from the data is only ever inserted as text, never as HTML."""
    # As \\u003c, since "</script>" within the data would end it.
    encoded = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    folder = importlib.resources.files("haa_jax.reporting")
    scripts = ["page.js", *(["several.js"] if data.get("several") else [])]
    parts = {
        "TITLE": html.escape(data["title"]),
        "STYLE": (folder / "page.css").read_text(encoding="utf-8"),
        "SCRIPT": "\n".join((folder / name).read_text(encoding="utf-8") for name in scripts),
        "DATA": encoded,
    }
    # Split, not replaced one after the other: a class might be named like a placeholder.
    pieces = (folder / "page.html").read_text(encoding="utf-8").split("@@")
    return "".join(piece if i % 2 == 0 else parts[piece] for i, piece in enumerate(pieces))


def page_data(
    runs: Sequence[Run],
    groups: Mapping[str, Groups],
    curves: Mapping[str, Mapping],
    thumbnails: Mapping[int, dict],
    maps: Mapping[str, bytes],
    notes: Mapping[str, Sequence[str]],
    files: Sequence[str],
) -> dict:
    """What page.js shows, in types of JSON.

    Args:
      runs: of the same clips.
      groups: of each head; {} if clips have several classes.
      curves: run -> tag -> curve; see curves.py.
      thumbnails: see `thumbnails.strips`.
      maps: run -> a PNG.
      notes: "thumbnails", "curves", "maps", "composites" -> what is missing and why, a line each.
      files: paths of the tables and pictures relative to the page.
    """
    first = runs[0]
    of_kind = _several(runs) if first.multi_label else _compared(runs, groups)
    return {
        "title": f"Report: {' and '.join(run.name for run in runs)}",
        "split": first.split,
        "dataset": first.meta.get("eval_dataset", ""),
        "evaluated": first.evaluated,
        **of_kind,
        "runs": [_run(run, curves.get(run.name, {}), maps.get(run.name)) for run in runs],
        "thumbnails": {str(clip): thumbnail for clip, thumbnail in thumbnails.items()},
        "notes": {key: list(lines) for key, lines in notes.items()},
        "files": list(files),
    }


def _several(runs: Sequence[Run]) -> dict:
    """What several.js shows of all runs."""
    first = runs[0]
    heads = {name: several.head(answers) for name, answers in first.heads.items()}
    return {"several": True, "clips": {"ids": first.arrays["clip_ids"].tolist()}, "heads": heads}


def _compared(runs: Sequence[Run], groups: Mapping[str, Groups]) -> dict:
    """What page.js shows of clips of one class each, of all runs."""
    first = runs[0]
    areas, area_of_clip = tables.numbered(first.arrays["areas"].tolist())
    return {
        "areas": areas,
        "clips": {"ids": first.arrays["clip_ids"].tolist(), "areas": area_of_clip},
        "heads": {head: _head(first.heads[head], groups[head]) for head in first.heads},
        "changes": {
            head: [tables.changes(first.heads[head], run.heads[head]) for run in runs[1:]] for head in first.heads
        },
    }


def shown_clips(runs: Sequence[Run]) -> list[int]:
    """The clips that deserve a thumbnail, the most important first; may repeat.

    In turns: clips of the most confused pairs, the hardest and surest clips, and those on which the runs differ. Then
    the rest of the wrong clips, and all others.
    """
    head = runs[0].evaluated
    queues = []
    for run in runs:
        answers = run.heads[head]
        queues += tables.extremes(answers).values()
        queues.append([clip for pair in tables.pairs(answers) for clip in with_examples(answers, pair)])
    for run in runs[1:]:
        changed = tables.changes(runs[0].heads[head], run.heads[head])
        queues += [changed["lost"], changed["gained"]]
    longest = max(map(len, queues))
    in_turns = [queue[i] for i in range(longest) for queue in queues if i < len(queue)]
    return [*in_turns, *range(len(runs[0].arrays["clip_ids"]))]


def with_examples(answers: Answers, pair: dict, most: int = 6) -> list[int]:
    """The first wrong clips of a pair, and the surest correct clip of each of its classes to compare them with."""
    examples, scores = [], answers.score_of(answers.labels)
    for label in (pair["first"], pair["second"]):
        own = np.flatnonzero(answers.correct & (answers.labels == label))
        examples += [int(own[scores[own].argmax()])] if len(own) else []
    return [*pair["clips"][:most], *examples]


def _head(answers: Answers, groups: Groups) -> dict:
    areas, area = tables.numbered(groups.areas)
    composites, composite = tables.numbered(groups.composites)
    return {
        "classes": list(answers.classes),
        "labels": answers.labels.tolist(),
        "areas": areas,
        "area": area,
        "composites": composites,
        "composite": composite,
        "order": groups.order,
    }


def _run(run: Run, curves: Mapping, picture: bytes | None) -> dict:
    config = run.meta.get("config", {})
    facts = {
        "predictions": str(run.file),
        "network": config.get("model", {}).get("name", ""),
        "stream": config.get("data", {}).get("stream", ""),
        "objective": config.get("objective", ""),
        "step": run.results.get("step"),
        "fusion": ", ".join(run.results.get("fusion", {}).get("files", ())),
    }
    return {
        "name": run.name,
        "facts": {key: value for key, value in facts.items() if value not in ("", None)},
        "heads": {
            head: {"figures": run.figures[head], **(several.answers if run.multi_label else _answers)(answers)}
            for head, answers in run.heads.items()
        },
        "curves": curves,
        "map": picture and "data:image/png;base64," + base64.b64encode(picture).decode(),
    }


def _answers(answers: Answers) -> dict:
    """One head of one run. Scores are thousandths, since 1,500 clips have many."""
    top = answers.order[:, :TOP]
    pairs = tables.pairs(answers)
    return {
        "classes": tables.classes(answers),
        "pairs": [pair | {"examples": with_examples(answers, pair)} for pair in pairs[:MOST_PAIRS]],
        "pair_count": len(pairs),
        "top": top.tolist(),
        "scores": several.thousandths(np.take_along_axis(answers.scores, top, axis=1)),
        "label_score": several.thousandths(answers.score_of(answers.labels)),
        "rank": answers.rank.tolist(),
        **tables.extremes(answers),
    }
