"""The networks of a prediction: several workdirs at once, other views than the test's, the head that counts, fusion."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags

from haa_jax import averaging, checks, label_kinds
from haa_jax.errors import UserError
from haa_jax.learning.objectives import OBJECTIVES
from haa_jax.prediction import network_flags
from haa_jax.restore import TrainedNetwork


class NetworksError(UserError, ValueError):
    """Networks that cannot be fused, or cannot be used as asked."""


def load(flag_values: flags.FlagValues = flags.FLAGS) -> list[TrainedNetwork]:
    """The networks that the flags of `network_flags` name: several if --workdir lists several, with commas.

    Raises:
      Those of `network_flags.load`.
    """
    given = flag_values.workdir
    if not given or "," not in given:
        return [network_flags.load(flag_values)]
    try:
        found = []
        for flag_values.workdir in given.split(","):
            found.append(network_flags.load(flag_values))
        return found
    finally:
        flag_values.workdir = given


def with_views(network: TrainedNetwork, text: str) -> TrainedNetwork:
    """The network with other views at test, `WINDOWSxCROPS`.

    Raises:
      NetworksError: not such a text.
      checks.ConfigError: views that the network's clips cannot have.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise NetworksError(f"--views={text}: must be WINDOWSxCROPS, such as 1x1 or 10x3")
    config = network.config.copy_and_resolve_references()
    with config.unlocked():
        config.eval.windows, config.eval.crops = int(match[1]), int(match[2])
    checks.check_config(config)
    return dataclasses.replace(network, config=config.lock())


def evaluated_head(network: TrainedNetwork) -> str:
    """The head that the test evaluates; the first one of a network whose objective this program does not have."""
    objective = OBJECTIVES.get(network.config.objective)
    first = next(iter(network.classes))
    return objective.evaluated if objective and objective.evaluated in network.classes else first


def parse_weights(texts: Sequence[str]) -> tuple[float, ...]:
    """The numbers of --fusion_weights. Raises NetworksError."""
    try:
        return tuple(map(float, texts))
    except ValueError as error:
        raise NetworksError(f"--fusion_weights={','.join(texts)}: must be numbers") from error


def check_fusion(networks: Sequence[TrainedNetwork], weights: Sequence[float]) -> None:
    """Raises NetworksError unless all networks have the same heads and classes, and there is a weight for each.

    Networks that give clips several classes must also have the same threshold.
    """
    for number, network in enumerate(networks[1:], start=2):
        if network.threshold != networks[0].threshold:
            kinds = [_kind(each) for each in (network, networks[0])]
            raise NetworksError(
                f"network {number} gives clips {kinds[0]}, the first one {kinds[1]}; they cannot be fused"
            )
    first, *others = (network.classes for network in networks)
    for number, classes in enumerate(others, start=2):
        if classes.keys() != first.keys():
            raise NetworksError(
                f"network {number} has the heads {', '.join(classes)}, the first one {', '.join(first)}; "
                "only networks with the same heads can be fused"
            )
        for head in first:
            if classes[head] != first[head]:
                different = sorted(set(classes[head]) ^ set(first[head]))[:10]
                raise NetworksError(
                    f"the {head} classes of network {number} are not those of the first one "
                    f"(different: {different or 'their order'}); only networks with the same classes can be fused"
                )
    if fault := averaging.weights_fault("--fusion_weights", weights, len(networks), "networks"):
        raise NetworksError(fault)


def _kind(network: TrainedNetwork) -> str:
    return f"the classes above {network.threshold:g}" if network.multi_label else "one class each"


def fused(
    outputs: Sequence[Mapping[str, np.ndarray]],
    weights: Sequence[float],
    kind: label_kinds.LabelKind = label_kinds.ONE,
) -> dict[str, np.ndarray]:
    """The logits of one network as they are, or those of several, fused: head -> float32 (clips, classes).

    Args:
      outputs: of each network, head -> (clips, classes).
      weights: one for each.
      kind: of their labels.
    """
    if len(outputs) == 1:
        return dict(outputs[0])
    return {head: kind.fuse([each[head] for each in outputs], list(weights)) for head in outputs[0]}
