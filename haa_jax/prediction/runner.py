"""Videos -> the outputs of networks: read ahead in threads, views in batches of one size, averaged over the views.

The path of a view is that of the test: `views.ClipViews` writes it, `steps.eval_step` or `steps.features_step` is
compiled once for each network, and the views of a clip are averaged as the config says.
"""

import collections
import concurrent.futures
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from haa_jax import streams
from haa_jax.data import pipeline, sampling
from haa_jax.data.views import ClipViews, empty_clips
from haa_jax.errors import UserError
from haa_jax.learning import steps
from haa_jax.prediction import read_ahead, videos, windows
from haa_jax.prediction.windows import Length, Part
from haa_jax.restore import TrainedNetwork
from haa_jax.runtime import compiling, mesh
from tfds_haa500.streams import flow


class OutputError(UserError, ValueError):
    """A network whose outputs cannot be used."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is done with each video.

    Attributes:
      window, step: lengths of the windows that are clips, and from one to the next; None for whole videos.
      flow_method: as of `videos.read_example`.
      features: what the heads take instead of logits.
    """

    window: Length | None = None
    step: Length | None = None
    flow_method: str = flow.METHODS[0]
    features: bool = False


@dataclasses.dataclass
class Outcome:
    """What came of one video.

    Attributes:
      video: its path.
      times: (start, end) of each clip in seconds: of its windows, or of the whole video.
      outputs: for each network, name -> float32 (clips, size): logits by head, or "features".
      error: what is wrong with the video; then there are no outputs.
    """

    video: str
    times: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    outputs: list[dict[str, np.ndarray]] = dataclasses.field(default_factory=list)
    error: UserError | None = None


def run(
    files: Sequence[str],
    networks: Sequence[TrainedNetwork],
    plan: Plan = Plan(),
    progress: Callable[[float, int], None] | None = None,
) -> Iterator[Outcome]:
    """Runs networks on videos, with bounded memory.

    Args:
      files: paths of videos.
      networks: all see each video, which is read once.
      progress: called after each batch with the number of videos so far, a fraction of one included, and of clips.

    Yields:
      What came of each video, in their order.

    Raises:
      VideoError: flow cannot be computed at all. (What is wrong with one video is in its outcome.)
    """
    if not files:
        return
    stored = videos.needed([network.data for network in networks], plan.flow_method)
    compiled = [_Compiled(network, plan, len(files)) for network in networks]
    if plan.window:
        jobs = [functools.partial(windows.split, file, stored, plan.window, plan.step or plan.window) for file in files]
    else:
        jobs = [functools.partial(windows.whole, file, stored) for file in files]
    outcomes = _Outcomes(files, compiled)
    prefetch = min(network.data.prefetch for network in networks)
    threads = max(network.data.threads for network in networks) or pipeline.cores()
    reading = read_ahead.in_order(jobs, min(threads, len(files)), ahead=1)
    running = collections.deque()
    for batch in pipeline.prefetched(_batches(reading, compiled, outcomes), threads, prefetch):
        running.append((batch["network"], batch["rows"], compiled[batch["network"]](batch.pop("clips"))))
        if len(running) > 1:  # the device computes one batch while the next is written
            outcomes.add(*running.popleft())
            yield from outcomes.finished()
            if progress:
                progress(outcomes.share, outcomes.clips)
    while running:
        outcomes.add(*running.popleft())
    yield from outcomes.finished()


class _Compiled:
    """A network's step for batches of one size; compiled in a thread while videos are read."""

    def __init__(self, network: TrainedNetwork, plan: Plan, num_files: int):
        self.data, self.views = network.data, network.views
        self._mesh = mesh.make_mesh()
        rows = 1 if jax.default_backend() == "cpu" else network.config.eval.batch_size
        if not plan.window and self.views.windows:  # the number of views is known: no larger than they need
            rows = min(rows, -(-num_files * self.views.windows * self.views.crops // self._mesh.size))
        self.rows = rows * self._mesh.size
        step = steps.features_step if plan.features else steps.eval_step
        self.average = jax.jit(functools.partial(jnp.mean if plan.features else network.average, axis=0))
        self._step = functools.partial(
            step, model=network.network, preprocess=functools.partial(streams.preprocess, data=self.data)
        )
        self._variables = network.variables
        pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="compile")
        self._ready = pool.submit(self._compile)
        pool.shutdown(wait=False)

    def _compile(self):
        replicated, batch = mesh.replicated(self._mesh), mesh.batch_sharding(self._mesh)
        variables = jax.device_put(self._variables, replicated)
        clips = streams.abstract_clips(self.data, self.rows, batch)
        step = jax.jit(self._step, out_shardings=batch, compiler_options=compiling.options(self._mesh))
        return step.lower(variables, {"clips": clips}).compile(), variables

    def __call__(self, clips: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        """The outputs of a batch; they may still be being computed."""
        step, variables = self._ready.result()
        return step(variables, {"clips": mesh.to_global(clips, self._mesh)})

    def num_views(self, example: dict) -> int:
        length = streams.num_positions(streams.leading(self.data).num_frames(example), self.data)
        return self.views.crops * sampling.num_windows(length, self.data, self.views.windows)


def _batches(reading: Iterator, compiled: list[_Compiled], outcomes: "_Outcomes") -> Iterator[tuple[dict, list]]:
    """Plans for `pipeline.prefetched`: a batch {"network", "rows", "clips"} and what writes its rows.

    A row is (video, clip, view); there are fewer rows than clips in a batch that is padded.
    """
    open_rows = [[] for _ in compiled]

    def plan(network: int) -> tuple[dict, list[Callable]]:
        rows, open_rows[network] = open_rows[network], []
        step = compiled[network]
        padding = [pipeline.blank] * (step.rows - len(rows))
        batch = {"network": network, "rows": [row for row, _ in rows], "clips": empty_clips(step.data, step.rows)}
        return batch, [write for _, write in rows] + padding

    for video, item in reading:
        if not isinstance(item, Part):
            outcomes.close(video, item)
            continue
        clip = outcomes.open_clip(video, item)
        for network, step in enumerate(compiled):
            count = step.num_views(item.example)
            outcomes.expect(video, clip, network, count)
            clip_views = ClipViews(lambda example=item.example: example, step.data, *step.views)
            for view in range(count):
                open_rows[network].append(((video, clip, view), functools.partial(clip_views.write, view)))
                if len(open_rows[network]) == step.rows:
                    yield plan(network)
    for network, rows in enumerate(open_rows):
        if rows:
            yield plan(network)


class _Outcomes:
    """Gathers the outputs of the views, averages those of each clip, and hands out videos that are complete."""

    def __init__(self, files: Sequence[str], compiled: list[_Compiled]):
        self._files, self._compiled = files, compiled
        self._times = collections.defaultdict(list)  # video -> (start, end) of its clips
        self._views = {}  # (video, clip, network) -> the outputs of its views, None where they are missing
        self._averaged = {}  # (video, clip, network) -> name -> output
        self._left = collections.Counter()  # video -> clips of networks that are not averaged yet
        self._closed = {}  # video -> None, or what is wrong with it
        self._next = 0  # video that is handed out next
        self._shares = collections.defaultdict(list)  # video -> how much of it was read with each clip
        self._newest = (0, 0.0)  # video, and how much of it is done
        self.clips = 0  # that are done

    @property
    def share(self) -> float:
        """How many videos are done, with the share of the one in progress."""
        video, share = self._newest
        return self._next + (share if video == self._next else 0.0)

    def open_clip(self, video: int, part: Part) -> int:
        """The number of the video's next clip."""
        self._times[video].append((part.start, part.end))
        self._shares[video].append(part.share)
        return len(self._times[video]) - 1

    def expect(self, video: int, clip: int, network: int, views: int) -> None:
        self._views[video, clip, network] = [None] * views
        self._left[video] += 1

    def close(self, video: int, error: UserError | None) -> None:
        """No more clips of a video will come."""
        self._closed[video] = error

    def add(self, network: int, rows: list[tuple[int, int, int]], outputs: dict[str, jax.Array]) -> None:
        """The outputs of a batch, whose first rows are those of `rows`."""
        outputs = {name: np.asarray(values) for name, values in outputs.items()}
        for row, (video, clip, view) in enumerate(rows):
            views = self._views[video, clip, network]
            views[view] = {name: values[row] for name, values in outputs.items()}
            if all(view is not None for view in views):
                self._average(video, clip, network)

    def _average(self, video: int, clip: int, network: int) -> None:
        views = self._views.pop((video, clip, network))
        average = self._compiled[network].average
        self._averaged[video, clip, network] = {
            name: np.asarray(average(np.stack([view[name] for view in views]))) for name in views[0]
        }
        self._left[video] -= 1
        if network == 0:
            self.clips += 1
            self._newest = (video, self._shares[video][clip])

    def finished(self) -> Iterator[Outcome]:
        """The next videos, as far as they are complete."""
        while self._next in self._closed and not self._left[self._next]:
            video, self._next = self._next, self._next + 1
            yield self._outcome(video)

    def _outcome(self, video: int) -> Outcome:
        times, error = self._times.pop(video, []), self._closed.pop(video)
        self._shares.pop(video, None)
        clips = [
            [self._averaged.pop((video, clip, network)) for clip in range(len(times))]
            for network in range(len(self._compiled))
        ]
        if error:
            return Outcome(self._files[video], error=error)
        outputs = [{name: np.stack([each[name] for each in clip]) for name in clip[0]} for clip in clips]
        for of_network in outputs:
            for name, values in of_network.items():
                if not np.isfinite(values).all():
                    wrong = OutputError(f"{self._files[video]}: the network's {name} are not finite")
                    return Outcome(self._files[video], error=wrong)
        return Outcome(self._files[video], times, outputs)
