"""Which tensor of a file fills which variable, by names and shapes, with an account of every tensor on both sides."""

import collections
import dataclasses
import difflib
import re
from collections.abc import Collection, Iterator, Mapping

import numpy as np
from flax import traverse_util

from haa_jax import models
from haa_jax.weights import names

UNKNOWN = "not a tensor of this network"
ADJACENCY = "adjacency (compared)"

_ADJACENCY_NAME = re.compile(r"A|backbone\.gcn\.\d+\.gcn\.A")
_OPTIMIZER = re.compile(r".*/(Momentum|Adam(_1)?|RMSProp(_1)?)|global_step|lr|.*_momentum")
_LISTED = 20  # names in one line

Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Fit:
    """What a file is to a network.

    Attributes:
      source: key of names.sources_of(model).
      prefix: what stands in the file before every name of that source ("module."), "" for nothing.
      taken: path of a variable, its collection first -> name in the file.
      missing: names, as the file would call them, of variables that it has no tensor for.
      mismatched: name, shape in the file and shape wanted (in our layout), where they differ.
      gammas: path of a BatchNorm's bias -> name of a gamma that our network does not have (I3D).
      unused: every other tensor of the file -> why it is not used.
      faults: lines on whatever else keeps the file from being used, and what to do.
      notes: lines on what was left out when the file was read.
    """

    source: str
    prefix: str
    taken: dict[Path, str]
    missing: list[str]
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]]
    gammas: dict[Path, str]
    unused: dict[str, str]
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        return not (self.missing or self.mismatched or self.faults)


def match(shapes: Mapping[str, tuple[int, ...]], model: str, variables: dict, head: str = "") -> Fit:
    """Pairs a file's tensors with a network's variables, by the source and the prefix with which most names agree.

    Args:
      shapes: name -> shape, of every tensor in the file.
      model: name of the architecture, a key of models.MODELS.
      variables: {"params", "batch_stats"} as the network's init returns them, arrays or shapes.
      head: name of the head that takes the file's last layer; "" for none.
    """
    flat = traverse_util.flatten_dict(variables)
    wanted = {
        path: leaf.shape for path, leaf in flat.items() if not models.is_head(model, path[1:]) or path[-2] == head
    }
    sources = names.sources_of(model)
    by_source = {source: {path: name_of(path[1:]) for path in wanted} for source, name_of in sources.items()}
    source, prefix, whole = _best(shapes, by_source, wanted)
    in_file = _behind(prefix, shapes)
    taken = {path: in_file[name] for path, name in by_source[source].items() if name in in_file}
    gammas = _gammas(in_file, source, model, wanted)
    heads = {sources[source](path[1:]) for path in flat if models.is_head(model, path[1:])}
    known = {*by_source[source].values(), *heads}
    used = [*taken.items(), *gammas.items()]
    rest = shapes.keys() - {name for _, name in used}
    unused = {name: _why_unused(name, prefix, model, known, heads) for name in shapes if name in rest}
    faults = _same_names(prefix, shapes, in_file)
    if len(whole) > 1:
        faults += (f"it holds the network {len(whole)} times, behind {_quoted(whole)}; {_SAVE_ONE}",)
    if not taken:
        faults += _nothing_known(model, by_source, shapes)
    return Fit(
        source=source,
        prefix=prefix,
        taken=taken,
        missing=[prefix + name for name in by_source[source].values() if name not in in_file],
        mismatched=[
            (name, shapes[name], wanted[path])
            for path, name in used
            if not _agree(shapes[name], source, path, wanted[path])
        ],
        gammas=gammas,
        unused=unused,
        faults=faults,
    )


def our_shape(shape: tuple[int, ...], source: str, path: Path) -> tuple[int, ...]:
    """The shape that a tensor of `source` has in our layout."""
    return to_ours(np.empty(shape, np.bool_), source, path).shape


def to_ours(array: np.ndarray, source: str, path: Path) -> np.ndarray:
    """Kernels from (out, in, *window) to (*window, in, out); everything else, and TensorFlow's, stays as it is."""
    if path[-1] != "kernel" or source in names.CHANNELS_LAST or array.ndim < 2:
        return array
    return np.moveaxis(array, (0, 1), (-1, -2))


def describe(fit: Fit) -> str:
    """The account in a few lines: every missing and mismatched tensor, every fault, unused ones by reason."""
    behind = f" behind {fit.prefix!r}" if fit.prefix else ""
    lines = [f"names as in {fit.source}{behind}: {len(fit.taken)} tensors taken, {len(fit.missing)} missing"]
    lines += [f"  {note}" for note in fit.notes]
    if not fit.taken:
        return "\n".join(
            [f"0 tensors taken, {len(fit.missing)} missing", *lines[1:], *(f"  {each}" for each in fit.faults)]
        )
    lines += [f"  missing: {name}{_nearest(name, fit.unused)}" for name in fit.missing]
    lines += [f"  shape: {name} is {_x(got)} in the file, {_x(want)} here" for name, got, want in fit.mismatched]
    if fit.gammas:
        lines.append(f"  {len(fit.gammas)} gammas that the published network does not have (folded where not 1)")
    unwrapped = sum(
        names.clean(rest) != rest for rest in (name.removeprefix(fit.prefix) for name in fit.taken.values())
    )
    if unwrapped:
        lines.append(f"  '.net', which TSM puts into names, left out of {unwrapped}")
    reasons = collections.defaultdict(list)
    for name, reason in fit.unused.items():
        reasons[reason].append(name)
    for reason, unused in sorted(reasons.items()):
        lines.append(f"  not used, {reason}: {len(unused)} ({_listed(unused, _LISTED if reason == UNKNOWN else 3)})")
    lines += [f"  {fault}" for fault in fit.faults]
    if fit.missing or fit.mismatched:
        lines.append(f"  {_OTHER_CONFIG}")
    return "\n".join(lines)


_SAVE_ONE = "save the one that you want alone, under its names without that prefix"
_OTHER_CONFIG = (
    "What to do: take the config, with its variants, that the file was trained with (stream, width), or another "
    "file of this network"
)


def _best(
    shapes: Mapping[str, tuple[int, ...]],
    by_source: Mapping[str, Mapping[Path, str]],
    wanted: Mapping[Path, tuple[int, ...]],
) -> tuple[str, str, list[str]]:
    """The source and the prefix with which most names agree, then most shapes; where none differs, the shorter prefix.

    Returns:
      Both, and all prefixes behind which the whole network stands: more than one is for the user to decide.
    """
    counts = collections.Counter({(source, ""): 0 for source in by_source})
    for source, by_path in by_source.items():
        known = set(by_path.values())
        counts.update((source, start) for name in shapes for start, end in _splits(name) if names.clean(end) in known)
    most = max(counts.values())
    agreeing = {}
    for source, prefix in (each for each, count in counts.items() if count == most):
        in_file = _behind(prefix, shapes)
        pairs = {path: in_file[name] for path, name in by_source[source].items() if name in in_file}
        agreeing[source, prefix] = sum(_agree(shapes[name], source, path, wanted[path]) for path, name in pairs.items())
    source, prefix = max(agreeing, key=lambda each: (agreeing[each], -len(each[1])))
    return source, prefix, [each[1] for each, n in agreeing.items() if each[0] == source and n == len(wanted)]


def _behind(prefix: str, shapes: Collection[str]) -> dict[str, str]:
    """What follows a prefix, as `names.clean` has it -> the name in the file, the first of those that come to one."""
    rests: dict[str, str] = {}
    for name in shapes:
        if name.startswith(prefix):
            rests.setdefault(names.clean(name.removeprefix(prefix)), name)
    return rests


def _same_names(prefix: str, shapes: Collection[str], in_file: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each tensor whose name comes to that of another."""
    pairs = [(in_file[names.clean(name.removeprefix(prefix))], name) for name in shapes if name.startswith(prefix)]
    return tuple(
        f"two of its tensors, {first} and {name}, would be the same one; save only one of them"
        for first, name in pairs
        if first != name
    )


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """A name as prefix and rest: nothing and all of it, then behind each separator."""
    for end in (0, *(found.end() for found in re.finditer("[./]", name))):
        yield name[:end], name[end:]


def _nothing_known(
    model: str, by_source: Mapping[str, Mapping[Path, str]], in_file: Collection[str]
) -> tuple[str, ...]:
    """What to say of a file with no name that is known for the network."""
    here = f"in the file: {_listed(list(in_file), 3) or 'nothing'}"
    if list(by_source) == [names.OURS]:
        return (
            f"no published weights are known for config.model.name={model!r}; {here}",
            "What to do: start from the workdir of a run of ours, or add the names in the file to SOURCES in "
            "haa_jax/weights/names.py",
        )
    firsts = ", ".join(f"{next(iter(by_path.values()))} ({source})" for source, by_path in by_source.items())
    return (
        f"none of its names is known for config.model.name={model!r}; {here}; known would be: {firsts}",
        "What to do: take the config of the network that the file is of, or save its tensors under one of these names",
    )


def _agree(shape: tuple[int, ...], source: str, path: Path, wanted: tuple[int, ...]) -> bool:
    return _without_leading_ones(our_shape(shape, source, path)) == _without_leading_ones(wanted)


def _why_unused(name: str, prefix: str, model: str, known: Collection[str], heads: Collection[str]) -> str:
    stem = names.clean(name.removeprefix(prefix))
    if name.startswith(prefix) and stem in heads:
        return "the classes' layer"
    if name.endswith("num_batches_tracked"):
        return "counters"
    if _OPTIMIZER.fullmatch(stem):
        return "optimizer state"
    if model == "stgcn" and _ADJACENCY_NAME.fullmatch(stem):
        return ADJACENCY
    others = [start for start, end in _splits(name) if names.clean(end) in known]
    if others:
        return f"another copy of the network, {f'behind {others[0]!r}' if others[0] else 'without a prefix'}"
    return UNKNOWN


def _gammas(in_file: Mapping[str, str], source: str, model: str, wanted: Collection[Path]) -> dict:
    """The PyTorch ports of I3D give each BatchNorm a gamma; the published network has none."""
    if model != "i3d":
        return {}
    biases = [path for path in wanted if path[-2:] == ("batch_norm", "bias")]
    by_path = {path: names.SOURCES[model][source]((*path[1:-1], "scale")) for path in biases}
    return {path: in_file[name] for path, name in by_path.items() if name in in_file}


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """2-D kernels lack our axis of time, and linear layers were 1x1x1 convolutions or had vectors of one row."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _nearest(name: str, unused: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, [each for each, why in unused.items() if why == UNKNOWN], n=1, cutoff=0.8)
    return f" (nearest in the file: {close[0]})" if close else ""


def _listed(listed: list[str], limit: int) -> str:
    return ", ".join(listed if len(listed) <= limit else [*listed[: limit - 1], "..."])


def _quoted(prefixes: list[str]) -> str:
    return " and ".join(map(repr, prefixes))


def _x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
