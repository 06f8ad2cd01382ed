"""A Slurm cluster of one node, this machine, with daemons of its own in a folder of its own."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator

from tests.conftest import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo", "squeue", "scancel")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # where Debian has the daemons, which only root's PATH names
USER = pwd.getpwuid(os.getuid()).pw_name
MISSING = [program for program in PROGRAMS if not shutil.which(program, path=PATH)]

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY")  # states of a job

# The node claims to have what the job asks for, whatever this machine has: nothing is reserved or bound.
CONF = """\
ClusterName=test
SlurmctldHost=localhost
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={slurmctld}
SlurmdPort={slurmd}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobRequeue=1
ReturnToService=2
FirstJobId={first_job}
SlurmdParameters=config_overrides
NodeName=localhost CPUs=64 State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES State=UP
"""


def wait_until(true: Callable[[], object], what: str, seconds: float):
    """What `true` returns, as soon as that is true; `what` is said if it never is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


class Cluster:
    """Slurm's commands, for the daemons of `running_cluster`."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        # The tests themselves may be a job of another Slurm.
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))}
        self.environment = outside | {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": PATH}
        self._daemons = {}

    def start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            line = [shutil.which(name, path=PATH), *arguments]
            self._daemons[name] = subprocess.Popen(line, env=self.environment, stdout=out, stderr=out)

    def start_slurmctld(self) -> None:
        self.start("slurmctld", "-D")
        ready = ["scontrol", "ping"]
        wait_until(lambda: " is UP" in self.said(ready), "slurmctld answers", 60)

    def stop(self, name: str) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is None:
            return
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def said(self, arguments: list[str]) -> str:
        """What a command prints, whether it fails or not."""
        return subprocess.run(arguments, env=self.environment, capture_output=True, text=True, check=False).stdout

    def run(self, *arguments: str) -> str:
        """What a command of Slurm's prints; fails if it does."""
        done = subprocess.run(arguments, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def job(self, number: str) -> dict[str, str]:
        """The fields of `scontrol show job`: JobState, ExitCode, Restarts, ..."""
        fields = self.run("scontrol", "show", "job", number).split()
        return dict(field.split("=", 1) for field in fields if "=" in field)

    def close(self) -> None:
        """Ends all jobs, then the daemons, then what is left of both."""
        self.said(["scancel", "--user", USER])
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.said(["squeue", "--noheader"]).strip(), "all jobs end", 60)
        for name in ("slurmctld", "slurmd", "munged"):
            self.stop(name)
        for number in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)

    def processes(self) -> list[int]:
        """Jobs, and what watches over them, are no children of this process; they are known by their environment."""
        mine, found = f"SLURM_CONF={self.folder}/slurm.conf".encode(), []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # of others, or gone
                if mine in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Starts the daemons and, however the context ends, ends them and all jobs."""
    # Not pytest's folder: the name of a socket may have 107 characters.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="slurm"))
    cluster = Cluster(folder)
    try:
        _configure(folder)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        # --force: the folder is closed to other users, which is what munged warns of.
        cluster.start("munged", "-F", "--force", *(f"--{flag}={folder}/munge.{end}" for flag, end in files.items()))
        wait_until((folder / "munge.socket").exists, "munged is ready", 60)
        cluster.start_slurmctld()
        cluster.start("slurmd", "-D", "-N", "localhost")
        wait_until(lambda: "idle" in cluster.said(["sinfo", "--noheader", "--format=%T"]), "the node is idle", 60)
        yield cluster
    except BaseException:
        for log in sorted(folder.glob("*.log")):
            print(f"{log.name}:\n{log.read_text(errors='replace')[-2000:]}")
        raise
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: pathlib.Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    settings = {"folder": folder, "user": USER, "slurmctld": free_port(), "slurmd": free_port()}
    # JAX derives its port from the job's number, which is another in each process that tests.
    (folder / "slurm.conf").write_text(CONF.format(**settings, first_job=os.getpid()))
