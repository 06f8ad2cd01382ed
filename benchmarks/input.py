"""Clips per second and core of the input pipeline, compared with its alternatives.

    python -m benchmarks.input [--rounds=5]

Generates 720p H.264 clips of 64 frames, packages them with `tfds_haa500`, and reads 32 frames of each at a
224-pixel crop with each of these methods in turn, for several rounds:

    haa_jax          stored JPEG frames, only the sampled ones decoded (haa_jax.data.pipeline)
    haa_jax train    the same with random windows, crops and mirroring, as for training
    tf crop-decode   the records and frames of haa_jax, with TensorFlow's fused decoding and cropping
    tfds             as `tfds.load` does: every frame decoded, then 32 selected
    pyav             the 720p mp4 decoded, scaled to a short side of 256 and cropped

Cores are counted as CPU time, so that a method with more threads does not appear faster. Printed are medians, and in
brackets the smallest and largest.
"""

import contextlib
import os
import pathlib
import resource
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import av
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import app, flags, logging
from av.video.reformatter import VideoReformatter

from benchmarks.figures import spread
from haa_jax import config_flag
from haa_jax.configs import base
from haa_jax.data import dataset, pipeline, sampling, views
from haa_jax.learning import objectives
from haa_jax.streams import images
from tfds_haa500 import Haa500Config
from tfds_haa500.haa500_dataset_builder import Builder

CLIPS, FRAMES, CROP, LENGTH, SIZE = 16, 32, 224, 64, (720, 1280)

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds that count; one more warms up.", lower_bound=1)


def main(argv):
    config_flag.no_arguments(argv, "the option is --rounds")
    logging.set_verbosity(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        archive = write_archive(pathlib.Path(folder) / "haa500_v1_1")
        builder = Builder(config=Haa500Config(name="bench", classes=("CPR",)), data_dir=folder)
        with open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null):
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(archive)))
        size = builder.info.splits["train"].num_bytes / 16
        mp4 = (archive / "video" / "CPR" / "CPR_000.mp4").stat().st_size
        print(f"{LENGTH} frames: {mp4 / 1e3:.0f} kB as 720p mp4, {size / 1e3:.0f} kB as stored frames")
        report(measure(methods(builder, archive)))


def write_archive(root: pathlib.Path) -> pathlib.Path:
    """One class of 20 generated 720p clips: drifting noise at several scales, about as hard to compress as footage."""
    (root / "raw").mkdir(parents=True)
    (root / "video" / "CPR").mkdir(parents=True)
    for k in range(20):
        write_clip(root / "video" / "CPR" / f"CPR_{k:03d}.mp4", np.random.default_rng(k))
    (root / "raw" / "CPR.txt").write_text("url,0,2.13,0,1\n" * 20)
    return root


def write_clip(path: pathlib.Path, rng: np.random.Generator) -> None:
    import cv2

    big = tuple(2 * side for side in SIZE)
    octaves = [
        cv2.resize(rng.normal(size=(n, 2 * n, 3)), big[::-1], interpolation=cv2.INTER_CUBIC) for n in (8, 32, 128)
    ]
    scene = 128 + 40 * octaves[0] + 15 * octaves[1] + 8 * octaves[2]
    scene = np.clip(scene, 0, 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "23"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for t in range(LENGTH):
            view = np.ascontiguousarray(scene[5 * t : 5 * t + SIZE[0], 8 * t : 8 * t + SIZE[1]])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode())


def methods(builder, archive: pathlib.Path) -> dict:
    """Functions that each read the 16 clips of the training split to (32, 224, 224, 3) arrays."""
    config = base.get_config()
    heads = objectives.make_heads("atomic", dataset.read_taxonomy(builder))
    split = dataset.open_split(builder, "train", heads)

    def haa_jax():
        # Evaluation batches end, so no clip is decoded ahead and counted without being consumed.
        (batch,) = pipeline.eval_batches(split, config.data, pipeline.Views(), CLIPS, pipeline.ProcessShard())
        assert batch["clips"]["rgb"].shape == (CLIPS, FRAMES, CROP, CROP, 3)

    def haa_jax_train():
        for clip in range(CLIPS):
            out = views.empty_clips(config.data)
            views.train_clip(split.reader[clip], config.data, np.random.default_rng(clip), out)

    def tf_crop_decode():
        def crop(example):
            top, left = 16, 115
            frames = tf.gather(example["video"], frame_numbers())
            window = [top, left, CROP, CROP]
            return tf.map_fn(lambda x: tf.image.decode_and_crop_jpeg(x, window), frames, tf.uint8)

        consume(records(builder, {"video": tfds.decode.SkipDecoding()}).take(CLIPS).map(crop, tf.data.AUTOTUNE))

    def tfds_default():
        def crop(example):
            return tf.gather(example["video"], frame_numbers())[:, 16 : 16 + CROP, 115 : 115 + CROP]

        consume(records(builder, None).take(CLIPS).map(crop, tf.data.AUTOTUNE))

    def pyav():
        for k in range(CLIPS):
            read_mp4(archive / "video" / "CPR" / f"CPR_{k:03d}.mp4")

    return {
        "haa_jax": haa_jax,
        "haa_jax train": haa_jax_train,
        "tf crop-decode": tf_crop_decode,
        "tfds": tfds_default,
        "pyav": pyav,
    }


def records(builder, decoders):
    read_config = tfds.ReadConfig(try_autocache=False)
    return builder.as_dataset(split="train", decoders=decoders, read_config=read_config)


def frame_numbers() -> np.ndarray:
    return sampling.window(16, LENGTH, 0.0, base.get_config().data)


def consume(data) -> None:
    for clip in data.as_numpy_iterator():
        assert clip.shape == (FRAMES, CROP, CROP, 3)


def read_mp4(path: pathlib.Path) -> np.ndarray:
    """Decodes up to the last sampled frame, as any reader of a video must."""
    wanted = set(frame_numbers().tolist())
    out, reformatter = [], VideoReformatter()
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                height, width = images.resized_shape(frame.height, frame.width, 256)
                # One reformatter and one thread: PyAV's own way sets both up for every frame, which costs more.
                image = reformatter.reformat(frame, width, height, "rgb24", interpolation="AREA", threads=1)
                out.append(image.to_ndarray()[16 : 16 + CROP, 115 : 115 + CROP])
            if number == max(wanted):
                break
    return np.stack(out)


def measure(functions: dict) -> dict[str, np.ndarray]:
    """(CPU seconds, wall seconds) of each function in each round: (rounds, 2)."""
    spent = {name: [] for name in functions}
    for _ in range(_ROUNDS.value + 1):
        for name, function in functions.items():
            cpu, wall = cpu_seconds(), time.perf_counter()
            function()
            spent[name].append((cpu_seconds() - cpu, time.perf_counter() - wall))
    return {name: np.array(rounds[1:]) for name, rounds in spent.items()}  # the first round warms up


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def report(spent: dict[str, np.ndarray]) -> None:
    own = spent["haa_jax"][:, 0]
    print(f"{'method':16}{'CPU ms a clip':>24}{'clips/s a core':>16}{'clips/s':>9}{'CPU, times haa_jax':>26}")
    for name, rounds in spent.items():
        cpu, wall = np.median(rounds, axis=0)
        ratios = rounds[:, 0] / own  # of the same round
        print(
            f"{name:16}{spread(1e3 * rounds[:, 0] / CLIPS, 1):>24}{CLIPS / cpu:16.1f}{CLIPS / wall:9.1f}"
            f"{spread(ratios, 2):>26}"
        )


if __name__ == "__main__":
    app.run(main, flags_parser=config_flag.parse)
