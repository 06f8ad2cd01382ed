"""I3D: Carreira and Zisserman, arXiv 1705.07750 (recipe: google-deepmind/kinetics-i3d README).

    python -m haa_jax.main --config=configs/i3d.py --workdir=runs/i3d

The paper's top-1 accuracy on HAA500 (Table 6, I3D RGB, 500 atomic classes) is 33.53 %, which is 503 of 1500 clips.
The other streams are variants: `configs/i3d.py:flow` (34.73 %, 521/1500) and `configs/i3d.py:pose` (35.73 %, 536/1500).
All three fused with `python -m haa_jax.fuse` give 49.87 % (748/1500).

HAA500's paper uses 32 frames; I3D's authors train on 64 frames at 25 per second and test on whole videos:
`--config.eval.windows=0` tests on all frames.

Variants follow a colon, separated by commas: see VARIANTS. The demo needs only its generated dataset:

    python -m tfds_haa500.build --config=demo
    python -m haa_jax.main --config=configs/i3d.py:demo --workdir=runs/demo

and takes minutes on two CPU cores.
"""

from haa_jax.configs import base

VARIANTS = {
    "rgb": "RGB frames (the default)",
    "flow": "optical flow, two channels",
    "pose": "joints drawn as a heatmap of three channels",
    "rgb+pose": "both in one network of six input channels (HAA500 Table 7)",
    "rgb+objects": "RGB and a heatmap of five groups of objects, eight channels (Table 10)",
    "normalized": "frames cropped around the person of interest (Table 9); the dataset needs boxes",
    "last_three": "train only Mixed_5b, Mixed_5c and Logits, for --config.init_from (Table 8)",
    **base.VARIANTS,
}

# Stream -> the dataset that has it.
STREAMS = {
    "rgb": "haa500/rgb",
    "flow": "haa500/flow",
    "pose": "haa500/pose",
    "rgb+pose": "haa500/pose",
    "rgb+objects": "haa500/full",
}


def get_config(variants: str = ""):
    chosen = base.parse_variants(variants, VARIANTS)
    config = base.get_config()
    config.data.stream = base.one_of(chosen, *STREAMS)
    config.data.dataset = STREAMS[config.data.stream]
    if "normalized" in chosen:
        config.data.dataset = "haa500/full"
        config.data.person_crop = 1.25  # this project's choice: the paper gives no margin
    if "last_three" in chosen:
        config.optimizer.trainable = ("Mixed_5b", "Mixed_5c", "Logits")
    # 115,000 steps of 384 clips are 184 passes over Kinetics' 240,000 clips; the rate drops at 97k and 108k.
    config.train.epochs = 184.0
    config.eval.every_epochs = 8.0
    if config.data.stream == "flow":
        # 155,000 steps: the rate drops at 97k and 104.5k, is back at 115k, and drops again at 140k and 150k.
        config.train.epochs = 248.0
        config.optimizer.milestones = tuple(round(step / 155, 4) for step in (97, 104.5, 115, 140, 150))
        config.optimizer.factors = (0.1, 0.01, 1.0, 0.1, 0.01)
    if "demo" in chosen:
        base.set_demo(config)
        # Frames from all of the clip: in windows of a part of it, movements take twice as long to learn.
        config.data.frames, config.data.sampling = 8, "segments"
        config.train.epochs = 40.0
        config.model.width = 0.25
    base.set_objective(config, chosen)
    return config
