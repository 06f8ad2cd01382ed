import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from flax import traverse_util

from haa_jax import models
from haa_jax.configs import base
from haa_jax.models import parameters

NETWORKS = [
    ("i3d", "", (16, 64, 64, 3)),
    ("slowfast", "4x16", (32, 64, 64, 3)),
    ("tsn", "resnet50", (2, 64, 64, 3)),
    ("tsn", "bninception", (2, 64, 64, 3)),
    ("tpn", "tsm", (8, 64, 64, 3)),
    ("stgcn", "coco17", (1, 8, 17, 3)),
]


def variables_of(name, variant, shape, classes):
    config = base.get_config().model
    config.name, config.variant, config.width = name, variant, 0.0625
    return parameters.abstract_variables(models.build(config, {"atomic": classes}), shape)


def shapes_of(variables):
    return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(variables["params"]).items()}


@pytest.mark.parametrize(("name", "variant", "shape"), NETWORKS)
def test_roles_in_every_network(name, variant, shape):
    variables, others = variables_of(name, variant, shape, 5), variables_of(name, variant, shape, 6)
    roles = models.parameter_roles(name, variables)
    assert {path[-1] for path, role in roles.items() if role.kind == "kernel"} == {"kernel"}
    assert {path[-1] for path, role in roles.items() if role.kind == "norm"} <= {"scale", "bias"}
    unknown = {path[-1] for path, role in roles.items() if role.kind == "other"}
    assert unknown == ({"edge_importance"} if name == "stgcn" else set())
    # The heads are what changes with the number of classes, and nothing else does.
    before, after = shapes_of(variables), shapes_of(others)
    assert {path for path, role in roles.items() if role.in_head} == {p for p in before if before[p] != after[p]}
    # The stems are the kernels that see the channels of the clip.
    stems = {path for path, role in roles.items() if role.in_stem and role.kind == "kernel"}
    wanted = {path for path in before if path[-1] == "kernel" and before[path][:-2][-2:] == SEES_THE_CLIP.get(name)}
    assert stems == {path for path in wanted if before[path][-2] == shape[-1]}


SEES_THE_CLIP = dict.fromkeys(("i3d", "slowfast", "tsn", "tpn"), (7, 7))  # extents of the first kernels


class Normalized(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Conv(4, (1, 1), name="bn")(x)
        x = nn.BatchNorm(use_running_average=not train, name="conv")(x)
        return nn.Dense(2, name="top")(nn.LayerNorm(name="norm")(x))


def test_a_role_follows_from_the_module_and_not_from_its_name():
    variables = parameters.abstract_variables(Normalized(), (8, 8, 3))
    roles = parameters.roles(variables, heads=["top"], stem=["bn"])
    kinds = {"/".join(path): role.kind for path, role in roles.items()}
    assert kinds == {
        **{"bn/kernel": "kernel", "bn/bias": "bias", "top/kernel": "kernel", "top/bias": "bias"},
        **{"conv/scale": "norm", "conv/bias": "norm", "norm/scale": "other", "norm/bias": "other"},
    }
    assert {path[0] for path, role in roles.items() if role.in_head} == {"top"}
    assert {path[0] for path, role in roles.items() if role.in_stem} == {"bn"}


@pytest.mark.parametrize("wrong", [{"heads": ["Logit"], "stem": ["bn"]}, {"heads": ["top"], "stem": ["bn/con"]}])
def test_a_declared_module_that_the_network_does_not_have(wrong):
    variables = parameters.abstract_variables(Normalized(), (8, 8, 3))
    with pytest.raises(ValueError, match="none of the modules that its file declares: (HEADS = .*Logit|STEM = .*con)'"):
        parameters.roles(variables, **wrong)


def test_a_path_is_within_whole_modules_only():
    assert parameters.is_within(("backbone", "stem", "conv"), ["backbone/stem"])
    assert parameters.is_within(("backbone", "stem"), ["other", "backbone/stem"])
    assert not parameters.is_within(("backbone", "stem2"), ["backbone/stem"])
    assert not parameters.is_within(("backbone",), ["backbone/stem"])
    assert not parameters.is_within(("backbone",), [])


def test_abstract_variables_are_those_of_init():
    found = parameters.abstract_variables(Normalized(), (8, 8, 3))
    made = Normalized().init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), train=False)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), made) == jax.tree.map(lambda x: (x.shape, x.dtype), found)
