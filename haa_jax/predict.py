"""What happens in videos, according to a trained network.

    python -m haa_jax.predict clip.mp4 --weights=kinetics-400
    python -m haa_jax.predict FOLDER --workdir=runs/i3d --out=predictions.csv
    python -m haa_jax.predict FOLDER --workdir=runs/rgb,runs/flow           several networks, fused
    python -m haa_jax.predict long.mp4 --workdir=runs/i3d --window=2s --step=1s --join
    python -m haa_jax.predict FOLDER --workdir=runs/i3d --window=64f --features=DIR

Videos are files, folders, and lists (.txt, one path a line). Each is one clip; with --window, it is one clip every
--step. Of a clip, the network sees what the test sees of it. A video that cannot be used is reported and the others are
still predicted. If the command is interrupted, the same command resumes it.

Exit codes: 0 done; 1 an error, or some videos cannot be used; 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence

from absl import app, flags

from haa_jax import config_flag
from haa_jax.prediction import command, network_flags, networks, results, runner, videos, windows
from haa_jax.restore import TrainedNetwork
from haa_jax.runtime import compiling
from haa_jax.runtime.logs import set_up_logging
from tfds_haa500.streams import flow

INTERRUPTED = 130  # the exit code: 128 + SIGINT, as in shells


def predict(
    given: str | os.PathLike | Sequence[str | os.PathLike],
    trained: TrainedNetwork | Sequence[TrainedNetwork],
    top_k: int = 5,
    *,
    flow_method: str = "dis",
    fusion_weights: Sequence[float] | None = None,
) -> list[list[dict]]:
    """The labels of videos with the highest scores, of the head that the test evaluates.

        trained = restore.load_published("kinetics-400")
        predict("clip.mp4", trained)  # [[{"label": "arm wrestling", "score": 0.99}, ...]]

    Args:
      given: as of `videos.find`.
      trained: a network, or several whose logits are added (see averaging.py).
      top_k: labels of each video; of networks that give clips several classes, all above the threshold count instead.
      flow_method: as of `videos.read_example`.
      fusion_weights: of the networks; 1 each by default.

    Returns:
      For each video [{"label": str, "score": float}], the highest score first; scores of all classes add up to 1
      (of several classes a clip, each is 0 to 1 by itself).

    Raises:
      VideoError: a video cannot be used.
      OutputError: logits are not finite.
      NetworksError: the networks cannot be fused.
    """
    trained = [trained] if isinstance(trained, TrainedNetwork) else list(trained)
    weights = [1.0] * len(trained) if fusion_weights is None else fusion_weights
    networks.check_fusion(trained, weights)
    head, found = networks.evaluated_head(trained[0]), []
    for outcome in runner.run(videos.find(given), trained, runner.Plan(flow_method=flow_method)):
        if outcome.error:
            raise outcome.error
        (logits,) = networks.fused(outcome.outputs, weights, trained[0].labels)[head]
        found.append(results.top(logits, trained[0].classes[head], top_k, trained[0].threshold))
    return found


def main(argv: list[str]) -> None:
    if len(argv) < 2:
        sys.exit("error: give videos, folders of videos, or lists of videos (.txt)")
    set_up_logging()
    compiling.prepare()
    from haa_jax.errors import user_errors

    try:
        options = options_of(flags.FLAGS)
        names = videos.find_named(argv[1:])
        trained = networks.load()
        if flags.FLAGS.views:
            trained = [networks.with_views(network, flags.FLAGS.views) for network in trained]
        if trained[0].multi_label and flags.FLAGS["top_k"].present:
            above = f"all classes of a clip above {trained[0].threshold:g} (config.eval.threshold) are given"
            raise networks.NetworksError(f"--top_k={options.top_k}: {above}")
        failed = command.run(names, trained, options)
    except user_errors() as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted; with --out or --features, the same command resumes", file=sys.stderr)
        sys.exit(INTERRUPTED)
    if failed:
        sys.exit(f"error: {failed} of {len(names)} videos cannot be used; see above")


def options_of(chosen: flags.FlagValues) -> command.Options:
    """The flags of `define_flags` as options.

    Raises:
      WindowError, ResultsError, NetworksError: their values, or flags that do not go together.
    """
    lengths = {
        name: windows.parse_length(name, chosen[name].value) for name in ("window", "step") if chosen[name].value
    }
    for name in ("step", "join"):
        if chosen[name].value and "window" not in lengths:
            raise windows.WindowError(f"--{name} needs --window")
    if lengths and chosen.flow_method == flow.IMAGES:
        raise windows.WindowError("--flow_method=images is for whole videos; with --window, flow is computed")
    for name in ("out", "video_out", "join"):
        if chosen[name].value and chosen.features:
            raise results.ResultsError(f"--features writes features only: leave out --{name}")
    if chosen.out:
        results.check_format(chosen.out)
    count = len((chosen.workdir or "").split(","))
    return command.Options(
        plan=runner.Plan(lengths.get("window"), lengths.get("step"), chosen.flow_method, bool(chosen.features)),
        top_k=chosen.top_k,
        out=chosen.out or "",
        features=chosen.features or "",
        video_out=chosen.video_out or "",
        join=chosen.join,
        fusion_weights=networks.parse_weights(chosen.fusion_weights) or (1.0,) * count,
    )


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Not at import: other commands define flags of the same names."""
    network_flags.define(flag_values)
    own = {"flag_values": flag_values}
    flags.DEFINE_integer("top_k", 5, "Labels of each clip.", lower_bound=1, **own)
    flags.DEFINE_string(
        "views", None, "Views averaged, WINDOWSxCROPS, such as 1x1 (default: those of the test).", **own
    )
    flags.DEFINE_string(
        "window", None, "Length of the clips that videos are divided into: 2s, or 64f for frames.", **own
    )
    flags.DEFINE_string("step", None, "From the start of a clip to that of the next (default: --window).", **own)
    flags.DEFINE_bool("join", False, "Join successive clips with the same first label.", **own)
    flags.DEFINE_string("out", None, "File for the results, .csv or .json.", **own)
    flags.DEFINE_string("features", None, "Folder for features (NAME.npy and NAME.times.npy) instead of labels.", **own)
    flags.DEFINE_string("video_out", None, "Folder for copies of the videos with the labels drawn in.", **own)
    flags.DEFINE_enum(
        "flow_method",
        videos.FLOW_METHODS[0],
        videos.FLOW_METHODS,
        "How flow is computed, or images to read it: as for the dataset that the network was trained on.",
        **own,
    )
    flags.DEFINE_list("fusion_weights", [], "Weights of several networks (default: 1 each).", **own)


def run() -> None:
    """The console script."""
    define_flags()
    app.run(main, flags_parser=config_flag.parse)


if __name__ == "__main__":
    run()
