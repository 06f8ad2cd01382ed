"""A fit as text: what was taken, what is missing, and why the rest is not used."""

import collections
import difflib
from collections.abc import Mapping

from haa_jax.weights import names
from haa_jax.weights.fit import UNKNOWN, Fit, listed

_LISTED = 20  # names in one line
_OTHER_CONFIG = (
    "What to do: use the config, with its variants, that the file was trained with (stream, width), or another "
    "file of this network"
)
_OTHER_CLASSES = "What to do: give the class names of the file's last layer, all of them and in its order"


def describe(fit: Fit) -> str:
    """The fit in a few lines: every missing and mismatched tensor, every fault, unused ones by reason."""
    prefix = f" with prefix {fit.prefix!r}" if fit.prefix else ""
    lines = [f"names as in {fit.source}{prefix}: {len(fit.taken)} tensors taken, {len(fit.missing)} missing"]
    lines += [f"  {note}" for note in fit.notes]
    if not fit.taken:
        return "\n".join(
            [f"0 tensors taken, {len(fit.missing)} missing", *lines[1:], *(f"  {each}" for each in fit.faults)]
        )
    lines += [f"  missing: {name}{_nearest(name, fit.unused)}" for name in fit.missing]
    lines += [f"  shape: {name} is {_x(got)} in the file, {_x(want)} here" for name, got, want in fit.mismatched]
    if fit.gammas:
        lines.append(
            f"  {len(fit.gammas)} gammas that the published network does not have (folded into the kernels unless 1)"
        )
    unwrapped = sum(
        names.clean(rest) != rest for rest in (name.removeprefix(fit.prefix) for name in fit.taken.values())
    )
    if unwrapped:
        lines.append(f"  '.net', which TSM inserts into names, removed from {unwrapped}")
    reasons = collections.defaultdict(list)
    for name, reason in fit.unused.items():
        reasons[reason].append(name)
    for reason, unused in sorted(reasons.items()):
        lines.append(f"  not used, {reason}: {len(unused)} ({listed(unused, _LISTED if reason == UNKNOWN else 3)})")
    lines += [f"  {fault}" for fault in fit.faults]
    if fit.mismatched and not fit.missing and fit.in_head.issuperset(name for name, _, _ in fit.mismatched):
        lines.append(f"  {_OTHER_CLASSES}")
    elif fit.missing or fit.mismatched:
        lines.append(f"  {_OTHER_CONFIG}")
    return "\n".join(lines)


def _nearest(name: str, unused: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, [each for each, why in unused.items() if why == UNKNOWN], n=1, cutoff=0.8)
    return f" (nearest in the file: {close[0]})" if close else ""


def _x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
