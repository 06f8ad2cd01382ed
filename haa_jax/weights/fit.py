"""Which tensor of a file fills which variable, by names and shapes; every tensor on both sides is accounted for."""

import collections
import dataclasses
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

Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Fit:
    """How a file's tensors match a network's variables.

    Attributes:
      source: key of names.sources_of(model).
      prefix: of every name of that source in the file, such as "module."; "" for none.
      taken: path of a variable, its collection first -> name in the file.
      missing: the names that the file lacks, with its prefix.
      mismatched: (name, shape in the file, shape of the variable) where they differ.
      gammas: path of a BatchNorm's bias -> name of a gamma that the network here does not have (I3D).
      unused: every other tensor of the file -> why it is not used.
      faults: lines on anything else that prevents the file from being used, and what to do.
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

    @property
    def in_head(self) -> frozenset[str]:
        """The names in the file of the last layer's tensors that are taken."""
        return frozenset(name for path, name in self.taken.items() if names.is_head(path[1:]))


def match(shapes: Mapping[str, tuple[int, ...]], model: str, variables: dict, head: str = "") -> Fit:
    """Pairs a file's tensors with a network's variables, using the source and prefix for which most names agree.

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
    in_file = _after_prefix(prefix, shapes)
    taken = {path: in_file[name] for path, name in by_source[source].items() if name in in_file}
    gammas = _gammas(in_file, source, model, wanted)
    heads = {sources[source](path[1:]) for path in flat if models.is_head(model, path[1:])}
    known = {*by_source[source].values(), *heads}
    used = [*taken.items(), *gammas.items()]
    rest = shapes.keys() - {name for _, name in used}
    unused = {name: _why_unused(name, prefix, model, known, heads) for name in shapes if name in rest}
    faults = _same_names(prefix, shapes, in_file)
    if len(whole) > 1:
        prefixes = " and ".join(map(repr, whole))
        faults += (
            f"it has the network {len(whole)} times, with the prefixes {prefixes}; save only the one that you want, "
            "without its prefix",
        )
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
    """The shape of a tensor of `source` in the layout of the variables here."""
    return to_ours(np.empty(shape, np.bool_), source, path).shape


def to_ours(array: np.ndarray, source: str, path: Path) -> np.ndarray:
    """Transposes kernels from (out, in, *window) to (*window, in, out); all else, and TensorFlow's, is unchanged."""
    if path[-1] != "kernel" or source in names.CHANNELS_LAST or array.ndim < 2:
        return array
    return np.moveaxis(array, (0, 1), (-1, -2))


def _best(
    shapes: Mapping[str, tuple[int, ...]],
    by_source: Mapping[str, Mapping[Path, str]],
    wanted: Mapping[Path, tuple[int, ...]],
) -> tuple[str, str, list[str]]:
    """The source and prefix for which most names agree, then most shapes; of equals, the shorter prefix.

    Returns:
      Both, and all prefixes under which the whole network is found: if more than one, the user must decide.
    """
    counts = collections.Counter({(source, ""): 0 for source in by_source})
    for source, by_path in by_source.items():
        known = set(by_path.values())
        counts.update((source, start) for name in shapes for start, end in _splits(name) if names.clean(end) in known)
    most = max(counts.values())
    agreeing = {}
    for source, prefix in (each for each, count in counts.items() if count == most):
        in_file = _after_prefix(prefix, shapes)
        pairs = {path: in_file[name] for path, name in by_source[source].items() if name in in_file}
        agreeing[source, prefix] = sum(_agree(shapes[name], source, path, wanted[path]) for path, name in pairs.items())
    source, prefix = max(agreeing, key=lambda each: (agreeing[each], -len(each[1])))
    return source, prefix, [each[1] for each, n in agreeing.items() if each[0] == source and n == len(wanted)]


def _after_prefix(prefix: str, shapes: Collection[str]) -> dict[str, str]:
    """What follows a prefix, after `names.clean` -> name in the file; the first of names that become equal."""
    rests: dict[str, str] = {}
    for name in shapes:
        if name.startswith(prefix):
            rests.setdefault(names.clean(name.removeprefix(prefix)), name)
    return rests


def _same_names(prefix: str, shapes: Collection[str], in_file: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each tensor whose name becomes that of another."""
    pairs = [(in_file[names.clean(name.removeprefix(prefix))], name) for name in shapes if name.startswith(prefix)]
    return tuple(
        f"two of its tensors, {first} and {name}, would be the same tensor; save only one of them"
        for first, name in pairs
        if first != name
    )


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Splits a name into prefix and rest: no prefix, then after each separator."""
    for end in (0, *(found.end() for found in re.finditer("[./]", name))):
        yield name[:end], name[end:]


def _agree(shape: tuple[int, ...], source: str, path: Path, wanted: tuple[int, ...]) -> bool:
    return _without_leading_ones(our_shape(shape, source, path)) == _without_leading_ones(wanted)


def _why_unused(name: str, prefix: str, model: str, known: Collection[str], heads: Collection[str]) -> str:
    stem = names.clean(name.removeprefix(prefix))
    if name.startswith(prefix) and stem in heads:
        return "classification layer"
    if name.endswith("num_batches_tracked"):
        return "counters"
    if _OPTIMIZER.fullmatch(stem):
        return "optimizer state"
    if model == "stgcn" and _ADJACENCY_NAME.fullmatch(stem):
        return ADJACENCY
    others = [start for start, end in _splits(name) if names.clean(end) in known]
    if others:
        return f"another copy of the network, {f'with prefix {others[0]!r}' if others[0] else 'without a prefix'}"
    return UNKNOWN


def _gammas(in_file: Mapping[str, str], source: str, model: str, wanted: Collection[Path]) -> dict:
    """The gammas of I3D's PyTorch ports, which have one per BatchNorm; the published network has none."""
    if model != "i3d":
        return {}
    biases = [path for path in wanted if path[-2:] == ("batch_norm", "bias")]
    by_path = {path: names.SOURCES[model][source]((*path[1:-1], "scale")) for path in biases}
    return {path: in_file[name] for path, name in by_path.items() if name in in_file}


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """2-D kernels lack the time axis, and linear layers may be stored as 1x1x1 convolutions or single rows."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _nothing_known(
    model: str, by_source: Mapping[str, Mapping[Path, str]], in_file: Collection[str]
) -> tuple[str, ...]:
    """The faults of a file without any name that is known for the network."""
    here = f"in the file: {listed(list(in_file), 3) or 'nothing'}"
    if list(by_source) == [names.OURS]:
        return (
            f"no published weights are known for config.model.name={model!r}; {here}",
            "What to do: start from the workdir of a run of this network, or add the file's names to SOURCES in "
            "haa_jax/weights/names.py",
        )
    firsts = ", ".join(f"{next(iter(by_path.values()))} ({source})" for source, by_path in by_source.items())
    return (
        f"none of its names is known for config.model.name={model!r}; {here}; known names are like {firsts}",
        "What to do: use the config of the file's network, or save its tensors under such names",
    )


def listed(items: list[str], limit: int) -> str:
    """The items separated by commas, cut to `limit` of them."""
    return ", ".join(items if len(items) <= limit else [*items[: limit - 1], "..."])
