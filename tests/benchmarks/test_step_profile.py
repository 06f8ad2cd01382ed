"""Which kind of work and which layer benchmarks/step_profile.py counts an operation as; nothing is profiled."""

import types

import pytest

from benchmarks import step_profile

BLOCK = "backbone/layer2_block0"


@pytest.mark.parametrize(
    ("path", "kind", "layer"),
    [
        (f"jvp(TSN)/{BLOCK}/conv1/conv/cond/branch_0_fun/dot_general", 0, f"{BLOCK}/conv1/conv"),
        ("transpose(jvp(STGCN))/block7/tcn_conv/cond/branch_0_fun/while/body/closed_call/slice", 0, "block7/tcn_conv"),
        ("jvp(I3D)/Mixed_5b/Branch_1/Conv3d_0a_1x1/conv_3d/add_any", 0, "Mixed_5b/Branch_1/Conv3d_0a_1x1/conv_3d"),
        ("jvp(I3D)/Mixed_5b/Branch_1/Conv3d_0a_1x1/batch_norm/sub", 1, "Mixed_5b/Branch_1/Conv3d_0a_1x1/batch_norm"),
        (f"transpose(jvp(TSN))/{BLOCK}/conv3/bn/reduce_sum", 1, f"{BLOCK}/conv3/bn"),
        ("jvp(STGCN)/block7/tcn_bn/sub", 1, "block7/tcn_bn"),
        (f"jvp(TSN)/{BLOCK}/jit(relu)/max", 2, BLOCK),
        ("transpose(jvp(I3D))/Mixed_5b/Branch_1/Conv3d_0a_1x1/select_n", 2, "Mixed_5b/Branch_1/Conv3d_0a_1x1"),
        ("transpose(jvp(I3D))/cond/branch_0_fun/max", 2, "I3D"),
        ("add", 3, None),
        ("jit(_where)/select_n", 3, None),
    ],
)
def test_operations_are_told_apart_by_the_modules_that_they_are_in(path, kind, layer):
    assert step_profile.kind_of(f"jit(train_step)/{path}") == step_profile.KINDS[kind]
    assert layer is None or step_profile.layer_of(f"jit(train_step)/{path}") == layer


def test_a_trace_is_summed_by_kind_and_by_layer():
    program = """HloModule jit_train_step
  %dot.1 = f32[4,4]{1,0} dot(%a, %b), metadata={op_name="jit(train_step)/jvp(TSN)/stem/conv/dot_general" id=3}
  max_fusion = f32[4]{0} fusion(%c), kind=kLoop, metadata={op_name="jit(train_step)/jvp(TSN)/stem/jit(relu)/max"}
  %while.2 = (s32[], f32[4]{0}) while(%e), body=%f, metadata={op_name="jit(train_step)/jvp(TSN)/stem/conv/while"}
  %copy.3 = f32[4]{0} copy(%d)
  ROOT %tuple.4 = (f32[4]{0}) tuple(%max_fusion), metadata={op_name="jit(train_step)/add"}
"""
    durations = {"dot.1": 3000, "max_fusion": 1500, "while.2": 5000, "copy.3": 600, "another": 9000}  # microseconds
    events = [{"ph": "X", "name": name, "dur": each} for name, each in durations.items()] * step_profile.STEPS
    kinds, layers = step_profile.by_layer(
        [*events, {"ph": "M", "name": "dot.1"}, {"ph": "X", "dur": 1}], step_profile.operations(program)
    )
    convolutions, _, rest, _ = step_profile.KINDS
    assert kinds == pytest.approx({convolutions: 3.0, rest: 2.1})
    assert layers[convolutions] == pytest.approx({"stem/conv": 3.0})
    assert layers[rest] == pytest.approx({"stem": 1.5, "copies": 0.6})


def test_pytorch_s_operations_count_as_what_they_are_called_by():
    def event(name, parent=None):
        return types.SimpleNamespace(name=name, cpu_parent=parent)

    convolution = event("aten::convolution_backward", event("autograd::engine: ReluBackward0"))
    kinds = [
        step_profile.kind_of_theirs(each)
        for each in (event("aten::addmm", convolution), event("aten::native_batch_norm"), event("aten::addmm"))
    ]
    assert kinds == list(step_profile.KINDS[:3])
