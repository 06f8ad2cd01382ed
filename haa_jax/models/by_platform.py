"""One form of a computation for CPUs, another for all other devices."""

import functools
from collections.abc import Callable

import jax


def choose(on_cpu: Callable, elsewhere: Callable, *arrays: jax.Array, **options):
    """What one of two functions makes of arrays; which one is settled when a program is compiled for a platform.

    Args:
      on_cpu, elsewhere: functions of modules, so that each is one object.
      options: named arguments of both; hashable.
    """
    return _choose(on_cpu, elsewhere, tuple(options.items()), *arrays)


# `jit` remembers the traces: networks repeat their shapes, and each trace is of both forms. Programs are as without it.
@functools.partial(jax.jit, static_argnums=(0, 1, 2), inline=True)
def _choose(on_cpu, elsewhere, options, *arrays):
    forms = [functools.partial(form, **dict(options)) for form in (on_cpu, elsewhere)]
    return jax.lax.platform_dependent(*arrays, cpu=forms[0], default=forms[1])
