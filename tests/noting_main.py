"""shallow_main.py that notes which clips went into each step, in FOLDER/<process>.jsonl, and takes its time.

    NOTES=FOLDER SECONDS_A_STEP=1 python -m tests.noting_main ...

A line has the step, the clips as they were read from the data set, and a checksum of what was made of them.
"""

import contextlib
import json
import os
import time
import zlib

from absl import app

from tests.shallow_main import make_shallow

FOLDER, SECONDS = os.environ.get("NOTES", "."), float(os.environ.get("SECONDS_A_STEP", "0"))


class Notes:
    """Stands in for two functions of pipeline.py, which it calls."""

    def __init__(self, train_clip, train_batches):
        self._train_clip, self._train_batches = train_clip, train_batches
        self._written = {}  # where in memory -> the clip that was read for that row

    def train_clip(self, example, data, rng, out) -> None:
        self._train_clip(example, data, rng, out)
        self._written[_place(out)] = example["clip_id"].decode()

    def train_batches(self, split, data, batch_size, seed, start, shard):
        from haa_jax.data.views import row

        batches = self._train_batches(split, data, batch_size, seed, start, shard)
        with contextlib.closing(batches), open(f"{FOLDER}/{shard.process}.jsonl", "a") as file:
            for step, batch in enumerate(batches, start):
                (clips,) = batch["clips"].values()
                names = [self._written[_place(row(batch["clips"], i))] for i in range(len(clips))]
                print(json.dumps({"step": step, "clips": names, "sum": zlib.crc32(clips)}), file=file, flush=True)
                time.sleep(SECONDS)
                yield batch


def _place(clip) -> int:
    (array,) = clip.values()  # the network has one stream
    return array.ctypes.data


if __name__ == "__main__":
    from haa_jax import main
    from haa_jax.data import pipeline

    make_shallow()
    notes = Notes(pipeline.train_clip, pipeline.train_batches)
    pipeline.train_clip, pipeline.train_batches = notes.train_clip, notes.train_batches
    app.run(main.main, flags_parser=main.parse)
