"""Draws that are written down instead of random, so that the authors' code and ours can be given the same ones."""

import itertools

import numpy as np

# Name -> (first, step): draw i lies at (first + i * step) % 1 of its range.
DRAWS = {"0": (0.0, 0.0), "0.25": (0.25, 0.0), "0.5": (0.5, 0.0), "0.999": (0.999, 0.0), "mixed": (0.45, 0.618)}


class Draws:
    """The part of `np.random.Generator` that sampling asks for."""

    def __init__(self, name: str):
        first, step = DRAWS[name]
        self._parts = ((first + i * step) % 1 for i in itertools.count())

    def integers(self, high, *, size=None):
        """Integers of 0 to high - 1: one, or (size,)."""
        if high < 1:
            raise ValueError(f"an integer below {high} cannot be drawn")
        parts = [next(self._parts) for _ in range(1 if size is None else size)]
        drawn = np.floor(np.array(parts) * high).astype(np.int64)
        return int(drawn[0]) if size is None else drawn

    def uniform(self, low, high) -> float:
        return low + next(self._parts) * (high - low)
