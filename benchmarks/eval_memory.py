"""Peak memory of the whole process during a config's test protocol on long clips.

    python -m benchmarks.eval_memory --config=configs/slowfast.py --data_dir=DIR [--seconds=300]

Generates 64 test clips of 256x340 pixels and 300 frames (once, as `clip_folder/eval_memory` in DIR; the peak of the
first run includes packaging them), and evaluates them with an untrained network, which has its optimizer's state like a
restored network. Only the dataset of the config is changed. Prints the resident memory every ten seconds and its peak
at the end, after `--seconds` or the last clip. `--no_network` uses the mean of a view's pixels in place of its logits;
two CPU cores then finish in minutes.
"""

import os
import pathlib
import resource
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import av
import cv2
import jax
import numpy as np
from absl import app, flags, logging

from benchmarks.figures import resident
from haa_jax import config_flag, evaluate
from haa_jax.data import pipeline
from haa_jax.experiment import create_experiment
from haa_jax.learning import steps
from tfds_haa500.clip_folder_dataset_builder import Builder, ClipFolderConfig

NAME, CLASSES, CLIPS, FRAMES, SIZE = "eval_memory", 4, 64, 300, (256, 340)  # height, width
LINE_SECONDS = 10.0

_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the generated clips are, or will be.")
_SECONDS = flags.DEFINE_float("seconds", 300.0, "Stop the evaluation after this time.")
_NO_NETWORK = flags.DEFINE_bool("no_network", False, "Only read, decode, crop and transfer the views.")
_CONFIG = config_flag.define()


class Enough(Exception):  # noqa: N818  not an error
    """The time limit is reached."""


def main(argv):
    config_flag.no_arguments(argv)
    config_flag.require("config", "data_dir")
    logging.set_verbosity(logging.WARNING)
    if not (pathlib.Path(_DATA_DIR.value) / "clip_folder" / NAME).exists():
        build(pathlib.Path(_DATA_DIR.value))
    config = _CONFIG.value
    config.data.dataset, config.data.data_dir = f"clip_folder/{NAME}", _DATA_DIR.value
    config.eval.every_epochs = 0.0  # there is no validation split
    exp = create_experiment(config)
    train_state = exp.fresh_state()
    print(
        f"{config.model.name}, {exp.test_views}, {exp.clip_shape} of width {config.model.width}: before {resident()} MB"
    )
    watch = Watch(_SECONDS.value)
    num_views = pipeline.num_views(exp.splits["test"].index.num_frames, exp.test_data, exp.test_views)
    total = pipeline.num_eval_batches(num_views, exp.eval_batch_size, exp.shard)
    eval_step, name = (jax.jit(pixel_mean), "no network") if _NO_NETWORK.value else (exp.eval_step, config.model.name)
    average = steps.AVERAGES[config.eval.average]
    try:
        evaluate.run_split(exp, eval_step, train_state.variables, "test", average, exp.test_views, watch)
        done = total
    except Enough:
        done = watch.batches - 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"{name}: {done} of {total} batches of {exp.eval_batch_size} views in {watch.seconds():.0f} s")
    print(f"peak {peak:.0f} MB on {jax.devices()[0].device_kind}")


def pixel_mean(variables, batch) -> dict:
    return {"mean": jax.numpy.stack([x.reshape(len(x), -1).mean(1) for x in batch["clips"].values()], axis=1)}


class Watch:
    """Called between batches: prints the memory every LINE_SECONDS, and raises Enough after `seconds`."""

    def __init__(self, seconds: float):
        self._limit, self._started, self._printed, self.batches = seconds, time.monotonic(), 0.0, 0

    def __call__(self) -> None:
        self.batches += 1
        if self.seconds() - self._printed > LINE_SECONDS:
            self._printed = self.seconds()
            print(f"  {self._printed:6.0f} s, batch {self.batches:4d}: {resident()} MB", flush=True)
        if self.seconds() > self._limit:
            raise Enough

    def seconds(self) -> float:
        return time.monotonic() - self._started


def build(data_dir: pathlib.Path) -> None:
    """Packages generated clips: one per class for training, the others for testing."""
    videos = data_dir / "eval_memory_videos"
    for k in range(CLIPS + CLASSES):
        folder = videos / ("test" if k < CLIPS else "train") / f"class_{k % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        write_clip(folder / f"clip_{k:03d}.mp4", np.random.default_rng(k))
    Builder(config=ClipFolderConfig(name=NAME, folder=str(videos)), data_dir=str(data_dir)).download_and_prepare()


def write_clip(path: pathlib.Path, rng: np.random.Generator) -> None:
    """Writes drifting noise at several scales, about as hard to compress as footage."""
    height, width = (side + FRAMES for side in SIZE)
    octaves = [
        cv2.resize(rng.normal(size=(n, n, 3)), (width, height), interpolation=cv2.INTER_CUBIC) for n in (8, 32, 128)
    ]
    scene = np.clip(128 + 40 * octaves[0] + 15 * octaves[1] + 8 * octaves[2], 0, 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "23"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for t in range(FRAMES):
            view = np.ascontiguousarray(scene[t : t + SIZE[0], t : t + SIZE[1]])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    app.run(main, flags_parser=config_flag.parse)
