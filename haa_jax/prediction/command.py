"""What `python -m haa_jax.predict` does with videos and networks, apart from its flags."""

import concurrent.futures
import dataclasses
import pathlib
import sys
import time
from collections.abc import Sequence

from haa_jax.prediction import drawing, feature_files, networks, results, runner, videos
from haa_jax.prediction.partial import Partial, fingerprint
from haa_jax.restore import TrainedNetwork
from haa_jax.runtime.progress import clock

PROGRESS_SECONDS = 5
LONG_SECONDS = 60  # videos that are longer hardly are one clip


@dataclasses.dataclass(frozen=True)
class Options:
    """What the flags of the same names hold; see `haa_jax/predict.py`."""

    plan: runner.Plan = runner.Plan()  # noqa: RUF009
    top_k: int = 5
    out: str = ""
    features: str = ""
    video_out: str = ""
    join: bool = False
    fusion_weights: tuple[float, ...] = (1.0,)


def run(names: dict[str, str], trained: Sequence[TrainedNetwork], options: Options) -> int:
    """Predicts videos, or writes their features; see `predict`."""
    if not options.features:
        return predict(names, trained, options)
    if len(trained) > 1:
        raise networks.NetworksError("--features needs a single network")
    return extract_features(names, trained[0], options)


def predict(names: dict[str, str], trained: Sequence[TrainedNetwork], options: Options) -> int:
    """Predicts videos, prints and writes the results.

    Args:
      names: as of `videos.find_named`.

    Returns:
      The number of videos that cannot be used; each has been reported.

    Raises:
      NetworksError, ResultsError, VideoError: what is wrong with the networks or the options.
    """
    networks.check_fusion(trained, options.fusion_weights)
    if options.video_out:
        feature_files.check_names("video_out", names)
    partial = Partial(options.out, _settings(trained, options)) if options.out else None
    records = {video: partial.record(video) for video in names} if partial else dict.fromkeys(names)
    left = [video for video, record in records.items() if not record]
    if len(left) < len(names):
        _report(f"{len(names) - len(left)} of {len(names)} videos are in {partial.path} already")
    failed, head = 0, networks.evaluated_head(trained[0])
    heads = [head] if options.join else list(trained[0].classes)
    table = results.Table(list(names), heads, timed=options.plan.window is not None)
    print(table.header(), flush=True)
    with _Drawer(names, options.video_out) as drawer:
        for record in filter(None, records.values()):
            drawer.add(record)
        for outcome in runner.run(left, trained, options.plan, _Progress(len(left))):
            if outcome.error:
                failed += 1
                _report(f"error: {outcome.error}")
                continue
            record = _record(outcome, trained, options, head)
            records[outcome.video] = record
            if partial:
                partial.add(outcome.video, record)
            print(table.text(record), flush=True)
            _note_length(outcome, options)
            drawer.add(record)
    failed += drawer.failed
    if partial:
        if any(records.values()):
            results.write(options.out, filter(None, records.values()))
        partial.close(delete=not failed)
    return failed


def extract_features(names: dict[str, str], trained: TrainedNetwork, options: Options) -> int:
    """Writes the features of videos that have none yet; arguments, result and errors as of `predict`."""
    feature_files.check_names("features", names)
    left = feature_files.missing(options.features, names)
    if len(left) < len(names):
        _report(f"{len(names) - len(left)} of {len(names)} videos have features in {options.features} already")
    failed = 0
    for outcome in runner.run(list(left), [trained], options.plan, _Progress(len(left))):
        if outcome.error:
            failed += 1
            _report(f"error: {outcome.error}")
            continue
        (outputs,) = outcome.outputs
        feature_files.write(options.features, left[outcome.video], outputs["features"], outcome.times)
        windows, size = outputs["features"].shape
        print(f"{outcome.video}: {windows} x {size}", flush=True)
    return failed


def _record(outcome: runner.Outcome, trained: Sequence[TrainedNetwork], options: Options, head: str) -> dict:
    first = trained[0]
    logits = networks.fused(outcome.outputs, options.fusion_weights, first.labels)
    which = options.top_k, first.threshold
    record = results.record(outcome.video, outcome.times, logits, first.classes, *which)
    return results.join(record, head, first.multi_label) if options.join else record


def _settings(trained: Sequence[TrainedNetwork], options: Options) -> dict:
    """What the records depend on, apart from the videos."""
    chosen = dataclasses.asdict(options)
    return {name: chosen[name] for name in ("plan", "top_k", "join", "fusion_weights")} | {
        "networks": fingerprint(trained)
    }


def _note_length(outcome: runner.Outcome, options: Options) -> None:
    seconds = outcome.times[-1][1]
    if options.plan.window is None and seconds > LONG_SECONDS:
        _report(f"note: {outcome.video} is {seconds:.0f} s long; --window=2s predicts what happens when")


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _Progress:
    """Prints the rate and the time left, now and then."""

    def __init__(self, videos: int):
        self._videos, self._started = videos, time.monotonic()
        self._last = self._started

    def __call__(self, done: float, clips: int) -> None:
        """As the `progress` of `runner.run`."""
        now = time.monotonic()
        if now - self._last < PROGRESS_SECONDS or not done:
            return
        self._last, seconds = now, now - self._started
        left = clock((self._videos - done) * seconds / done)
        _report(f"{done:.1f} of {self._videos} videos, {clips / seconds:.2f} clips/s, {left} left")


class _Drawer:
    """Draws predictions into copies of their videos, in a thread while the next ones are computed."""

    def __init__(self, names: dict[str, str], folder: str):
        self._names, self._folder = names, folder
        self._pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="draw")
        self._drawings = []
        self.failed = 0

    def __enter__(self) -> "_Drawer":
        return self

    def add(self, record: dict) -> None:
        """Starts the drawing of a video, unless it is there or none are wanted."""
        if not self._folder:
            return
        out = pathlib.Path(self._folder) / f"{self._names[record['video']]}{drawing.SUFFIX}"
        self._drawings.append(self._pool.submit(drawing.write, record["video"], record, out))

    def __exit__(self, kind, *_) -> None:
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
        for each in self._drawings if kind is None else ():
            try:
                each.result()
            except videos.VideoError as error:
                self.failed += 1
                _report(f"error: {error}")
