"""ST-GCN on people's joints: Yan et al., arXiv 1801.07455 (recipe: yysijie/st-gcn config/st_gcn/kinetics-skeleton).

    python -m haa_jax.main --config=configs/stgcn.py --workdir=runs/stgcn

The paper's top-1 accuracy on HAA500 (Table 6, ST-GCN Pose, 500 atomic classes) is 29.67 %, which is 445 of 1500 clips.
The joints are AlphaPose's 17 (COCO); the authors' 18 (OpenPose, with a neck) are the variant `openpose18`. The authors
draw 150 of 300 padded frames; here the 150 frames are within the clip if it is long enough.

Variants follow a colon, separated by commas: see VARIANTS. The demo, a narrow network on generated poses:

    python -m haa_jax.main --config=configs/stgcn.py:demo --workdir=runs/stgcn_demo
"""

from haa_jax.configs import base

VARIANTS = {
    "coco17": "AlphaPose's joints (the default)",
    "openpose18": "the same joints and a neck between the shoulders, in OpenPose's order",
    **base.VARIANTS,
}


def get_config(variants: str = ""):
    chosen = base.parse_variants(variants, VARIANTS)
    config = base.get_config()
    config.model.name = "stgcn"
    config.model.variant = base.one_of(chosen, "coco17", "openpose18")
    config.model.bn_momentum, config.model.dropout = 0.9, 0.0
    data = config.data
    data.dataset, data.stream, data.skeleton = "haa500/pose", "skeleton", config.model.variant
    # 150 of at most 300 frames in training, all at test.
    data.frames, data.temporal_padding, data.random_move, data.flip = 150, "zero", True, False
    config.train.epochs = 50.0
    optimizer = config.optimizer
    optimizer.learning_rate, optimizer.base_batch_size, optimizer.nesterov = 0.1, 256, True
    optimizer.milestones, optimizer.factors = (0.4, 0.6, 0.8), (0.1, 0.01, 0.001)
    optimizer.weight_decay, optimizer.weight_decay_mask = 1e-4, "all"
    config.eval.frames = 300
    config.eval.every_epochs = 5.0
    if "demo" in chosen:
        base.set_demo(config)
        data.frames, config.eval.frames, data.random_move = 32, 0, False
        config.model.width = 0.25
    base.set_objective(config, chosen)
    return config
