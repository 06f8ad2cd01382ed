"""Fixed draws instead of random ones, so that the authors' code and ours can be given the same."""

import itertools

import numpy as np

# Name -> (first, step): draw i is at (first + i * step) % 1 of its range.
DRAWS = {"0": (0.0, 0.0), "0.25": (0.25, 0.0), "0.5": (0.5, 0.0), "0.999": (0.999, 0.0), "mixed": (0.45, 0.618)}


class Draws:
    """The methods of `np.random.Generator` that sampling uses."""

    def __init__(self, name: str):
        first, step = DRAWS[name]
        self._fractions = ((first + i * step) % 1 for i in itertools.count())

    def integers(self, high, *, size=None):
        """Integers of 0 to high - 1: one, or (size,)."""
        if high < 1:
            raise ValueError(f"an integer below {high} cannot be drawn")
        fractions = [next(self._fractions) for _ in range(1 if size is None else size)]
        drawn = np.floor(np.array(fractions) * high).astype(np.int64)
        return int(drawn[0]) if size is None else drawn

    def uniform(self, low, high) -> float:
        return low + next(self._fractions) * (high - low)
