"""The cost of a network in multiply-adds, counted in its traced program."""

import math
from collections.abc import Callable

import jax


def multiply_adds(function: Callable, *arguments) -> int:
    """Multiply-adds of all convolutions and matrix products in `function(*arguments)`, which papers call FLOPs.

    Nothing is computed; the arguments may be shapes (jax.ShapeDtypeStruct). The body of a loop counts once per
    iteration. Where a platform has a form of its own (`jax.lax.platform_dependent`), the plain one counts. The zeros
    that the gradient of a strided convolution puts between its inputs do not count, as in the forward pass.
    """
    return _count(jax.make_jaxpr(function)(*arguments).jaxpr)


def _count(jaxpr) -> int:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation) -> int:
    name, parameters = equation.primitive.name, equation.params
    out = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[parameters["dimension_numbers"].rhs_spec[0]]
        return out * math.prod(kernel) // outputs // math.prod(parameters["lhs_dilation"])
    if name == "dot_general":
        (contracted, _), _ = parameters["dimension_numbers"]
        return out * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
    if name == "cond":
        return _count(parameters["branches"][-1].jaxpr)  # what `platform_dependent` calls default
    inner = sum(_count(getattr(value, "jaxpr", value)) for value in parameters.values() if _is_jaxpr(value))
    return inner * parameters.get("length", 1) if name == "scan" else inner


def _is_jaxpr(value) -> bool:
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")
