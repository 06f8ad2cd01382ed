"""The input streams: what is read of a stored clip, how a batch holds it, and what the network sees of it.

    stream     array of one clip in a batch                              features it needs
    rgb        uint8 (frames, crop, crop, 3)                             video
    flow       uint8 (frames, crop, crop, 2 * flow_stack), x1 y1 x2 ...  flow_x, flow_y
    pose       float32 (frames, 17, 3): pixels of the crop, score        video, pose
    objects    uint8 (frames, crop, crop, 5): 255 * score in each box    video, objects
    skeleton   float32 (2, frames, joints, 3): x, y around 0, score      pose

`config.data.stream` names one stream, or a fusion of several (early fusion): they share frames, crop and flip, and the
network sees their channels concatenated. A clip in a batch is a dictionary with one array for each.

A stream is one module, or any object with the same names. `data` is always `config.data`:

    FEATURES    feature of the dataset -> the `--streams=` of its builder that stores it; "" if it is always stored
    FIELDS      field of `config.data` that not every stream reads -> the value with which it has no effect
    INPUT       what networks take: "clips", (frames, crop, crop, channels), cropped from pictures; or an input that is
                not cropped, such as "skeleton"
    SCALES      ("clips" only) sizes of multi-scale crops, as fractions of the short side

    spec(data)                          (shape, dtype) of one clip in a batch
    check(data)                         yields a line for each setting that the stream cannot work with
    num_frames(example)                 frames of a stored clip
    num_positions(num_frames, data)     positions at which such a clip can be sampled
    picture(clip, position)             ("clips" only) picture to crop from: (height, width, channels) uint8, scaled
    write(clip, positions, box, out, rng=None)
                                        writes a view of a `pictures.StoredClip` to `out`, an array of `spec`; runs on
                                        the host. `rng` draws what else is random in training; None at test
    preprocess(clips, data)             clips with any leading axes as the network's float32 input; runs on the device

To add a stream, write such a module and add it to STREAMS; to fuse it with others, add the fusion to FUSIONS.
"""

import collections
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np

from haa_jax.streams import flow, objects, pictures, pose, rgb, skeleton

STREAMS: dict[str, types.ModuleType] = {"rgb": rgb, "flow": flow, "pose": pose, "skeleton": skeleton}
# Fusion -> its streams. The first stream decides how many frames a clip has and how large its pictures are.
FUSIONS: dict[str, dict[str, types.ModuleType]] = {
    "rgb+pose": {"rgb": rgb, "pose": pose},
    "rgb+objects": {"rgb": rgb, "objects": objects},
}
CHOICES = collections.ChainMap(FUSIONS, STREAMS)  # the values of config.data.stream, those added later too


def modalities(data) -> dict[str, types.ModuleType]:
    """The streams that `data.stream` names, by name."""
    return FUSIONS.get(data.stream) or {data.stream: STREAMS[data.stream]}


def leading(data) -> types.ModuleType:
    """The stream of `data.stream` that decides how many frames a clip has and how large its pictures are."""
    return next(iter(modalities(data).values()))


def is_cropped(data) -> bool:
    """Whether clips are cropped from pictures."""
    return leading(data).INPUT == "clips"


def features(data) -> dict[str, str]:
    """The features that a dataset must have -> the `--streams=` of its builder; "" if they are always stored."""
    needed = {}
    for stream in modalities(data).values():
        needed |= stream.FEATURES
    return needed | pictures.PERSON_FEATURES if data.person_crop else needed


def num_positions(num_frames: int, data) -> int:
    """Positions at which a clip can be sampled: its frames, or for flow the starts of whole stacks of fields."""
    return leading(data).num_positions(num_frames, data)


def scales(data) -> tuple[float, ...]:
    """Sizes of multi-scale crops, as fractions of the short side: those that all fused streams have."""
    return min((stream.SCALES for stream in modalities(data).values()), key=len)


def clip_spec(data) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of each array of one clip in a batch."""
    specs = {name: stream.spec(data) for name, stream in modalities(data).items()}
    return {name: (shape, np.dtype(dtype)) for name, (shape, dtype) in specs.items()}


def preprocess(clips: dict[str, jax.Array], data) -> jax.Array:
    """A batch of clips as the network's float32 input; runs on the device.

    Args:
      clips: stream -> (..., *shape) as in `clip_spec`.

    Returns:
      rgb and flow: (..., frames, crop, crop, channels), (level - mean) / std. pose: a heatmap (..., frames, crop, crop,
      3) from 0 to the highest score. objects: (..., frames, crop, crop, 5) from 0 to 1. skeleton: as stored. Fusions:
      the channels of their streams, concatenated.
    """
    inputs = [stream.preprocess(clips[name], data) for name, stream in modalities(data).items()]
    return jnp.concatenate(inputs, axis=-1)


def abstract_clips(data, rows: int, sharding: jax.sharding.Sharding | None = None) -> dict[str, jax.ShapeDtypeStruct]:
    """The clips of a batch of so many rows, as shapes, dtypes and shardings."""
    spec = clip_spec(data).items()
    return {name: jax.ShapeDtypeStruct((rows, *shape), dtype, sharding=sharding) for name, (shape, dtype) in spec}


def network_shape(data) -> tuple[int, ...]:
    """Shape of one clip as the network takes it."""
    stored = {name: jax.ShapeDtypeStruct(*spec) for name, spec in clip_spec(data).items()}
    return jax.eval_shape(functools.partial(preprocess, data=data), stored).shape


def check(data):
    """Yields a line for each setting that does not go with `data.stream`, which must be one of CHOICES."""
    yield from _foreign_fields(data)
    faults = [fault for stream in modalities(data).values() for fault in stream.check(data)]
    yield from dict.fromkeys(faults)  # fused streams share some


def _foreign_fields(data):
    """Yields a line for each field that is set, but only read by other streams."""
    readers = {}  # field -> its neutral value, the values of config.data.stream that read it
    for name in CHOICES:
        for stream in (FUSIONS.get(name) or {name: STREAMS[name]}).values():
            for field, neutral in stream.FIELDS.items():
                readers.setdefault(field, (neutral, {}))[1][name] = None
    for field, (neutral, names) in readers.items():
        value = tuple(data[field]) if isinstance(neutral, tuple) else data[field]
        if value != neutral and data.stream not in names:
            named = " or ".join(map(repr, names))
            yield f"config.data.{field}={value} is for config.data.stream={named}, not {data.stream!r}"
