"""`python -m haa_jax.main` with a shallow I3D and without TensorBoard's files: tests start it often.

Most of a start is tracing, compiling, and importing TensorFlow, which writes those files; test_train.py has them.
"""

import contextlib
import types

from absl import app

# Four of I3D's 18 blocks.
KEPT = ("Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "MaxPool3d_4a_3x3", "Mixed_5c")

if __name__ == "__main__":
    from haa_jax import main, summaries
    from haa_jax.models import i3d

    i3d.TRUNK = {name: i3d.TRUNK[name] for name in KEPT}
    writer = types.SimpleNamespace(write_scalars=lambda step, scalars: None)
    summaries.metric_writer = lambda workdir: contextlib.nullcontext(writer)
    app.run(main.main, flags_parser=main.parse)
