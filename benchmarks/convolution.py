"""Times a CPU's forms of a convolution and its gradients (`haa_jax.models.cpu_convolution`) against XLA's own
(`haa_jax.models.xla_convolution`).

    python -m benchmarks.convolution

Prints milliseconds (best of 5, the two alternating) and how many times faster ours are, at sizes of the networks. The
gradients of XLA for strided convolutions, minutes at full size, are left out where the network needs none: a first
convolution has no gradient for the clips.
"""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from haa_jax.models import cpu_convolution, xla_convolution
from haa_jax.runtime import compiling

# Clips, kernel, stride, features.
SETTINGS = {
    "I3D 2c, 1 clip": ((1, 16, 56, 56, 64), (3, 3, 3), (1, 1, 1), 192),
    "I3D 3b, 1 clip": ((1, 16, 28, 28, 96), (3, 3, 3), (1, 1, 1), 128),
    "I3D 2c, demo": ((16, 4, 12, 12, 16), (3, 3, 3), (1, 1, 1), 48),
    "I3D 1a, demo": ((16, 8, 48, 48, 3), (7, 7, 7), (2, 2, 2), 16),
    "ResNet layer1, 12 frames": ((12, 1, 56, 56, 64), (1, 3, 3), (1, 1, 1), 64),
    "ResNet layer3, 12 frames": ((12, 1, 14, 14, 256), (1, 3, 3), (1, 1, 1), 256),
    "ResNet 1x1, 12 frames": ((12, 1, 56, 56, 256), (1, 1, 1), (1, 1, 1), 64),
    "TPN neck, 1 clip": ((1, 8, 7, 7, 1024), (1, 3, 3), (1, 1, 1), 2048),
    "SlowFast fast, 1 clip": ((1, 32, 56, 56, 32), (3, 1, 1), (1, 1, 1), 8),
    "ST-GCN, 4 people": ((4, 100, 17, 1, 64), (9, 1, 1), (1, 1, 1), 64),
}


def passes(shape, extents, stride, features) -> dict[str, tuple]:
    """Name of a pass -> (ours, XLA's), compiled functions without arguments."""
    rng = np.random.default_rng(0)
    pads = tuple((extent // 2, extent // 2) for extent in extents)
    options = {"stride": stride, "pads": pads}
    x, kernel = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in (shape, (*extents, shape[-1], features)))
    y = jax.eval_shape(functools.partial(xla_convolution.forward, **options), x, kernel)
    dy = jnp.asarray(rng.normal(size=y.shape), jnp.float32)
    wanted = {"forward": ("forward", (x, kernel)), "for the kernel": ("gradient_of_kernel", (x, kernel, dy))}
    if max(stride) == 1:
        wanted["for the clips"] = ("gradient_of_x", (x, kernel, dy))
    return {
        label: tuple(
            functools.partial(jax.jit(functools.partial(getattr(form, name), **options)), *arrays)
            for form in (cpu_convolution, xla_convolution)
        )
        for label, (name, arrays) in wanted.items()
    }


def best_ms(calls) -> list[float]:
    for call in calls:
        jax.block_until_ready(call())
    times = [[] for _ in calls]
    for _ in range(5):
        for call, found in zip(calls, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(call())
            found.append(1e3 * (time.perf_counter() - start))
    return [min(found) for found in times]


def main() -> None:
    compiling.prepare()  # the flags of haa_jax.main, before JAX finds its devices
    print(f"{'convolution':26}{'pass':16}{'XLA, ms':>10}{'ours, ms':>10}{'faster by':>11}")
    for name, setting in SETTINGS.items():
        for label, calls in passes(*setting).items():
            own, xla = best_ms(calls)
            print(f"{name:26}{label:16}{xla:10.1f}{own:10.1f}{xla / own:10.1f}x", flush=True)


if __name__ == "__main__":
    main()
