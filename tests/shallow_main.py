"""`python -m haa_jax.main` with a shallow I3D, since most of a start is tracing and compiling: tests start it often.

A run that has loaded TensorFlow when it ends fails.
"""

import sys

from absl import app

# Four of I3D's 18 blocks.
KEPT = ("Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "MaxPool3d_4a_3x3", "Mixed_5c")


def make_shallow() -> None:
    from haa_jax.models import i3d

    i3d.TRUNK = {name: i3d.TRUNK[name] for name in KEPT}


def without_tensorflow(argv: list[str]) -> None:
    main.main(argv)
    loaded = {"tensorflow", "keras"} & sys.modules.keys()
    assert not loaded, loaded


if __name__ == "__main__":
    from haa_jax import main

    make_shallow()
    app.run(without_tensorflow, flags_parser=main.parse)
