"""`python -m haa_jax.main` with a shallow I3D: tests start it often, and most of a start is tracing and compiling."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app

# Five of I3D's 18 blocks.
KEPT = ("Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "Mixed_3b", "MaxPool3d_4a_3x3", "Mixed_5c")

if __name__ == "__main__":
    from haa_jax import main
    from haa_jax.models import i3d

    i3d.TRUNK = {name: i3d.TRUNK[name] for name in KEPT}
    app.run(main.main, flags_parser=main.parse)
