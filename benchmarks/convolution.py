"""Times a CPU's forms of a convolution and its gradients (`haa_jax.models.cpu_convolution`) against XLA's own.

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

from haa_jax.models import convolution, cpu_convolution

# Clips, kernel, stride, features.
SETTINGS = {
    "I3D 2c, 1 clip": ((1, 16, 56, 56, 64), (3, 3, 3), (1, 1, 1), 192),
    "I3D 3b, 1 clip": ((1, 16, 28, 28, 96), (3, 3, 3), (1, 1, 1), 128),
    "I3D 2c, demo": ((16, 4, 12, 12, 16), (3, 3, 3), (1, 1, 1), 48),
    "I3D 1a, demo": ((16, 8, 48, 48, 3), (7, 7, 7), (2, 2, 2), 16),
    "ResNet layer1, 12 frames": ((12, 1, 56, 56, 64), (1, 3, 3), (1, 1, 1), 64),
    "ResNet layer3, 12 frames": ((12, 1, 14, 14, 256), (1, 3, 3), (1, 1, 1), 256),
    "ResNet 1x1, 12 frames": ((12, 1, 56, 56, 256), (1, 1, 1), (1, 1, 1), 64),
    "SlowFast fast, 1 clip": ((1, 32, 56, 56, 32), (3, 1, 1), (1, 1, 1), 8),
    "ST-GCN, 4 people": ((4, 100, 17, 1, 64), (9, 1, 1), (1, 1, 1), 64),
}


def passes(shape, extents, stride, features) -> dict[str, tuple]:
    """Name of a pass -> (ours, XLA's), compiled functions without arguments."""
    rng = np.random.default_rng(0)
    pads = tuple((extent // 2, extent // 2) for extent in extents)
    options = {"stride": stride, "pads": pads}
    x, kernel = (jnp.asarray(rng.normal(size=size), jnp.float32) for size in (shape, (*extents, shape[-1], features)))
    plain = functools.partial(convolution._by_xla, **options)
    dy = jnp.asarray(rng.normal(size=jax.eval_shape(plain, x, kernel).shape), jnp.float32)
    forms = {
        "forward": (cpu_convolution.forward, lambda x, kernel, dy: plain(x, kernel)),
        "for the clips": (cpu_convolution.gradient_of_x, lambda x, kernel, dy: jax.vjp(plain, x, kernel)[1](dy)[0]),
        "for the kernel": (
            cpu_convolution.gradient_of_kernel,
            lambda x, kernel, dy: jax.vjp(plain, x, kernel)[1](dy)[1],
        ),
    }
    forward = functools.partial(cpu_convolution.forward, **options)
    compiled = {}
    for name, (own, xla) in forms.items():
        if name == "for the clips" and max(stride) > 1:
            continue
        own = jax.jit(
            (lambda x, kernel, dy: forward(x, kernel)) if name == "forward" else functools.partial(own, **options)
        )
        compiled[name] = [functools.partial(form, x, kernel, dy) for form in (own, jax.jit(xla))]
    return compiled


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
    print(f"{'convolution':26}{'pass':16}{'XLA, ms':>10}{'ours, ms':>10}{'faster by':>11}")
    for name, setting in SETTINGS.items():
        for label, calls in passes(*setting).items():
            own, xla = best_ms(calls)
            print(f"{name:26}{label:16}{xla:10.1f}{own:10.1f}{xla / own:10.1f}x", flush=True)


if __name__ == "__main__":
    main()
