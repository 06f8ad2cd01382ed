"""SlowFast, ResNet-50: Feichtenhofer et al., arXiv 1812.03982 (recipe: facebookresearch/SlowFast
configs/Kinetics/SLOWFAST_4x16_R50.yaml and SLOWFAST_8x8_R50.yaml).

    python -m haa_jax.main --config=configs/slowfast.py --workdir=runs/slowfast

The paper's top-1 accuracy on HAA500 (Table 6, SlowFast RGB, 500 atomic classes; the variant is not given) is 25.07 %,
which is 376 of 1500 clips. `configs/slowfast.py:flow` has 22.87 % (343/1500), `:pose` 28.33 % (425/1500), and all
three fused 39.93 % (599/1500).

Frames are sampled at 30 per second, whatever the clip's own rate, as in the authors' code; `--config.data.fps=0` uses
the clip's own rate.

Variants follow a colon, separated by commas: see VARIANTS. The demo, a narrow network on 8 small frames:

    python -m haa_jax.main --config=configs/slowfast.py:demo --workdir=runs/slowfast_demo
"""

from haa_jax.configs import base

VARIANTS = {
    "4x16": "the slow pathway sees 4 of 32 frames (the default, except in the demo)",
    "8x8": "the slow pathway sees 8 of 32 frames (the demo's default)",
    "rgb": "RGB frames (the default)",
    "flow": "optical flow, two channels, in both pathways",
    "pose": "joints drawn as a heatmap of three channels, in both pathways",
    **base.VARIANTS,
}


def get_config(variants: str = ""):
    chosen = base.parse_variants(variants, VARIANTS)
    config = base.get_config()
    config.model.name = "slowfast"
    # Of the demo's 8 frames, 4x16's slow pathway would see only one.
    config.model.variant = base.one_of(chosen, *(("8x8", "4x16") if "demo" in chosen else ("4x16", "8x8")))
    config.model.bn_momentum = 0.9
    data = config.data
    data.stream = base.one_of(chosen, "rgb", "flow", "pose")
    data.dataset = {"rgb": "haa500/rgb", "flow": "haa500/flow", "pose": "haa500/pose"}[data.stream]
    data.sampling, data.frames, data.stride, data.fps, data.temporal_padding = "spread", 32, 2, 30.0, "clamp"
    data.resize, data.resize_max, data.crop = 256, 320, 224
    if data.stream == "rgb":
        data.mean, data.std = (114.75,), (57.375,)
    config.train.epochs = 196.0
    optimizer = config.optimizer
    optimizer.learning_rate, optimizer.base_batch_size = 0.1, 64
    optimizer.nesterov = True
    optimizer.schedule, optimizer.warmup_fraction, optimizer.warmup_start_factor = "cosine", 34 / 196, 0.1
    optimizer.weight_decay, optimizer.weight_decay_mask = 1e-4, "not_batchnorm"
    evaluation = config.eval
    evaluation.every_epochs = 8.0
    evaluation.crop, evaluation.windows, evaluation.crops, evaluation.average = 256, 10, 3, "softmax"
    if "demo" in chosen:
        base.set_demo(config)
        config.train.epochs = 32.0
        data.frames, data.stride, data.fps, data.resize_max = 8, 2, 0.0, 0
        evaluation.crop, evaluation.windows, evaluation.crops = 0, 1, 1
        config.model.width = 0.25
    base.set_objective(config, chosen)
    if config.objective == "multi_label":
        evaluation.crop = 0  # as in training: larger crops have several positions, whose softmaxes would be averaged
    return config
