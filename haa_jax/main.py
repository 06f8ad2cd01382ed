"""Trains and evaluates: `python -m haa_jax.main --config=configs/i3d.py --workdir=DIR`.

`--mode=show` runs all checks, prints the resolved config and the network's parameters, and exits.

Exit codes: 0 done; 1 an error, printed to stderr; 75 stopped by SIGTERM or Ctrl-C with everything saved: the same
command resumes from there.
"""

import os
import sys
import threading
from typing import NoReturn

from absl import app, flags

from haa_jax import config_flag
from haa_jax.runtime import compiling, huge_pages, paths
from haa_jax.runtime.logs import set_up_logging

_CONFIG = config_flag.define()
_WORKDIR = flags.DEFINE_string("workdir", None, "Where checkpoints, logs and results go.")
_MODE = flags.DEFINE_enum(
    "mode",
    "train",
    ["train", "eval", "show"],
    "train (and evaluate), only evaluate the workdir, or only show the config and the parameters.",
)
_MULTIHOST = flags.DEFINE_bool("multihost", False, "This is one of several processes, as set up by TPU, Slurm or MPI.")
_COORDINATOR = flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0, if it cannot be detected.")
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "With --coordinator_address: number of processes.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "With --coordinator_address: number of this process, from 0.")

JOIN_SECONDS = 300


def parse(argv: list[str]) -> list[str]:
    """Parses the flags, for `absl.app.run`."""
    rest = config_flag.parse(argv)
    config_flag.no_arguments(rest)
    config_flag.require("config", *([] if _MODE.value == "show" else ["workdir"]))
    return rest


def main(argv: list[str]) -> None:
    workdir = _usable_workdir()
    set_up_logging()  # the number of this process is known only after joining the others
    compiling.prepare()
    process = _join_other_processes()
    set_up_logging(process)

    import jax

    from haa_jax import evaluate, overview, train
    from haa_jax.errors import user_errors
    from haa_jax.runtime import hosts
    from haa_jax.runtime.signals import EXIT_INTERRUPTED, Interrupted
    from tfds_haa500.runtime.disk import is_full_disk

    def abort(message: object) -> NoReturn:
        hosts.abort(f"process {process}: {message}" if process else message)

    try:
        if _MODE.value == "show":
            print(overview.show(_CONFIG.value))
        else:
            {"train": train.train_and_evaluate, "eval": evaluate.evaluate_workdir}[_MODE.value](_CONFIG.value, workdir)
    except Interrupted:
        sys.exit(EXIT_INTERRUPTED)
    except user_errors() as error:
        abort(error)
    except Exception as error:
        if is_full_disk(error):  # it may be TensorBoard's files that fail
            abort(f"the disk is full: {error}\nOnce there is space, the same command resumes.")
        if not isinstance(error, jax.errors.JaxRuntimeError) or jax.process_count() == 1:
            raise
        abort(f"communication between the processes failed, one of them may be gone: {error}")


def _usable_workdir() -> str:
    """`--workdir` as a path; exits with an error if it cannot be used."""
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
    """Waits until all processes of this run have started; returns the number of this one."""
    own = (_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    if own.count(None) not in (0, 3):
        sys.exit("error: --coordinator_address, --num_processes and --process_id go together")
    if not _MULTIHOST.value and None in own:
        return 0
    import jax

    from haa_jax.runtime import hosts

    notice = threading.Timer(
        hosts.QUIET_SECONDS, print, [f"waiting for the other processes, {JOIN_SECONDS} s at most"], {"flush": True}
    )
    notice.daemon = True
    notice.start()
    jax.distributed.initialize(*own, initialization_timeout=JOIN_SECONDS)
    notice.cancel()
    return jax.process_index()


if __name__ == "__main__":
    huge_pages.ask_for_them()
    app.run(main, flags_parser=parse)
