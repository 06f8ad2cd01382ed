"""The gradient of a result with respect to the intermediate values that led to it.

A network returns its endpoints, but offers no way to differentiate with respect to them. Here the traced program of the
call is evaluated once more, equation by equation, with a perturbation of zero added to each endpoint: the gradient with
respect to the perturbation is that with respect to the endpoint. Networks need no code for it.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal, Var


class UnusedError(ValueError):
    """The result is not computed from some of the values; the message is their names."""


def vjp(function: Callable, *arguments) -> tuple[jax.Array, dict[str, jax.Array], Callable]:
    """A result, named intermediate values, and the gradients of the result with respect to them.

    Args:
      function: `function(*arguments)` is (result, {name: intermediate value}); the values are those that the result is
        computed from, not copies in another shape or dtype.

    Returns:
      The result, the intermediate values by name, and a function from a cotangent of the result to the gradients by
      name, with the shapes and dtypes of the values.

    Raises:
      UnusedError: the result is not computed from some of the values.
    """
    program, (_, shapes) = jax.make_jaxpr(function, return_shape=True)(*arguments)
    result, *values = program.jaxpr.outvars
    variables = dict(zip(sorted(shapes), values, strict=True))  # trees of dicts are flattened in this order
    used = {id(operand) for equation in program.jaxpr.eqns for operand in equation.invars}
    unused = [name for name, variable in variables.items() if id(variable) not in used]
    if unused:
        raise UnusedError(", ".join(unused))

    def evaluate(perturbations):
        added = {variables[name]: value for name, value in perturbations.items()}
        known = _evaluate(program, jax.tree.leaves(arguments), added)
        return known[result], {name: known[variable] for name, variable in variables.items()}

    zeros = {name: jnp.zeros(variable.aval.shape, variable.aval.dtype) for name, variable in variables.items()}
    found, pull_back, endpoints = jax.vjp(evaluate, zeros, has_aux=True)
    return found, endpoints, lambda cotangent: pull_back(cotangent)[0]


def _evaluate(program: ClosedJaxpr, arguments: list, added: Mapping[Var, jax.Array]) -> dict[Var, jax.Array]:
    """The values of all variables of a program, after adding those of `added` to the variables they are for."""
    jaxpr = program.jaxpr
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*program.consts, *arguments), strict=True))
    for equation in jaxpr.eqns:
        operands = list(dict.fromkeys(each for each in equation.invars if not isinstance(each, Literal)))
        single = jaxpr.replace(constvars=(), invars=operands, outvars=equation.outvars, eqns=[equation])
        results = jax.core.eval_jaxpr(single, (), *(known[each] for each in operands))
        for variable, value in zip(equation.outvars, results, strict=True):
            known[variable] = value + added[variable] if variable in added else value
    return known
