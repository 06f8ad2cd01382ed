"""Clips per second of the training step alone, on whatever device JAX finds.

    python -m benchmarks.train_step [--batch_size=64] [--peak_tflops=790] [--float32]

The default is I3D on 32 frames at 224 pixels in bfloat16, with random clips already on the device. Prints
clips/s, the fraction of `--peak_tflops` that the network's multiply-adds amount to (forward and backward counted as
three times forward), and the peak of device memory if the device reports it.
"""

import functools
import time

import jax
import numpy as np
from absl import app, flags

from haa_jax import config_flag, models
from haa_jax.data.views import empty_clips
from haa_jax.experiment import clip_shape, train_step
from haa_jax.learning.optimizers import make_optimizer
from haa_jax.learning.train_state import fresh_state
from haa_jax.models.cost import multiply_adds
from haa_jax.models.parameters import abstract_variables, initializer, shapes_of
from haa_jax.runtime import mesh

_CONFIG = config_flag.define("Model and frames to time (default: configs/i3d.py).")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Clips per step, over all devices.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 20, "Timed steps, after two that compile and warm up.", lower_bound=1)
_PEAK = flags.DEFINE_float("peak_tflops", 790.0, "TFLOP/s of one device; default: bfloat16 as measured on an H200.")
_FLOAT32 = flags.DEFINE_bool("float32", False, "Activations in float32 instead of bfloat16.")
CLASSES = 500


def main(argv):
    config_flag.no_arguments(argv)
    config = _CONFIG.value
    if not _FLOAT32.value:
        config.model.dtype = "bfloat16"
    device_mesh = mesh.make_mesh()
    mesh.check_batch_size("--batch_size", _BATCH_SIZE.value, device_mesh)
    model = models.build(config.model, {"atomic": CLASSES})
    shape = clip_shape(config)
    init = initializer(model)
    roles = models.parameter_roles(config.model.name, shapes_of(init, shape))
    optimizer = make_optimizer(config.optimizer, _BATCH_SIZE.value, 1000, roles)
    layout = mesh.replicated(device_mesh)
    train_state = fresh_state(config.seed, shape, init=init, optimizer=optimizer, shardings=layout)
    step = jax.jit(train_step(config, model, optimizer), donate_argnums=0)
    batch = mesh.to_global(random_batch(config), device_mesh)
    rate = clips_per_second(step, train_state, batch)
    report(rate, 3 * forward_flops(config))


def random_batch(config) -> dict:
    rng = np.random.default_rng(0)
    clips = empty_clips(config.data, _BATCH_SIZE.value)
    for array in clips.values():
        array[...] = rng.integers(0, 256, array.shape)
    return {"clips": clips, "labels": {"atomic": rng.integers(0, CLASSES, _BATCH_SIZE.value).astype(np.int32)}}


def clips_per_second(step, train_state, batch) -> float:
    for number in range(_STEPS.value + 2):
        if number == 2:
            jax.block_until_ready(train_state)
            start = time.perf_counter()
        train_state, _ = step(train_state, batch)
    jax.block_until_ready(train_state)
    return _STEPS.value * _BATCH_SIZE.value / (time.perf_counter() - start)


def forward_flops(config) -> int:
    """FLOPs of the forward pass of one clip, by its plain convolutions."""
    model = models.build(config.model, {"atomic": CLASSES})
    clips = jax.ShapeDtypeStruct((1, *clip_shape(config)), np.float32)
    variables = abstract_variables(model, clip_shape(config))
    return 2 * multiply_adds(lambda v, x: model.apply(v, x, train=False)[0], variables, clips)


def report(rate: float, flops: float) -> None:
    devices = jax.devices()
    used = rate * flops / 1e12 / len(devices)
    print(f"{len(devices)} x {devices[0].device_kind}: {rate:.1f} clips/s, {flops / 1e9:.1f} GFLOP per clip")
    print(f"{used:.2f} TFLOP/s per device, {100 * used / _PEAK.value:.2f} % of {_PEAK.value:.0f}")
    stats = devices[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        print(f"peak memory {stats['peak_bytes_in_use'] / 2**30:.1f} GiB")


if __name__ == "__main__":
    app.run(main, flags_parser=functools.partial(config_flag.parse, default="configs/i3d.py"))
