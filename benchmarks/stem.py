"""Times I3D with its first convolution computed directly and by space-to-depth.

    python -m benchmarks.stem

Prints milliseconds (median; the two stems alternate) of the forward pass and of forward and backward in training mode,
and their ratio: above 1, space-to-depth is faster. Compilation is not counted. The faster stem depends on the device:
run this on yours before setting `config.model.stem`.
"""

import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from haa_jax.models import i3d

SETTINGS = ({"clips": (1, 32, 224, 224, 3), "width": 1.0}, {"clips": (8, 16, 64, 64, 3), "width": 0.25})
REPEATS = 5


def random_variables(module: i3d.I3D, clips: jax.Array) -> dict:
    """Variables of the right shapes and scale; much faster than compiling the module's initializers."""
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), clips, train=False))
    rng, flat = np.random.default_rng(0), {}
    for path, leaf in traverse_util.flatten_dict(shapes).items():
        noise = rng.standard_normal(leaf.shape, np.float32) / np.prod(leaf.shape[:-1]) ** 0.5
        flat[path] = jnp.asarray({"kernel": noise, "var": 1 + 0 * noise}.get(path[-1], 0 * noise))
    return traverse_util.unflatten_dict(flat)


def passes(stem: str, width: float, clips: jax.Array) -> dict[str, Callable[[], object]]:
    """Name of a pass -> compiled function without arguments."""
    module = i3d.I3D({"atomic": 500}, width=width, dropout=0.0, stem=stem)
    variables = random_variables(module, clips)

    def loss(params):
        given = variables | {"params": params}
        (logits, _), _ = module.apply(given, clips, train=True, mutable=["batch_stats"])
        return -jax.nn.log_softmax(logits["atomic"])[:, 0].mean()

    forward = jax.jit(lambda v: module.apply(v, clips, train=False)[0])
    backward = jax.jit(jax.grad(loss))
    return {
        "forward": lambda: forward(variables),
        "forward and backward": lambda: backward(variables["params"]),
    }


def alternate(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds of each call; alternating exposes all of them to the same disturbances."""
    times = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(REPEATS):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, float32, median of {REPEATS}")
    print(f"{'clips':24}{'width':>6}  {'pass':22}{'conv, ms':>10}{'space_to_depth, ms':>20}{'ratio':>7}")
    for setting in SETTINGS:
        clips = jax.random.uniform(jax.random.key(0), setting["clips"], minval=-1)
        by_stem = {stem: passes(stem, setting["width"], clips) for stem in i3d.STEM_FORMS}
        for name in by_stem["conv"]:
            ms = alternate({stem: calls[name] for stem, calls in by_stem.items()})
            plain, blocked = ms["conv"], ms["space_to_depth"]
            row = f"{'x'.join(map(str, setting['clips'])):24}{setting['width']:6}  {name:22}"
            print(f"{row}{plain:10.1f}{blocked:20.1f}{plain / blocked:7.2f}")


if __name__ == "__main__":
    main()
