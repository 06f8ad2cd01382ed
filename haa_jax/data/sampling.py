"""Which clips and which frames: every choice is a pure function of (seed, step).

Nothing here keeps state, so a run resumed at step k sees the batches that it would have seen without the interruption,
and the number of processes, threads or prefetched batches changes nothing.
"""

import numpy as np

_ORDER, _AUGMENT = 0, 1  # separate random streams of one seed

SAMPLINGS = ("window", "spread", "segments")
TEMPORAL_PADDINGS = ("loop", "clamp", "repeat", "zero")


def clip_order(seed: int, epoch: int, num_clips: int) -> np.ndarray:
    """The order of the clips in an epoch: int64 permutation of range(num_clips)."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(num_clips)


def example_rng(seed: int, example: int) -> np.random.Generator:
    """The generator for the `example`-th training example since step 0."""
    return np.random.default_rng([seed, _AUGMENT, example])


def batch_clips(seed: int, step: int, batch_size: int, num_clips: int) -> tuple[np.ndarray, np.ndarray]:
    """The global batch of a step; a batch may span two epochs.

    Returns:
      (clips, examples), int64 (batch_size,) each: numbers of the clips, and of the examples since step 0.
    """
    examples = step * batch_size + np.arange(batch_size)
    epochs, positions = np.divmod(examples, num_clips)
    orders = {epoch: clip_order(seed, int(epoch), num_clips) for epoch in np.unique(epochs)}
    clips = np.array([orders[epoch][position] for epoch, position in zip(epochs, positions, strict=True)])
    return clips, examples


def train_positions(length: int, fps: float, data, rng: np.random.Generator) -> np.ndarray:
    """Positions of a training clip, drawn by the method `data.sampling`: int64 (frames,).

    Args:
      length: number of positions to choose from.
      fps: frames per second of the clip; only used if `data.fps` is set.
      data: `config.data`.
    """
    if data.sampling == "segments":
        return random_segments(length, data, rng)
    room = max(0.0, length - span(fps, data))
    start = rng.uniform(0, room) if data.sampling == "spread" else rng.integers(int(room) + 1)
    return window(start, length, fps, data)


def test_positions(length: int, fps: float, data, windows: int) -> list[np.ndarray]:
    """Positions of each view of a test clip, in temporal order: int64 (frames,) each.

    Several views of segments are spread evenly inside each segment, as TPN's two (decisionforce/TPN
    recognizers/TSN2D.py).

    Args:
      windows: number of views; 0 for as many as show every frame (`num_windows`), end to end.
    """
    if data.sampling == "segments":
        positions = centers(length, data.frames * windows)
        return [positions[view::windows] for view in range(windows)]
    return [window(start, length, fps, data) for start in window_starts(length, fps, data, windows)]


def span(fps: float, data) -> float:
    """Source frames that a window covers: `frames` times `stride`, counted at `data.fps` if that is set.

    PySlowFast (datasets/decoder.py) and TPN (datasets/rawframes_dataset.py) define the length of a window this way.
    """
    source_frames = data.frames * data.stride
    return max(1.0, source_frames * fps / data.fps) if data.fps else source_frames


def num_windows(length: int, data, windows: int) -> int:
    """`windows`, or if that is 0, as many as are needed to show every frame of a clip; then `data.fps` must be 0."""
    return windows or -(-length // int(span(0.0, data)))


def window_starts(length: int, fps: float, data, windows: int) -> list[float]:
    """Start of each window of a test clip; some are equal if the clip is too short for as many distinct windows."""
    room = max(0.0, length - span(fps, data))
    if not windows:
        return [int(start) for start in np.linspace(0, room, num_windows(length, data, 0)).round()]
    if data.sampling == "spread" and windows > 1:
        return [room * index / windows for index in range(windows)]  # PySlowFast, datasets/decoder.py
    return [int(start) for start in centers(int(room) + 1, windows)]  # TPN; a single window is in the middle


def window(start: float, length: int, fps: float, data) -> np.ndarray:
    """Positions of the window that begins at `start`: int64 (frames,)."""
    steps = np.arange(data.frames)
    if data.sampling == "spread":
        positions = np.linspace(start, start + span(fps, data) - 1, data.frames)
    elif data.fps:
        positions = start + steps * data.stride * fps / data.fps
    else:
        positions = start + steps * data.stride
    return within(np.floor(positions).astype(np.int64), length, data.temporal_padding)


def within(positions: np.ndarray, length: int, temporal_padding: str) -> np.ndarray:
    """Increasing positions, with those past the end of a short clip replaced.

    Args:
      temporal_padding: "loop" restarts from the first frame (I3D, arXiv 1705.07750 section 3), "clamp" shows the last
        frame (PySlowFast, datasets/decoder.py), "repeat" the last that was sampled, which is never the very last of the
        clip (TPN, datasets/rawframes_dataset.py), "zero" leaves positions past the end: empty skeletons (ST-GCN).
    """
    if temporal_padding == "zero":
        return positions
    if temporal_padding == "loop":
        return positions % length
    if temporal_padding == "clamp":
        return np.minimum(positions, length - 1)
    sampled = np.flatnonzero(positions <= length - 2)
    return positions[np.minimum(np.arange(len(positions)), sampled[-1] if len(sampled) else 0)]


def random_segments(length: int, data, rng: np.random.Generator) -> np.ndarray:
    """A random position in each of `data.frames` segments of a clip: int64 (frames,) (yjxiong/tsn-pytorch dataset.py).

    Segments have equal whole lengths; the remainder at the end of the clip is left out. A clip with fewer positions
    than segments shows its first position in all of them; if it is stacks of flow that leave too few, positions are
    drawn from all and sorted.
    """
    segments = data.frames
    size = length // segments
    if size:
        return size * np.arange(segments) + rng.integers(size, size=segments)
    if length + data.flow_stack - 1 > segments:
        return np.sort(rng.integers(length, size=segments))
    return np.zeros(segments, np.int64)


def centers(length: int, segments: int) -> np.ndarray:
    """The middle of each of `segments` equal segments of a clip: int64 (segments,) (yjxiong/tsn-pytorch dataset.py).

    With fewer positions than segments, some are repeated.
    """
    size = length / segments
    return np.floor(size / 2 + size * np.arange(segments)).astype(np.int64)
