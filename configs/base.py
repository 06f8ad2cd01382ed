"""Every setting once, with its unit. A config file starts from `get_config()` and changes what differs.

Any field can be set on the command line too: `--config.data.frames=16`. A misspelled field is an error.
"""

import difflib

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The defaults that all models share."""
    config = ConfigDict()
    config.seed = 0  # of initial parameters, data order, augmentation and dropout
    config.objective = "atomic"  # atomic | composite | joint (both heads, the composite one evaluated)
    config.init_from = (
        ""  # published weights, or the workdir of a run of ours, to start from with new heads; "" for none
    )
    config.area = ""  # train and test on the classes of one area only, e.g. "sports_athletics"; "" for all

    config.data = data = ConfigDict()
    data.dataset = "haa500/rgb"  # TFDS name: haa500/rgb | haa500/demo | haa500/<name given when building>
    data.data_dir = ""  # where it was built; "" for TFDS's default (~/tensorflow_datasets)
    data.stream = "rgb"  # rgb | flow | pose (a heatmap) | skeleton (joints, for ST-GCN) | rgb+pose | rgb+objects
    # window (every stride-th frame) | spread (evenly from the first to the last of frames * stride, as SlowFast) |
    # segments (one frame in each of as many equal parts)
    data.sampling = "window"
    data.frames = 32  # frames in a window, or segments
    data.stride = 1  # source frames from one frame of a window to the next
    data.fps = 0.0  # frames per second at which stride counts, whatever the clip's own; 0 for the clip's own
    # After a clip's last frame: loop (from the first) | clamp (the last) | repeat (the last sampled) | zero (skeleton).
    data.temporal_padding = "loop"
    data.flow_stack = 1  # flow: consecutive fields from each sampled frame on; 2 channels each
    data.resize = 256  # pixels, short side of a frame before cropping
    data.resize_max = 0  # pixels; the short side of a training clip is drawn from resize to this; 0 for no draw
    data.crop = 224  # pixels, side of the square crop
    data.person_crop = 0.0  # first cut out a square of so many times the person's box (scale normalization); 0: do not
    data.augment = "crop"  # where training crops: crop (anywhere) | multi_scale (TSN) | resized_crop (GoogLeNet)
    data.flip = True  # mirror half of the training clips left to right
    data.color_jitter = False  # rgb: change brightness, contrast and saturation of training clips
    data.mean = (127.5,)  # levels of 0..255, one or one a channel, that are taken off rgb and flow
    data.std = (127.5,)  # levels of 0..255, one or one a channel, that they are then divided by
    data.bgr = False  # rgb: channels in the order blue, green, red (networks converted from Caffe)
    data.pose_sigma = 4.0  # pose: deviation of a joint's Gaussian, pixels of the crop
    data.skeleton = "coco17"  # skeleton: coco17 | openpose18 (with a neck)
    data.random_move = False  # skeleton: turn, scale and shift training clips
    data.threads = 0  # threads that decode; 0 for one for each core that the process may use
    data.prefetch = 4  # batches decoded ahead

    config.model = model = ConfigDict()
    model.name = "i3d"  # i3d | slowfast | tsn | tpn | stgcn
    model.variant = (
        ""  # slowfast: 4x16 | 8x8; tsn: resnet50 | bninception | tsm; tpn: slowonly | tsm; stgcn: coco17 | openpose18
    )
    model.width = 1.0  # multiplies every channel count; 1.0 is the published network
    model.dtype = "float32"  # of activations: float32 | bfloat16; parameters are always float32
    model.dropout = 0.5  # rate, before the heads
    # Of the running BatchNorm statistics: new = momentum * old + (1 - momentum) * batch; less in the first steps.
    model.bn_momentum = 0.999
    model.stem = "space_to_depth"  # how I3D's first convolution is computed, equal results: conv | space_to_depth
    model.shift = (
        "blockres"  # of tsm, the temporal shift acts on: blockres (the residual branch) | inplace (projections too)
    )
    model.information_flow = "cascade"  # of TPN: cascade (released code and weights) | parallel (paper)
    model.aux_head = True  # of TPN: auxiliary head on layer3 in training
    model.partition = "released"  # of ST-GCN's graph: released (code and weights) | paper

    config.train = train = ConfigDict()
    train.batch_size = 64  # clips in a step, over all devices
    train.epochs = 0.0  # passes over the training split; set this or train.steps
    train.steps = 0  # optimizer steps; set this or train.epochs
    train.accumulation_steps = 1  # parts that a batch is worked through in, to save memory

    config.optimizer = optimizer = ConfigDict()
    optimizer.name = "sgd"  # sgd | adamw
    optimizer.learning_rate = 0.1  # at optimizer.base_batch_size, scaled in proportion to train.batch_size
    optimizer.base_batch_size = 384  # clips in a step where the learning rate comes from; 0 for no scaling
    optimizer.schedule = "step"  # step | cosine (half a period over the whole training, to zero)
    optimizer.milestones = (0.8435, 0.9391)  # step: fractions of training at which the rate changes
    optimizer.factors = (0.1, 0.01)  # step: what the rate is multiplied by from each drop on
    optimizer.warmup_fraction = (
        0.0  # fraction of training over which the rate rises linearly to where the schedule then is
    )
    optimizer.warmup_start_factor = 0.0  # share of the rate that the warm-up starts from
    optimizer.head_lr_multiplier = 1.0  # the linear heads, auxiliary ones too, learn this many times as fast
    optimizer.bias_lr_multiplier = 1.0  # biases of convolutions and linear layers learn this many times as fast
    optimizer.stem_lr_multiplier = 1.0  # the first convolution, its bias too, learns this many times as fast
    optimizer.momentum = 0.9  # adamw: beta1
    optimizer.beta2 = 0.999  # adamw only
    optimizer.nesterov = False
    optimizer.weight_decay = 1e-7  # sgd: added to the gradient (L2); adamw: decoupled
    optimizer.weight_decay_mask = "kernels"  # what decays: kernels | not_batchnorm (kernels and biases) | all
    optimizer.trainable = ()  # parts that learn, as ("Mixed_5c", "Logits"); the others are frozen; () for all
    optimizer.clip_norm = 0.0  # largest global gradient norm; 0 for no clipping

    config.eval = evaluation = ConfigDict()
    evaluation.dataset = ""  # TFDS name of another dataset of the same classes to validate and test on; "" for data's
    evaluation.every_epochs = 1.0  # passes between evaluations on the validation split; 0 for none
    evaluation.split = "test"  # split that the last evaluation uses: test | validation
    evaluation.batch_size = 4  # views on each device at once (a view is one crop of one window of a clip)
    evaluation.frames = 0  # frames in a window, or segments, at test; 0 for data.frames
    evaluation.resize = 0  # pixels, short side at test; 0 for data.resize
    evaluation.crop = 0  # pixels, side of the square crop at test; 0 for data.crop
    evaluation.windows = 1  # windows in time of each clip; 0 for as many, end to end, as show all of its frames
    evaluation.crops = 1  # crops of each window: 1 (center) | 3 (along the long side) | 10 (corners, center, mirrored)
    evaluation.validation_windows = 1  # the same of the evaluations during training
    evaluation.validation_crops = 1
    evaluation.average = "logits"  # what is averaged over windows and crops: logits | softmax
    evaluation.checkpoint = "last"  # which parameters the last evaluation sees: last | best (on validation)

    config.checkpoint = checkpoint = ConfigDict()
    checkpoint.every_epochs = 1.0  # passes between checkpoints; besides at each evaluation, at the end, on SIGTERM
    checkpoint.allow_changes = False  # go on from a checkpoint of other settings or data instead of refusing
    checkpoint.keep = 3  # latest checkpoints kept, besides the best

    config.mesh = mesh = ConfigDict()
    mesh.model = 1  # devices that large parameters are split over (FSDP); the batch is split over all
    config.log_every_seconds = 60.0  # between log lines and TensorBoard points
    return config


VARIANTS = {
    "atomic": "500 atomic actions (the default)",
    "composite": "composite actions",
    "joint": "both, composite actions evaluated",
    "area=": "one area: sports_athletics, musical_instruments, games_hobbies or daily_actions",
    "demo": "the generated dataset, with a narrow network on small frames",
}


def one_of(chosen: dict[str, str], *alternatives: str) -> str:
    """The one of `alternatives` that was chosen, the first if none was.

    Raises:
      ValueError: more than one was chosen.
    """
    found = [variant for variant in alternatives if variant in chosen]
    if len(found) > 1:
        raise ValueError(f"config variants {' and '.join(found)} contradict each other")
    return found[0] if found else alternatives[0]


def set_objective(config: ConfigDict, chosen: dict[str, str]) -> None:
    """What the variants atomic, composite, joint and area= ask for."""
    config.objective = one_of(chosen, "atomic", "composite", "joint")
    config.area = chosen.get("area", "")


def set_demo(config: ConfigDict) -> None:
    """Minutes on two cores: not the authors' recipe, but ours, for all networks, whatever they had before."""
    config.data.dataset = "haa500/demo"
    config.data.resize = 54
    config.data.crop = 48
    config.model.dropout = 0.0
    config.train.batch_size = 16
    config.train.epochs = 50.0
    recipe = get_config().optimizer
    recipe.name, recipe.schedule = "adamw", "cosine"
    recipe.learning_rate, recipe.base_batch_size = 1e-3, 0
    recipe.beta2 = 0.98
    recipe.weight_decay, recipe.weight_decay_mask = 1e-3, "kernels"
    recipe.trainable = config.optimizer.trainable  # what learns is asked for by a variant
    config.optimizer.update(recipe)
    config.eval.every_epochs = 10.0
    config.eval.batch_size = 16
    config.checkpoint.every_epochs = 5.0
    config.log_every_seconds = 10.0


def parse_variants(variants: str, allowed: dict[str, str]) -> dict[str, str]:
    """Splits the part after the colon of `--config=file.py:variant,key=value`.

    Args:
      allowed: variant or `key=` -> what it does.

    Returns:
      The variants given, each with its value ("" for a bare variant), in order.

    Raises:
      ValueError: names the variant, the nearest right one and all of them.
    """
    parsed = {}
    for variant in filter(None, variants.split(",")):
        key, equals, value = variant.partition("=")
        if key + equals not in allowed or (equals and not value):
            close = difflib.get_close_matches(key + equals, allowed, n=1, cutoff=0.4)
            hint = f" did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"unknown config variant {variant!r};{hint} the variants are {', '.join(allowed)}")
        parsed[key] = value
    return parsed
