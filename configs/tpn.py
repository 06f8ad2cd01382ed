"""TPN, temporal pyramid network, ResNet-50: Yang et al., arXiv 2004.03548 (recipe: decisionforce/TPN config_files).

    python -m haa_jax.main --config=configs/tpn.py --workdir=runs/tpn

The paper's top-1 accuracy on HAA500 (Table 6, TPN RGB, 500 atomic classes; the variant is not given) is 50.53 %, which
is 758 of 1500 clips. The default information flow is the released code's cascade; TPN's paper has
`--config.model.information_flow=parallel`. The authors start from ImageNet, HAA500's table from scratch. The color
jitter is simpler than the authors' (no hue, no PCA noise, drawn once per clip).

Variants follow a colon, separated by commas: see VARIANTS. The demo, a narrow network on 8 small frames:

    python -m haa_jax.main --config=configs/tpn.py:demo --workdir=runs/tpn_demo
"""

from haa_jax.configs import base

VARIANTS = {
    "slowonly": "ResNet-50 with 3x1x1 convolutions in its last two stages, 8 frames of stride 8 (the default)",
    "tsm": "ResNet-50 with temporal shift, 8 segments",
    **base.VARIANTS,
}


def get_config(variants: str = ""):
    chosen = base.parse_variants(variants, VARIANTS)
    config = base.get_config()
    config.model.name = "tpn"
    config.model.variant = base.one_of(chosen, "slowonly", "tsm")
    config.model.shift = "inplace"  # as in the released weights
    config.model.bn_momentum = 0.9
    data = config.data
    data.frames, data.stride, data.temporal_padding = 8, 8, "repeat"
    data.augment, data.color_jitter = "resized_crop", True
    data.mean, data.std = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
    config.train.epochs = 150.0
    optimizer = config.optimizer
    optimizer.learning_rate, optimizer.base_batch_size, optimizer.nesterov = 0.01, 256, True
    optimizer.milestones, optimizer.factors = (75 / 150, 125 / 150), (0.1, 0.01)
    optimizer.weight_decay, optimizer.weight_decay_mask, optimizer.clip_norm = 1e-4, "all", 40.0
    evaluation = config.eval
    evaluation.every_epochs = 8.0
    evaluation.crop, evaluation.windows, evaluation.crops, evaluation.average = 256, 10, 3, "softmax"
    if config.model.variant == "tsm":
        data.sampling, data.stride = "segments", 1
        optimizer.weight_decay, optimizer.clip_norm = 5e-4, 20.0
        evaluation.windows = 2
    if "demo" in chosen:
        base.set_demo(config)
        config.train.epochs = 30.0
        data.stride, data.augment, data.color_jitter = 1 if config.model.variant == "tsm" else 2, "crop", False
        evaluation.crop, evaluation.windows, evaluation.crops = 0, 1, 1
        config.model.width = 0.25
    base.set_objective(config, chosen)
    return config
