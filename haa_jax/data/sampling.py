"""Which clips and which frames: every choice is a pure function of (seed, step).

Nothing here keeps state, so a run that starts again at step k sees exactly the batches that it would have
seen, and the number of processes, threads or prefetched batches changes nothing.
"""

import numpy as np

_ORDER, _AUGMENT = 0, 1  # separate random streams of one seed

SAMPLINGS = ("window", "segments")
SHORT_CLIPS = ("loop", "hold", "zero")


def clip_order(seed: int, epoch: int, num_clips: int) -> np.ndarray:
    """The order of the clips in an epoch: int64 permutation of range(num_clips)."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(num_clips)


def example_rng(seed: int, example: int) -> np.random.Generator:
    """The random draws of the `example`-th training example since step 0."""
    return np.random.default_rng([seed, _AUGMENT, example])


def batch_clips(seed: int, step: int, batch_size: int, num_clips: int) -> tuple[np.ndarray, np.ndarray]:
    """The global batch of a step; batches run on over the end of an epoch.

    Returns:
      (clips, examples), int64 (batch_size,) each: which clips, and their example numbers since step 0.
    """
    examples = step * batch_size + np.arange(batch_size)
    epochs, positions = np.divmod(examples, num_clips)
    orders = {epoch: clip_order(seed, int(epoch), num_clips) for epoch in np.unique(epochs)}
    clips = np.array([orders[epoch][position] for epoch, position in zip(epochs, positions, strict=True)])
    return clips, examples


def span(frames: int, stride: int) -> int:
    """Source frames that a window of `frames` sampled frames covers."""
    return (frames - 1) * stride + 1


def random_start(num_frames: int, frames: int, stride: int, rng: np.random.Generator) -> int:
    """First frame of a window placed at random; 0 where the clip is shorter than the window."""
    return int(rng.integers(max(1, num_frames - span(frames, stride) + 1)))


def segment_positions(length: int, segments: int, offsets: np.ndarray | float) -> np.ndarray:
    """One position in each of `segments` equal parts of a clip: int64 (segments,).

    Args:
      length: positions to choose from; fewer than `segments` is fine, some are then taken again.
      offsets: where in its part each lies, in [0, 1): random in training, 0.5 for the centre at test (TSN, arXiv
        1608.00859 section 3.1; yjxiong/tsn-pytorch dataset.py).
    """
    positions = np.floor((np.arange(segments) + offsets) * length / segments).astype(np.int64)
    return np.minimum(positions, length - 1)  # an offset next to 1 is rounded up to it


def train_positions(length: int, config, rng: np.random.Generator) -> np.ndarray:
    """Positions of a training clip: int64 (frames,), drawn as `config.sampling` says.

    Args:
      length: positions to choose from.
      config: `config.data`.
    """
    if config.sampling == "segments":
        return segment_positions(length, config.frames, rng.random(config.frames))
    start = random_start(length, config.frames, config.stride, rng)
    return frame_indices(start, length, config.frames, config.stride, config.short_clips)


def test_positions(length: int, config, windows: int) -> list[np.ndarray]:
    """Positions of each of `windows` views of a test clip.

    Several views of segments lie evenly inside each segment; one lies in its centre.
    """
    if config.sampling == "segments":
        return [segment_positions(length, config.frames, (view + 0.5) / windows) for view in range(windows)]
    starts = window_starts(length, config.frames, config.stride, windows)
    return [frame_indices(start, length, config.frames, config.stride, config.short_clips) for start in starts]


def window_starts(num_frames: int, frames: int, stride: int, windows: int) -> list[int]:
    """First frames of `windows` evenly spread windows: the centre for one, else from end to end.

    Short clips have fewer distinct windows than asked for: then some of the starts are equal.
    """
    room = max(0, num_frames - span(frames, stride))
    if windows == 1:
        return [room // 2]
    return [int(start) for start in np.linspace(0, room, windows).round()]


def frame_indices(start: int, num_frames: int, frames: int, stride: int, short_clips: str) -> np.ndarray:
    """Frame numbers of a window: int64 (frames,).

    Args:
      short_clips: what follows the last frame of a clip: "loop" starts again from the first (I3D, arXiv
        1705.07750 section 3), "hold" repeats the last (PySlowFast, slowfast/datasets/decoder.py), "zero" leaves
        numbers behind the end, where skeletons are empty (ST-GCN).
    """
    indices = start + stride * np.arange(frames)
    if short_clips == "zero":
        return indices
    return indices % num_frames if short_clips == "loop" else np.minimum(indices, num_frames - 1)
