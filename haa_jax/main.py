"""Trains and evaluates: `python -m haa_jax.main --config=configs/i3d.py --workdir=DIR`.

`--mode=show` checks everything as a run would, prints the resolved config and the network's parameters, and ends.

Exit codes: 0 done; 1 an error, said on stderr; 75 stopped by SIGTERM or Ctrl-C with everything saved: the same
command goes on from there.
"""

import os
import sys
import threading
from typing import NoReturn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # TensorFlow computes nothing here, but would announce them

from absl import app, flags

from haa_jax import config_flag
from haa_jax.runtime import paths
from haa_jax.runtime.logs import speak_as

_CONFIG = config_flag.define()
_WORKDIR = flags.DEFINE_string("workdir", None, "Where checkpoints, logs and results go.")
_MODE = flags.DEFINE_enum(
    "mode",
    "train",
    ["train", "eval", "show"],
    "train (and evaluate), only evaluate the workdir, or only show the config and the parameters.",
)
_MULTIHOST = flags.DEFINE_bool("multihost", False, "This is one of several processes, as TPU, Slurm or MPI say.")
_COORDINATOR = flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0, where nothing else says so.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "With --coordinator_address: processes in all.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "With --coordinator_address: which one this is, from 0.")

JOIN_SECONDS = 300


def parse(argv: list[str]) -> list[str]:
    """The flags; for `absl.app.run`."""
    rest = config_flag.parse(argv)
    config_flag.no_arguments(rest)
    config_flag.require("config", *([] if _MODE.value == "show" else ["workdir"]))
    return rest


def main(argv: list[str]) -> None:
    workdir = _usable_workdir()
    speak_as(0)  # which one this is shows when all are there
    process = _join_other_processes()
    speak_as(process)
    _leave_accelerators_to_jax()

    import jax

    from haa_jax import overview, train
    from haa_jax.errors import USER_ERRORS
    from haa_jax.runtime import hosts
    from haa_jax.runtime.signals import EXIT_INTERRUPTED, Interrupted
    from tfds_haa500.runtime.disk import is_full_disk

    def leave(message: object) -> NoReturn:
        hosts.leave(f"process {process}: {message}" if process else message)

    try:
        if _MODE.value == "show":
            print(overview.show(_CONFIG.value))
        else:
            {"train": train.train_and_evaluate, "eval": train.evaluate_workdir}[_MODE.value](_CONFIG.value, workdir)
    except Interrupted:
        sys.exit(EXIT_INTERRUPTED)
    except USER_ERRORS as error:
        leave(error)
    except Exception as error:
        if is_full_disk(error):  # TensorBoard's files may be what finds it full
            leave(f"the disk is full: {error}\nOnce there is room, the same command goes on.")
        if not isinstance(error, jax.errors.JaxRuntimeError) or jax.process_count() == 1:
            raise
        leave(f"the processes no longer work together, one of them may be gone: {error}")


def _usable_workdir() -> str:
    """`--workdir` as a path, if it can be used."""
    try:
        workdir = paths.expand(_WORKDIR.value or "")
        if _MODE.value == "train" and paths.is_local(workdir):
            paths.check_writable(workdir, "--workdir")
        if _MODE.value == "eval" and paths.is_local(workdir) and not os.path.isdir(workdir):
            raise paths.PathError(f"--workdir={workdir} is not a folder; --mode=eval needs one with checkpoints")
    except paths.PathError as error:
        sys.exit(f"error: {error}")
    return workdir


def _join_other_processes() -> int:
    """Waits until all processes of this run are there; the number of this one."""
    own = (_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    if own.count(None) not in (0, 3):
        sys.exit("error: --coordinator_address, --num_processes and --process_id go together")
    if not _MULTIHOST.value and None in own:
        return 0
    import jax

    from haa_jax.runtime import hosts

    patience = threading.Timer(
        hosts.QUIET_SECONDS, print, [f"waiting for the other processes, {JOIN_SECONDS} s at most"], {"flush": True}
    )
    patience.daemon = True
    patience.start()
    jax.distributed.initialize(*own, initialization_timeout=JOIN_SECONDS)
    patience.cancel()
    return jax.process_index()


def _leave_accelerators_to_jax() -> None:
    """TensorFlow only writes TensorBoard files here, but would reserve a GPU's memory."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
