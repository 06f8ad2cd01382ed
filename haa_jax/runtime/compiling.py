"""Settings that make programs quick to compile, for a CPU above all, and leave them as fast or make them faster.

To a CPU's compiler a network's step is thousands of small loops, and compiling them is most of a short run. Over half
of that time goes into unrolling loops, into a second way of generating their code, and into LLVM's search for the
cheapest indices, which do not make the step faster: `python -m benchmarks.compile_time` compares. Other platforms are
left alone.

Tracing a network makes objects by the million, which nobody drops: at Python's own threshold, a fifth of the time goes
into looking for garbage among them.
"""

import gc
import importlib.metadata
import os
import typing

if typing.TYPE_CHECKING:  # a command sets the flags before it loads JAX
    from jax.sharding import Mesh

NO_UNROLLING = "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling=true"
NO_STRENGTH_REDUCTION = ",-disable-lsr"  # LLVM's own option, which a GPU's compiler would take as well
# jaxlib 0.10 gives 2-D convolutions to a library, YNNPACK, which runs those of few output channels (64 or fewer on two
# cores) on one thread. Eigen's take as much CPU time and use all threads. YNNPACK in jaxlib 0.12 uses all, too.
EIGEN_CONVOLUTIONS = "--xla_cpu_experimental_ynn_fusion_type=-individual_convolution"
# What only these releases need, or know: an option that XLA or LLVM does not know is an error.
JAXLIB = importlib.metadata.version("jaxlib")
IS_0_10 = JAXLIB.startswith("0.10.")
OBJECTS = 50_000  # made before Python looks for garbage; its own threshold is 700 to 2,000


def prepare() -> None:
    """Adds to XLA_FLAGS, which XLA reads when JAX looks for its devices, and has Python look for garbage less often.

    The flags that the user has set win.
    """
    gc.set_threshold(OBJECTS)
    os.environ["XLA_FLAGS"] = f"{_flags()} {os.environ.get('XLA_FLAGS', '')}".strip()


def _flags() -> str:
    flags = NO_UNROLLING
    if JAXLIB.startswith(("0.10.", "0.12.")) and not importlib.metadata.entry_points(group="jax_plugins"):
        flags += NO_STRENGTH_REDUCTION
    return f"{flags} {EIGEN_CONVOLUTIONS}" if IS_0_10 else flags


def options(device_mesh: "Mesh") -> dict[str, bool | int | str]:
    """The argument `compiler_options` of `jax.jit` for a program that runs on the devices of `device_mesh`."""
    if device_mesh.devices.flat[0].platform != "cpu" or not IS_0_10:
        return {}
    return {"xla_cpu_use_fusion_emitters": False}
