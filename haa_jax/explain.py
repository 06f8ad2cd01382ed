"""Where in a video the evidence for a class is: Grad-CAM (Selvaraju et al., ICCV 2017), drawn over the frames.

    python -m haa_jax.explain VIDEO --workdir=runs/i3d
    python -m haa_jax.explain VIDEO --weights=kinetics-400 --class="push up" --out=explained

The class is the network's answer for the view of the video that is in the middle of those that the test averages, or
the one given by --class. DIR (--out, by default the current folder) gets `<video>_<class>.png`, a strip of frames, and
`<video>_<class>.gif`, all frames of the view; each has a row or column for every endpoint. From Python:

    from haa_jax import explain, restore

    trained = restore.load_run("runs/i3d")
    found = explain.explain("clip.mp4", trained)
    print(found.label, found.score, found.maps["Mixed_5c"].shape)  # (frames, 7, 7)

and `explain.grad_cam` gives the maps of stored clips without drawing.
"""

import sys

from absl import app, flags

from haa_jax import config_flag
from haa_jax.errors import UserError
from haa_jax.explanation.grad_cam import ExplanationError, grad_cam
from haa_jax.explanation.output import describe, write
from haa_jax.explanation.video import Explanation, explain
from haa_jax.prediction import network_flags, videos
from haa_jax.runtime import compiling, paths
from haa_jax.runtime.logs import set_up_logging

__all__ = ["Explanation", "ExplanationError", "describe", "explain", "grad_cam", "write"]


def main(argv: list[str]) -> None:
    options = flags.FLAGS
    set_up_logging()
    compiling.prepare()
    if len(argv) != 2:
        sys.exit(f"error: one video is needed, not {len(argv) - 1}; options are given as --name=value")
    try:
        out = paths.expand(options.out)
        paths.check_writable(out, "--out")
        (video,) = _only(videos.find(argv[1]), argv[1])
        trained = network_flags.load()
        label, head = options["class"].value or "", options.head or ""
        found = explain(video, trained, label, head, options.endpoint, options.flow_method)
        print(describe(found))
        print("\n".join(f"  {path}" for path in write(found, out)))
    except UserError as error:
        sys.exit(f"error: {error}")


def _only(found: list[str], given: str) -> list[str]:
    if len(found) != 1:
        raise ExplanationError(f"{given} has {len(found)} videos; give one of them")
    return found


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Not at import: other commands define flags of the same names."""
    network_flags.define(flag_values)
    own = {"flag_values": flag_values}
    flags.DEFINE_string("class", None, "Class to explain (default: the one with the highest score).", **own)
    flags.DEFINE_string("head", None, "Head of the class (default: the one that the test evaluates).", **own)
    flags.DEFINE_string("out", ".", "Folder for the pictures.", **own)
    flags.DEFINE_list("endpoint", [], "Endpoints to map (default: the network's last ones with positions).", **own)
    flags.DEFINE_enum(
        "flow_method",
        videos.FLOW_METHODS[0],
        videos.FLOW_METHODS,
        "How flow is computed, or images to read it: as for the dataset that the network was trained on.",
        **own,
    )


def run() -> None:
    """The console script."""
    define_flags()
    app.run(main, flags_parser=config_flag.parse)


if __name__ == "__main__":
    run()
