"""Every field once, with its default, unit and meaning. A config file starts from `get_config()` and changes some.

Any field can also be set on the command line: `--config.data.frames=16`. A misspelled field is an error.
"""

import difflib

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The defaults that all networks share."""
    config = ConfigDict()
    config.seed = 0  # of initial parameters, data order, augmentation and dropout
    config.objective = "atomic"  # atomic | composite | joint (both; composite is evaluated) | multi_label (sets)
    config.init_from = ""  # start from kinetics-400, a file of weights or a workdir, with new heads; "": from scratch
    config.area = ""  # train and test only on the classes of one area, such as "sports_athletics"; "" for all
    config.data = _data()
    config.model = _model()
    config.train = _train()
    config.optimizer = _optimizer()
    config.eval = _evaluation()
    config.checkpoint = _checkpoint()
    config.mesh = _mesh()
    config.log_every_seconds = 60.0  # time between log lines and TensorBoard points
    return config


def _data() -> ConfigDict:
    """Which dataset, which frames of a clip, and what is done to them.

    sampling:
      window    every stride-th frame
      spread    evenly from the first to the last of frames * stride source frames (SlowFast)
      segments  one frame in each of equally long segments (TSN)
    temporal_padding, past a clip's last frame:
      loop      again from the first frame
      clamp     the last frame
      repeat    the last sampled frame
      zero      empty (skeleton only)
    augment, where training crops:
      crop          anywhere
      multi_scale   one of TSN's sizes and places
      resized_crop  a random area and aspect ratio (GoogLeNet)
    """
    data = ConfigDict()
    data.dataset = "haa500/rgb"  # TFDS name: haa500/rgb | haa500/demo | haa500/<name given when building> | ...
    data.data_dir = ""  # where the dataset was built; "" for TFDS's default (~/tensorflow_datasets)
    data.stream = "rgb"  # rgb | flow | pose (a heatmap) | skeleton (joints, for ST-GCN) | rgb+pose | rgb+objects
    data.sampling = "window"  # window | spread | segments
    data.frames = 32  # frames in a window, or segments
    data.stride = 1  # source frames from one frame of a window to the next
    data.fps = 0.0  # resample every clip to this many frames per second before stride counts; 0: the clip's own rate
    data.temporal_padding = "loop"  # loop | clamp | repeat | zero
    data.flow_stack = 1  # flow: consecutive fields stacked from each sampled frame on, 2 channels each
    data.resize = 256  # pixels, short side of a frame before cropping
    data.resize_max = 0  # pixels; draw the short side of each training clip from resize to this; 0: always resize
    data.crop = 224  # pixels, side of the square crop
    data.person_crop = 0.0  # first crop a square of this many times the person's box (scale normalization); 0: do not
    data.augment = "crop"  # crop | multi_scale | resized_crop
    data.flip = True  # mirror half of the training clips left to right
    data.color_jitter = False  # rgb: change brightness, contrast and saturation of training clips
    data.mean = (127.5,)  # rgb, flow: subtracted; levels of 0..255, one for all channels or one per channel
    data.std = (127.5,)  # rgb, flow: then divided by; levels of 0..255, one for all channels or one per channel
    data.bgr = False  # rgb: channels in the order blue, green, red (networks converted from Caffe)
    data.pose_sigma = 4.0  # pose: standard deviation of a joint's Gaussian, pixels of the crop
    data.skeleton = "coco17"  # skeleton: coco17 | openpose18 (with a neck)
    data.random_move = False  # skeleton: rotate, scale and shift training clips
    data.threads = 0  # decoding threads; 0: one per core that the process may use
    data.prefetch = 4  # batches decoded ahead
    return data


def _model() -> ConfigDict:
    """The network.

    variant:
      slowfast  4x16 | 8x8
      tsn       resnet50 | bninception | tsm
      tpn       slowonly | tsm
      stgcn     coco17 | openpose18
    """
    model = ConfigDict()
    model.name = "i3d"  # i3d | slowfast | tsn | tpn | stgcn
    model.variant = ""  # see above; "" for i3d
    model.width = 1.0  # multiplies every channel count; 1.0 is the published network
    model.dtype = "float32"  # of activations: float32 | bfloat16; parameters are always float32
    model.dropout = 0.5  # rate, before the heads
    model.bn_momentum = 0.999  # running statistics: momentum * old + (1 - momentum) * batch; less in the first steps
    model.shift = "blockres"  # tsm: shift the input of the residual branch (blockres) or of projections too (inplace)
    model.information_flow = "cascade"  # tpn: cascade (released code and weights) | parallel (paper)
    model.aux_head = True  # tpn: auxiliary head on layer3 in training
    model.partition = "released"  # stgcn, of the graph: released (code and weights) | paper
    return model


def _train() -> ConfigDict:
    """Length and batches of the training."""
    train = ConfigDict()
    train.batch_size = 64  # clips per optimizer step, over all devices
    train.epochs = 0.0  # passes over the training split; set either this or train.steps
    train.steps = 0  # optimizer steps; set either this or train.epochs
    train.accumulation_steps = 1  # microbatches that a batch is split into to save memory; gradients are averaged
    train.class_weights = "none"  # weight of a clip in the loss, by its class: none | balanced (see losses.py)
    return train


def _optimizer() -> ConfigDict:
    """Update rule, learning-rate schedule, and which parameters learn."""
    optimizer = ConfigDict()
    optimizer.name = "sgd"  # sgd | adamw
    optimizer.learning_rate = 0.1  # for base_batch_size clips; scaled linearly with train.batch_size
    optimizer.base_batch_size = 384  # clips per step that learning_rate is meant for; 0: do not scale
    optimizer.schedule = "step"  # step | cosine (half a period over the whole training, to zero)
    optimizer.milestones = (0.8435, 0.9391)  # step: fractions of training at which the rate changes
    optimizer.factors = (0.1, 0.01)  # step: multiple of learning_rate from each milestone on; not cumulative
    optimizer.warmup_fraction = 0.0  # fraction of training over which the rate rises linearly to the schedule's
    optimizer.warmup_start_factor = 0.0  # multiple of learning_rate at which the warm-up starts
    optimizer.head_lr_multiplier = 1.0  # learning-rate multiplier of the linear heads, auxiliary ones included
    optimizer.bias_lr_multiplier = 1.0  # learning-rate multiplier of the biases of convolutions and linear layers
    optimizer.stem_lr_multiplier = 1.0  # learning-rate multiplier of the first convolution, its bias included
    optimizer.momentum = 0.9  # adamw: beta1
    optimizer.beta2 = 0.999  # adamw only
    optimizer.nesterov = False
    optimizer.weight_decay = 1e-7  # sgd: added to the gradient (L2); adamw: decoupled
    optimizer.weight_decay_mask = "kernels"  # what decays: kernels | not_batchnorm (kernels and biases) | all
    optimizer.trainable = ()  # modules that learn, such as ("Mixed_5c", "Logits"); all others are frozen; (): all learn
    optimizer.clip_norm = 0.0  # largest global norm of the gradient; 0: no clipping
    return optimizer


def _evaluation() -> ConfigDict:
    """Validation during training, and the final evaluation. A view is one crop of one window of a clip."""
    evaluation = ConfigDict()
    evaluation.dataset = ""  # TFDS name of another dataset with the same classes to evaluate on; "" for data.dataset
    evaluation.every_epochs = 1.0  # passes between evaluations on the validation split; 0: none
    evaluation.split = "test"  # of the final evaluation: test | validation
    evaluation.batch_size = 4  # views per device at once
    evaluation.frames = 0  # frames in a window, or segments; 0: data.frames
    evaluation.resize = 0  # pixels, short side; 0: data.resize
    evaluation.crop = 0  # pixels, side of the square crop; 0: data.crop
    evaluation.windows = 1  # final: windows in time per clip; 0: as many as cover all frames end to end
    evaluation.crops = 1  # final, per window: 1 (center) | 3 (along the long side) | 10 (corners, center, mirrored)
    evaluation.validation_windows = 1  # validation: as windows
    evaluation.validation_crops = 1  # validation: as crops
    evaluation.average = "logits"  # what is averaged over the views of a clip: logits | softmax | sigmoid (multi_label)
    evaluation.threshold = 0.5  # multi_label: sigmoid above which a class is predicted (inferred: mIOU needs one)
    evaluation.checkpoint = "last"  # final: which parameters: last | best (on validation)
    return evaluation


def _checkpoint() -> ConfigDict:
    """When checkpoints are saved (also at each evaluation, at the end and on SIGTERM), and how many are kept."""
    checkpoint = ConfigDict()
    checkpoint.every_epochs = 1.0  # passes between checkpoints
    checkpoint.allow_changes = False  # resume from a checkpoint of other settings or data instead of refusing
    checkpoint.keep = 3  # latest checkpoints kept, in addition to the best
    return checkpoint


def _mesh() -> ConfigDict:
    """How devices share the work."""
    mesh = ConfigDict()
    mesh.model = 1  # devices that large parameters are split over (FSDP); the batch is split over all devices
    return mesh


VARIANTS = {
    "atomic": "500 atomic actions (the default)",
    "composite": "composite actions",
    "joint": "both, composite actions evaluated",
    "multi_label": "several actions a clip, for a dataset that has them",
    "area=": "one area: sports_athletics, musical_instruments, games_hobbies or daily_actions",
    "demo": "the generated dataset, with a narrow network on small frames",
}


def one_of(chosen: dict[str, str], *alternatives: str) -> str:
    """Returns the chosen one of `alternatives`, or the first if none was chosen.

    Raises:
      ValueError: more than one was chosen.
    """
    found = [variant for variant in alternatives if variant in chosen]
    if len(found) > 1:
        raise ValueError(f"config variants {' and '.join(found)} contradict each other")
    return found[0] if found else alternatives[0]


def set_objective(config: ConfigDict, chosen: dict[str, str]) -> None:
    """Applies the variants atomic, composite, joint, multi_label and area=."""
    config.objective = one_of(chosen, "atomic", "composite", "joint", "multi_label")
    config.area = chosen.get("area", "")
    if config.objective == "multi_label":
        if config.area:
            raise ValueError("config variants multi_label and area= contradict each other")
        if config.eval.average == "softmax":  # which is of classes that exclude each other
            config.eval.average = "sigmoid"
        if "demo" in chosen:
            config.data.dataset = "haa500/demo_pairs"


def set_demo(config: ConfigDict) -> None:
    """Replaces the authors' recipe by one that takes minutes on two CPU cores, the same for all networks."""
    config.data.dataset = "haa500/demo"
    config.data.resize = 54
    config.data.crop = 48
    config.model.dropout = 0.0
    config.train.batch_size = 16
    config.train.epochs = 50.0
    recipe = _optimizer()
    recipe.name, recipe.schedule = "adamw", "cosine"
    recipe.learning_rate, recipe.base_batch_size = 1e-3, 0
    recipe.beta2 = 0.98
    recipe.weight_decay, recipe.weight_decay_mask = 1e-3, "kernels"
    recipe.trainable = config.optimizer.trainable  # a variant's choice, such as last_three
    config.optimizer.update(recipe)
    config.eval.every_epochs = 10.0
    config.eval.batch_size = 16
    config.checkpoint.every_epochs = 5.0
    config.log_every_seconds = 10.0


def parse_variants(variants: str, allowed: dict[str, str]) -> dict[str, str]:
    """Splits what follows the colon in `--config=file.py:variant,key=value`.

    Args:
      variants: names and `key=value` pairs, separated by commas.
      allowed: name or `key=` -> what it does.

    Returns:
      Name or key -> value ("" for a bare name), in the order given.

    Raises:
      ValueError: a variant is unknown; the message has the nearest known one and all of them.
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
