"""Times max pooling by one axis after another against XLA's windowed form, at I3D's sizes.

    python -m benchmarks.pool

Prints milliseconds (best of 7) of the forward pass and of the gradient, and how many times faster
`haa_jax.models.pooling.max_pool` is. On devices other than a CPU, both are XLA's.
"""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from haa_jax.models.pooling import max_pool

SETTINGS = {
    "2a, demo": ((16, 8, 32, 32, 16), (1, 3, 3), (1, 2, 2)),
    "3b, demo": ((16, 8, 8, 8, 48), (3, 3, 3), (1, 1, 1)),
    "4b, demo": ((16, 4, 4, 4, 128), (3, 3, 3), (1, 1, 1)),
    "3a, full": ((2, 16, 56, 56, 192), (1, 3, 3), (1, 2, 2)),
    "3b, full": ((2, 16, 28, 28, 192), (3, 3, 3), (1, 1, 1)),
}


def best_ms(function, x) -> float:
    jax.block_until_ready(function(x))
    times = []
    for _ in range(7):
        start = time.perf_counter()
        jax.block_until_ready(function(x))
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def gradient(function):
    return jax.grad(lambda x: (function(x) ** 2).sum())


def main() -> None:
    print(f"{'pool':12}{'pass':12}{'XLA, ms':>10}{'by axis, ms':>13}{'faster by':>12}")
    rng = np.random.default_rng(0)
    for name, (shape, window, stride) in SETTINGS.items():
        x = jnp.asarray(rng.normal(size=shape), jnp.float32)
        options = {"window_shape": window, "strides": stride, "padding": "SAME"}
        pools = [functools.partial(nn.max_pool, **options), lambda x, o=options: max_pool(x, *o.values())]
        for label, wrap in {"forward": lambda f: f, "gradient": gradient}.items():
            xla, own = (best_ms(jax.jit(wrap(pool)), x) for pool in pools)
            print(f"{name:12}{label:12}{xla:10.1f}{own:13.1f}{xla / own:11.1f}x")


if __name__ == "__main__":
    main()
