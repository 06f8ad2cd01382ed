"""I3D on RGB: Carreira and Zisserman, arXiv 1705.07750 (recipe: google-deepmind/kinetics-i3d README).

    python -m haa_jax.main --config=configs/i3d.py --workdir=runs/i3d

The paper's number to expect on HAA500 (Table 6, I3D RGB, 500 atomic classes): 33.53 % top-1 (503/1500).
Words after a colon, separated by commas: see WORDS. The demo needs no files but its dataset:

    python -m tfds_haa500.build --config=demo
    python -m haa_jax.main --config=configs/i3d.py:demo --workdir=runs/demo

and reaches 93.75 % top-1 (45/48) on its test clips in about six minutes on two CPU cores.
"""

from configs import base

WORDS = {
    "atomic": "500 atomic actions (the default)",
    "composite": "composite actions",
    "joint": "both, composite actions evaluated",
    "area=": "one area: sports_athletics, musical_instruments, games_hobbies or daily_actions",
    "demo": "the generated dataset, with a narrow network on small frames",
}


def get_config(words: str = ""):
    chosen = base.parse_words(words, WORDS)
    config = base.get_config()
    # 115,000 steps of 384 clips are 184 passes over Kinetics' 240,000 clips; the rate drops at 97k and 108k.
    config.train.epochs = 184.0
    config.eval.every_epochs = 8.0
    if "demo" in chosen:
        _demo(config)
    objectives = [word for word in ("atomic", "composite", "joint") if word in chosen]
    if len(objectives) > 1:
        raise ValueError(f"config words {' and '.join(objectives)} contradict each other")
    config.objective = objectives[0] if objectives else "atomic"
    config.area = chosen.get("area", "")
    return config


def _demo(config) -> None:
    """Minutes on two cores: not the authors' recipe, but ours."""
    config.data.dataset = "haa500/demo"
    config.data.frames = 8
    config.data.stride = 2
    config.data.resize = 54
    config.data.crop = 48
    config.model.width = 0.25
    config.model.bn_momentum = 0.9  # a few hundred steps are too few for 0.999
    config.model.dropout = 0.0
    config.train.batch_size = 16
    config.train.epochs = 50.0
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 1e-3
    config.optimizer.base_batch_size = 0
    config.optimizer.beta2 = 0.98
    config.optimizer.weight_decay = 1e-3
    config.optimizer.schedule = "cosine"
    config.eval.every_epochs = 10.0
    config.eval.batch_size = 16
    config.checkpoint.every_epochs = 5.0
    config.log_every_seconds = 10.0
