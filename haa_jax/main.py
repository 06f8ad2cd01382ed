"""Trains and evaluates: `python -m haa_jax.main --config=configs/i3d.py --workdir=DIR`.

Exit codes: 0 done; 1 an error, said on stderr; 75 stopped by SIGTERM or Ctrl-C with everything saved: the same
command goes on from there.
"""

import logging as std_logging
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging
from ml_collections import config_flags

_CONFIG = config_flags.DEFINE_config_file("config", None, "The experiment: FILE.py[:words].", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where checkpoints, logs and results go.")
_MODE = flags.DEFINE_enum("mode", "train", ["train", "eval"], "train (and evaluate), or only evaluate the workdir.")
_MULTIHOST = flags.DEFINE_bool("multihost", False, "This is one of several processes, as TPU, Slurm or MPI say.")
_COORDINATOR = flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0, where nothing else says so.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "With --coordinator_address: processes in all.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "With --coordinator_address: which one this is, from 0.")

JOIN_SECONDS = 300


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}; settings are given as --config.field=value")
    logging.set_verbosity(logging.WARNING)  # Orbax alone says hundreds of things at INFO
    std_logging.getLogger("haa_jax").setLevel(std_logging.INFO)

    _join_other_processes()
    _leave_accelerators_to_jax()

    import jax

    from haa_jax import hosts, train
    from haa_jax.errors import USER_ERRORS
    from haa_jax.signals import EXIT_INTERRUPTED, Interrupted
    from tfds_haa500.disk import FULL

    run = {"train": train.train_and_evaluate, "eval": train.evaluate_workdir}[_MODE.value]
    try:
        run(_CONFIG.value, _WORKDIR.value)
    except Interrupted:
        sys.exit(EXIT_INTERRUPTED)
    except USER_ERRORS as error:
        hosts.leave(error)
    except OSError as error:
        if error.errno not in FULL:
            raise
        hosts.leave(f"{error}; once there is room, the same command goes on")
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        hosts.leave(f"the processes no longer work together, one of them may be gone: {error}")


def _join_other_processes() -> None:
    """Waits until all processes of this run are there."""
    import jax

    own = (_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    if own.count(None) not in (0, 3):
        raise app.UsageError("--coordinator_address, --num_processes and --process_id go together")
    if _MULTIHOST.value or None not in own:
        print(f"waiting for the other processes, {JOIN_SECONDS} s at most", flush=True)
        jax.distributed.initialize(*own, initialization_timeout=JOIN_SECONDS)
        print(f"this is process {jax.process_index()} of {jax.process_count()}", flush=True)


def _leave_accelerators_to_jax() -> None:
    """TensorFlow only writes TensorBoard files here, but would reserve a GPU's memory."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    app.run(main)
