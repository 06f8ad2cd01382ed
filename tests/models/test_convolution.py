import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import collectives
from haa_jax import config_flag
from haa_jax.models import convolution, cpu_convolution, cpu_kernel_gradient, tpu_convolution
from haa_jax.models.convolution import convolve
from haa_jax.runtime import mesh

# kernel, stride, padding, channels, features: every branch of cpu_convolution, odd sizes, one-sided padding.
CASES = {
    "1x1x1": ((1, 1, 1), (1, 1, 1), [(0, 0)] * 3, 6, 5),
    "1x1x1, strided": ((1, 1, 1), (2, 2, 2), [(0, 0)] * 3, 6, 5),
    "1x1x1, padded": ((1, 1, 1), (1, 2, 1), [(0, 0), (1, 1), (0, 0)], 6, 5),
    "time": ((3, 1, 1), (1, 1, 1), [(1, 1), (0, 0), (0, 0)], 4, 7),
    "time, to fewer features": ((5, 1, 1), (1, 1, 1), [(2, 2), (0, 0), (0, 0)], 9, 4),
    "time, to many features": ((3, 1, 1), (1, 1, 1), [(1, 1), (0, 0), (0, 0)], 4, 17),
    "time, strided, to many features": ((5, 1, 1), (3, 1, 1), [(2, 2), (0, 0), (0, 0)], 6, 17),
    "time, padded over rows": ((3, 1, 1), (1, 1, 1), [(1, 0), (1, 0), (0, 0)], 4, 17),
    "time, strided": ((5, 1, 1), (3, 1, 1), [(2, 2), (0, 0), (0, 0)], 6, 5),
    "frames": ((1, 3, 3), (1, 1, 1), [(0, 0), (1, 1), (1, 1)], 6, 5),
    "frames, strided": ((1, 3, 3), (1, 2, 2), [(0, 0), (1, 1), (1, 1)], 6, 5),
    "frames, padded over time": ((1, 3, 3), (2, 1, 1), [(1, 2), (1, 1), (1, 1)], 6, 5),
    "all": ((3, 3, 5), (1, 1, 1), [(1, 1), (1, 1), (2, 2)], 5, 7),
    "all, to fewer features": ((3, 3, 3), (1, 1, 1), [(1, 1)] * 3, 9, 4),
    "all, without padding": ((3, 2, 3), (1, 1, 1), [(0, 0)] * 3, 5, 6),
    "all, strided": ((3, 3, 5), (2, 2, 1), [(0, 0), (1, 1), (2, 2)], 9, 6),
    "all, to many features": ((3, 3, 3), (1, 1, 1), [(1, 1)] * 3, 5, 17),
    "all, few positions": ((5, 7, 6), (1, 1, 1), [(0, 0)] * 3, 2, 100),
    "all, strided, few positions": ((3, 3, 5), (3, 4, 4), [(0, 0), (1, 1), (2, 2)], 5, 60),
    "all, strided, to many features": ((3, 3, 5), (2, 2, 1), [(0, 0), (1, 1), (2, 2)], 5, 17),
    "time, strided, padded by less than a stride": ((4, 1, 1), (3, 1, 1), [(1, 1), (0, 0), (0, 0)], 6, 5),
    "rows strided alone": ((3, 3, 1), (1, 2, 1), [(1, 1), (1, 0), (0, 0)], 5, 6),
    "I3D's stem": ((7, 7, 7), (2, 2, 2), [(2, 3), (2, 3), (3, 3)], 3, 8),
    "I3D's stem on flow": ((7, 7, 7), (2, 2, 2), [(2, 3), (3, 3), (2, 3)], 2, 8),
    "SlowFast's stem": ((5, 7, 7), (1, 2, 2), [(2, 2), (3, 3), (3, 3)], 3, 4),
    "ResNet's stem": ((1, 7, 7), (1, 2, 2), [(0, 0), (3, 3), (3, 3)], 3, 8),
}

# Those that reach the form of a TPU, and one that does not.
ON_A_TPU = (
    "all",
    "all, strided",
    "all, without padding",
    "I3D's stem",
    "I3D's stem on flow",
    "SlowFast's stem",
    "time",
)


def by_xla(x, kernel, stride, pads):
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, dimension_numbers=("NDHWC", "DHWIO", "NDHWC"))


def cotangent(y):
    return jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)


def with_gradients(form, x, kernel):
    y, pull_back = jax.vjp(form, x, kernel)
    return y, *pull_back(cotangent(y))


def own_forms(x, kernel, form, **options):
    y = form.forward(x, kernel, **options)
    gradients = form.gradient_of_x, form.gradient_of_kernel
    return y, *(gradient(x, kernel, cotangent(y), **options) for gradient in gradients)


FORMS = [
    *((cpu_convolution, case, {}) for case in CASES),
    *((tpu_convolution, case, {}) for case in ON_A_TPU),
    (tpu_convolution, "1x1x1, strided", {"in_3d": True}),
    (tpu_convolution, "all", {"in_3d": True}),
]
IDS = [f"{form.__name__.split('.')[-1]}, {case}{', in 3d' if more else ''}" for form, case, more in FORMS]


@pytest.mark.parametrize("sizes", [(8, 9, 11), (5, 8, 6)])
@pytest.mark.parametrize(("form", "case", "more"), FORMS, ids=IDS)
def test_values_and_both_gradients_are_those_of_xla(form, case, more, sizes):
    extents, stride, pads, channels, features = CASES[case]
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, *sizes, channels)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(*extents, channels, features)), jnp.float32)
    options = {"stride": stride, "pads": pads}
    wanted = jax.jit(functools.partial(with_gradients, functools.partial(by_xla, **options)))(x, kernel)
    found = jax.jit(functools.partial(own_forms, form=form, **options, **more))(x, kernel)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, atol=2e-6 * np.abs(want).max(), rtol=0, strict=True)


def lowered(function, *shapes, platform: str) -> str:
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).trace(*shapes).lower(lowering_platforms=(platform,)).as_text()


def test_accelerators_keep_the_convolutions_of_xla_and_compute_no_gradient_that_nobody_asks_for(monkeypatch):
    def loss(kernels, clips):
        x = convolve(clips, kernels[0], (1, 2, 2), [(1, 1)] * 3)
        return convolve(x, kernels[1], (1, 1, 1), [(1, 1)] * 3).sum()

    shapes = (2, 4, 8, 8, 3), (3, 3, 3, 3, 6), (3, 3, 3, 6, 5)
    gradient = jax.grad(lambda first, second, clips: loss((first, second), clips), argnums=(0, 1))
    frozen = jax.grad(lambda second, first, clips: loss((first, second), clips))
    clips, first, second = shapes
    monkeypatch.setattr(convolution, "SMALL", 0)
    for platform in ("tpu", "cuda"):
        # The first convolution, the gradients of the second, that of the first kernel; the loss is a sum.
        assert lowered(gradient, first, second, clips, platform=platform).count("stablehlo.convolution") == 1 + 1 + 2
        assert lowered(frozen, second, first, clips, platform=platform).count("stablehlo.convolution") == 1 + 1
    assert "stablehlo.dot_general" in lowered(gradient, first, second, clips, platform="cpu")
    assert "stablehlo.dot_general" not in lowered(gradient, first, second, clips, platform="tpu")


@pytest.mark.parametrize(
    ("size", "own"),
    [((3, 4, 8), {"forward", "x"}), ((1, 2, 2), set()), ((2, 2, 2), set()), ((4, 4, 8), {"forward", "x", "kernel"})],
)
def test_a_small_convolution_is_that_of_xla_on_a_cpu_where_another_form_does_not_pay(size, own):
    """Those of XLA are 3-D here; of 373,248, 15,552, 31,104 and 1,990,656 multiply-adds a clip."""
    channels = 32 if size == (4, 4, 8) else 12
    form = functools.partial(convolve, stride=(1, 1, 1), pads=[(1, 1)] * 3)
    x, kernel = (2, *size, channels), (3, 3, 3, channels, 18 if channels == 32 else 12)
    passes = {
        "forward": form,
        "x": jax.grad(lambda x, kernel: form(x, kernel).sum(), 0),
        "kernel": jax.grad(lambda x, kernel: form(x, kernel).sum(), 1),
    }
    programs = {name: lowered(each, x, kernel, platform="cpu") for name, each in passes.items()}
    assert {name for name, text in programs.items() if not re.search(r"\[\w, 0, 1, 2, \w\]", text)} == own


# Network -> its convolutions without groups, those of them that see the clips as they come, and its max pools.
NETWORKS = {"i3d": (57, 1, 13), "slowfast": (110, 2, 2), "tsn": (53, 1, 1), "tpn": (59, 1, 1), "stgcn": (22, 0, 0)}


def count_on_a_tpu(name: str) -> tuple[int, int]:
    """Convolutions, and gradients of max pools, in the whole training step as it is lowered for a TPU."""
    traced, _ = collectives.trace_step(config_flag.load(f"{name}.py"), mesh.make_mesh(1, jax.devices()[:1]), 1)
    program = traced.lower(lowering_platforms=("tpu",)).as_text()
    return program.count("stablehlo.convolution"), program.count("stablehlo.select_and_scatter")


def plain(convolutions: int, on_clips: int, pools: int) -> tuple[int, int]:
    """The same counts by construction: each convolution with both gradients, but nobody asks for that of the clips."""
    return 3 * convolutions - on_clips, pools


@pytest.mark.parametrize("name", [*(pytest.param(n, marks=pytest.mark.slow) for n in list(NETWORKS)[:-1]), "stgcn"])
def test_no_form_of_a_cpu_is_in_the_training_step_of_a_tpu(name):
    assert count_on_a_tpu(name) == plain(*NETWORKS[name])


def test_no_form_of_a_cpu_is_in_four_blocks_of_i3d_on_a_tpu(shallow_i3d):
    assert count_on_a_tpu("i3d") == plain(7, 1, 3)


def test_on_a_tpu_clips_are_convolved_by_frames_and_a_1x1x1_kernel_as_its_neighbors_are():
    def shapes(kernel, channels, **options):
        form = functools.partial(convolve, stride=(1, 1, 1), pads=[(1, 1)] * 3, **options)
        program = lowered(form, (2, 16, 64, 64, channels), (*kernel, channels, 64), platform="tpu")
        return re.findall(r"stablehlo\.convolution.*\(tensor<(\w+)>, tensor<(\w+)>\)", program)

    assert shapes((3, 3, 3), 3) == [("32x64x64x9xf32", "3x3x9x64xf32")]
    assert shapes((3, 3, 3), 16) == [("2x16x64x64x16xf32", "3x3x3x16x64xf32")]
    assert shapes((1, 1, 1), 16, in_3d=True) == [("2x16x64x64x16xf32", "1x1x1x16x64xf32")]


def test_an_exported_program_has_both_forms(monkeypatch):
    monkeypatch.setattr(convolution, "SMALL", 0)
    x, kernel = (jnp.ones(shape) for shape in ((1, 3, 4, 4, 2), (3, 3, 3, 2, 5)))
    form = functools.partial(convolve, stride=(1, 1, 1), pads=[(1, 1)] * 3)
    exported = jax.export.export(jax.jit(form), platforms=("cpu", "tpu"))(x, kernel)
    np.testing.assert_allclose(exported.call(x, kernel), by_xla(x, kernel, (1, 1, 1), [(1, 1)] * 3), rtol=1e-5)


def test_the_gradients_of_the_whole_are_those_of_its_form(monkeypatch):
    x, kernel = jax.random.normal(jax.random.key(0), (2, 4, 5, 6, 3)), jnp.ones((3, 3, 3, 3, 4))
    form = functools.partial(convolve, stride=(1, 2, 1), pads=[(1, 1)] * 3)
    small = with_gradients(form, x, kernel)
    monkeypatch.setattr(convolution, "SMALL", 0)
    for got, want in zip(with_gradients(form, x, kernel), small, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize(("channels", "features"), [(6, 4), (6, 9)])
def test_the_product_over_positions_is_of_matrices_with_the_smaller_first(channels, features):
    rng = np.random.default_rng(0)
    x, dy = (jnp.asarray(rng.normal(size=(2, 3, 4, 5, size)), jnp.float32) for size in (channels, features))
    expected = np.einsum("bthwi,bthwo->io", np.float64(x), np.float64(dy))
    np.testing.assert_allclose(cpu_kernel_gradient._product(x, dy), expected, rtol=1e-5, atol=1e-5)
    program = lowered(cpu_kernel_gradient._product, x.shape, dy.shape, platform="cpu")
    (shapes,) = re.findall(r"dot_general .* contracting_dims = \[0\] x \[0\].* : (.*)\n", program)
    smaller, larger = sorted((channels, features))
    assert shapes.startswith(f"(tensor<120x{smaller}xf32>, tensor<120x{larger}xf32>)")


def kernel_gradient(case, batch, at_once, monkeypatch):
    """A function of x and dy, and values for them; the kernel's gradient is computed for `at_once` clips at a time."""
    extents, stride, pads, channels, features = CASES[case]
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(batch, 5, 8, 6, channels)), jnp.float32)
    kernel = jnp.zeros((*extents, channels, features))
    y = jax.eval_shape(functools.partial(by_xla, stride=stride, pads=pads), x, kernel)
    monkeypatch.setattr(cpu_kernel_gradient, "_clips_at_once", lambda *_: at_once)
    gradient = functools.partial(cpu_kernel_gradient.gradient_of_kernel, stride=stride, pads=pads)
    return lambda x, dy: gradient(x, kernel, dy), x, jnp.asarray(rng.normal(size=y.shape), jnp.float32)


@pytest.mark.parametrize("case", ["1x1x1, strided", "all, strided", "I3D's stem"])
def test_few_clips_at_once_give_the_gradient_of_all(case, monkeypatch):
    gradient, x, dy = kernel_gradient(case, 6, 6, monkeypatch)
    expected = gradient(x, dy)
    for at_once in (1, 2, 3):
        gradient, *_ = kernel_gradient(case, 6, at_once, monkeypatch)
        np.testing.assert_allclose(gradient(x, dy), expected, atol=2e-6 * np.abs(expected).max(), rtol=0)


def test_a_batch_that_is_split_over_devices_stays_split(monkeypatch):
    gradient, x, dy = kernel_gradient("all", 8, 4, monkeypatch)
    split = jax.sharding.NamedSharding(mesh.make_mesh(devices=jax.devices()[:4]), jax.sharding.PartitionSpec("data"))
    program = jax.jit(gradient, in_shardings=(split, split)).lower(x, dy).compile().as_text()
    assert "while" in program
    assert set(collectives.collectives(program)) == {"all-reduce"}


@pytest.mark.parametrize(
    ("batch", "positions", "devices", "expected"),
    [
        (16, 100, 1, 16),
        (16, 10_000, 1, 16),
        (16, 40_000, 1, 4),
        (12, 25_000, 1, 6),
        (7, 40_000, 1, 1),
        (16, 10**9, 1, 1),
        (16, 40_000, 2, 8),  # 4 of each
        (12, 40_000, 4, 12),
        (16, 10**9, 8, 8),
        (1, 40_000, 8, 1),  # not split
    ],
)
def test_the_taps_of_the_clips_at_once_are_at_most_two_million_numbers(batch, positions, devices, expected):
    x = dy = jax.ShapeDtypeStruct((batch, 1, positions, 1, 6), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 1, 1, 6, 6), jnp.float32)
    assert cpu_kernel_gradient._clips_at_once(x, kernel, dy, (1, 1, 1), devices) == expected


def test_the_gradient_of_a_single_tap_is_one_product_of_all_clips():
    x = jax.ShapeDtypeStruct((4, 8, 56, 56, 64), jnp.float32)
    kernel = jax.ShapeDtypeStruct((1, 1, 1, 64, 64), jnp.float32)
    gradient = functools.partial(cpu_kernel_gradient.gradient_of_kernel, stride=(1, 1, 1), pads=((0, 0),) * 3)
    program = jax.jit(gradient).lower(x, kernel, x).as_text()
    assert program.count("dot_general") == 1
    assert "while" not in program
