"""Which clips and which frames: every choice is a pure function of (seed, step).

Nothing here keeps state, so a run that starts again at step k sees exactly the batches that it would have
seen, and the number of processes, threads or prefetched batches changes nothing.
"""

import numpy as np

_ORDER, _AUGMENT = 0, 1  # separate random streams of one seed

SAMPLINGS = ("window", "spread", "segments")
TEMPORAL_PADDINGS = ("loop", "clamp", "repeat", "zero")


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


def train_positions(length: int, fps: float, config, rng: np.random.Generator) -> np.ndarray:
    """Positions of a training clip: int64 (frames,), drawn as `config.sampling` says.

    Args:
      length: positions to choose from.
      fps: of the clip, frames per second; counts only where `config.fps` is set.
      config: `config.data`.
    """
    if config.sampling == "segments":
        return random_segments(length, config, rng)
    room = max(0.0, length - span(fps, config))
    start = rng.uniform(0, room) if config.sampling == "spread" else rng.integers(int(room) + 1)
    return window(start, length, fps, config)


def test_positions(length: int, fps: float, config, windows: int) -> list[np.ndarray]:
    """Positions of each view of a test clip, in the order of time.

    Args:
      windows: how many; 0 for as many as `num_windows` says, which then lie end to end.

    Several views of segments lie evenly inside each segment, as TPN's two (decisionforce/TPN recognizers/TSN2D.py).
    """
    if config.sampling == "segments":
        positions = centers(length, config.frames * windows)
        return [positions[view::windows] for view in range(windows)]
    return [window(start, length, fps, config) for start in window_starts(length, fps, config, windows)]


def span(fps: float, config) -> float:
    """Source frames that a window covers: `frames` steps of `stride`, counted at `config.fps` where that is set.

    PySlowFast (datasets/decoder.py) and TPN (datasets/rawframes_dataset.py) take the length of a window so.
    """
    source_frames = config.frames * config.stride
    return max(1.0, source_frames * fps / config.fps) if config.fps else source_frames


def num_windows(length: int, config, windows: int) -> int:
    """`windows`, or for 0 as many as a clip needs for each of its frames to lie in one; `config.fps` must be 0."""
    return windows or -(-length // int(span(0.0, config)))


def window_starts(length: int, fps: float, config, windows: int) -> list[float]:
    """Where the windows of a test clip start.

    Short clips have fewer distinct windows than asked for: then some of the starts are equal.
    """
    room = max(0.0, length - span(fps, config))
    if not windows:
        return [int(start) for start in np.linspace(0, room, num_windows(length, config, 0)).round()]
    if config.sampling == "spread" and windows > 1:
        return [room * index / windows for index in range(windows)]  # PySlowFast, datasets/decoder.py
    return [int(start) for start in centers(int(room) + 1, windows)]  # TPN; a single one lies in the middle


def window(start: float, length: int, fps: float, config) -> np.ndarray:
    """Positions of the window that begins at `start`: int64 (frames,)."""
    steps = np.arange(config.frames)
    if config.sampling == "spread":
        positions = np.linspace(start, start + span(fps, config) - 1, config.frames)
    elif config.fps:
        positions = start + steps * config.stride * fps / config.fps
    else:
        positions = start + steps * config.stride
    return within(np.floor(positions).astype(np.int64), length, config.temporal_padding)


def within(positions: np.ndarray, length: int, temporal_padding: str) -> np.ndarray:
    """Rising positions, with something in place of those behind the end of a short clip.

    Args:
      temporal_padding: "loop" starts again from the first (I3D, arXiv 1705.07750 section 3), "clamp" shows the last
        frame (PySlowFast, datasets/decoder.py), "repeat" the last that was sampled, which is never the clip's very last
        (TPN, datasets/rawframes_dataset.py), "zero" leaves positions past the end: empty skeletons (ST-GCN).
    """
    if temporal_padding == "zero":
        return positions
    if temporal_padding == "loop":
        return positions % length
    if temporal_padding == "clamp":
        return np.minimum(positions, length - 1)
    sampled = np.flatnonzero(positions <= length - 2)
    return positions[np.minimum(np.arange(len(positions)), sampled[-1] if len(sampled) else 0)]


def random_segments(length: int, config, rng: np.random.Generator) -> np.ndarray:
    """A position drawn in each of `config.frames` parts of a clip: int64 (frames,) (yjxiong/tsn-pytorch dataset.py).

    The parts have whole lengths and leave what remains at the end of the clip. A clip with fewer positions than parts
    shows its first one in all of them; where stacks of flow leave too few, positions are drawn and sorted.
    """
    parts = config.frames
    part = length // parts
    if part:
        return part * np.arange(parts) + rng.integers(part, size=parts)
    if length + config.flow_stack - 1 > parts:
        return np.sort(rng.integers(length, size=parts))
    return np.zeros(parts, np.int64)


def centers(length: int, parts: int) -> np.ndarray:
    """The middle position of each of `parts` equal parts of a clip: int64 (parts,) (yjxiong/tsn-pytorch dataset.py).

    Fewer positions than parts are fine: some are then taken again.
    """
    tick = length / parts
    return np.floor(tick / 2 + tick * np.arange(parts)).astype(np.int64)
