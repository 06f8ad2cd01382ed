"""TSN, temporal segment networks: Wang et al., arXiv 1608.00859, and TSM: Lin et al., arXiv 1811.08383.

    python -m haa_jax.main --config=configs/tsn.py --workdir=runs/tsn

The recipe of ResNet-50 and TSM is mit-han-lab/temporal-shift-module scripts/train_tsn_kinetics_rgb_5f.sh; that of
BN-Inception is yjxiong/tsn-pytorch README (UCF101). Both fine-tune from ImageNet. HAA500's paper trains from scratch,
so partial BatchNorm and the cross-modality initialization of flow's first layer are left out.

The paper's top-1 accuracy on HAA500 (Table 6, TSN RGB, 500 atomic classes; the backbone is not given) is 55.33 %, which
is 830 of 1500 clips; `configs/tsn.py:flow` has 49.13 % (737/1500). The two-stream row, 64.40 % (966/1500), is

    python -m haa_jax.fuse runs/tsn/predictions.npz runs/tsn_flow/predictions.npz --weights=1,1.5 --out=runs/tsn_two

Variants follow a colon, separated by commas: see VARIANTS. The demo, a narrow network on 4 segments of small frames:

    python -m haa_jax.main --config=configs/tsn.py:demo --workdir=runs/tsn_demo
"""

from haa_jax.configs import base

VARIANTS = {
    "resnet50": "ResNet-50 backbone (the default)",
    "bninception": "BN-Inception, the backbone of TSN's authors",
    "tsm": "ResNet-50 with temporal shift",
    "rgb": "RGB frames (the default)",
    "flow": "stacks of 5 flow fields, ten channels",
    **base.VARIANTS,
}


def get_config(variants: str = ""):
    chosen = base.parse_variants(variants, VARIANTS)
    config = base.get_config()
    config.model.name = "tsn"
    config.model.variant = base.one_of(chosen, "resnet50", "bninception", "tsm")
    config.model.bn_momentum = 0.9
    data = config.data
    data.stream = base.one_of(chosen, "rgb", "flow")
    data.sampling, data.augment = "segments", "multi_scale"
    optimizer = config.optimizer
    if data.stream == "flow":
        data.dataset, data.flow_stack = "haa500/flow", 5
        optimizer.stem_lr_multiplier = 5.0
    optimizer.base_batch_size = 128
    optimizer.bias_lr_multiplier = 2.0
    if config.model.variant == "bninception":
        _tsn_pytorch(config)
    else:
        _temporal_shift_module(config)
    evaluation = config.eval
    evaluation.every_epochs = 4.0
    if config.model.variant == "tsm":
        evaluation.crops = 1  # its README tests one center crop
    else:
        evaluation.frames, evaluation.crops = 25, 10
    if "demo" in chosen:
        base.set_demo(config)
        config.train.epochs = 40.0
        data.frames, data.augment = 8 if config.model.variant == "tsm" else 4, "crop"
        evaluation.frames, evaluation.crops = 0, 1
        config.model.width = 0.25
        if config.model.variant == "bninception":
            data.resize, data.crop = 72, 64  # even before each of its five halvings
    base.set_objective(config, chosen)
    return config


def _temporal_shift_module(config) -> None:
    config.data.frames = 8 if config.model.variant == "tsm" else 5
    if config.data.stream == "rgb":
        config.data.mean, config.data.std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    else:
        config.data.std = (57.63,)  # 0.226 * 255
    config.train.epochs = 50.0
    config.optimizer.learning_rate = 0.02
    config.optimizer.milestones, config.optimizer.factors = (0.4, 0.8), (0.1, 0.01)
    config.optimizer.weight_decay, config.optimizer.clip_norm = 1e-4, 20.0
    config.optimizer.head_lr_multiplier = 5.0


def _tsn_pytorch(config) -> None:
    config.data.frames = 3
    if config.data.stream == "rgb":
        config.data.bgr, config.data.mean, config.data.std = True, (104.0, 117.0, 128.0), (1.0,)
        config.train.epochs, config.optimizer.milestones, config.model.dropout = 80.0, (30 / 80, 60 / 80), 0.8
    else:
        config.data.mean, config.data.std = (128.0,), (1.0,)
        config.train.epochs, config.optimizer.milestones, config.model.dropout = 340.0, (190 / 340, 300 / 340), 0.7
    config.optimizer.learning_rate = 1e-3
    config.optimizer.factors = (0.1, 0.01)
    config.optimizer.weight_decay, config.optimizer.clip_norm = 5e-4, 20.0
