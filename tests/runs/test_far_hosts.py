"""Two network namespaces as two hosts, with a network between them that is slow, loses packets, or is cut."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from haa_jax.runtime.signals import EXIT_INTERRUPTED
from tests import far_host
from tests.runs.test_multihost import Host, arguments, assert_as_alone, assert_losses_as_alone, train_alone
from tests.runs.test_resume import ROOT

OWN_NETWORK = ["unshare", "--user", "--map-root-user", "--net", "--mount"]
PORT = 4000  # the namespaces have all ports to themselves
PATIENCE = 600.0  # seconds, for what takes one minute on a machine that has nothing else to do


class FarHosts:
    """Two hosts; `delay` in seconds and `loss` as a share, each way."""

    def __init__(self, delay: float, loss: float):
        self.wires, ends = [], socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for number, end in enumerate(ends):
            settings = [f"--number={number}", f"--wire={end.fileno()}", f"--delay={delay}", f"--loss={loss}"]
            line = [*OWN_NETWORK, sys.executable, "-m", "tests.far_host", *settings]
            wire = subprocess.Popen(line, cwd=ROOT, pass_fds=[end.fileno()], stdout=subprocess.PIPE, text=True)
            self.wires.append(wire)
        for end in ends:
            end.close()
        for wire in self.wires:
            assert wire.stdout.readline() == "ready\n"

    def train(self, line: list[str]) -> list[Host]:
        """Starts a command as one process of two on each host."""
        common = [*line, f"--coordinator_address={far_host.ADDRESS.format(0)}:{PORT}", "--num_processes=2"]
        return [Host([*self._inside(i), *common, f"--process_id={i}"]) for i in range(2)]

    def _inside(self, number: int) -> list[str]:
        namespaces = ["--user", "--preserve-credentials", "--net", "--mount"]
        return ["nsenter", f"--target={self.wires[number].pid}", *namespaces, f"--wd={ROOT}"]

    def set_cut(self, cut: bool) -> None:
        for wire in self.wires:
            wire.send_signal(signal.SIGUSR1 if cut else signal.SIGUSR2)
            print(wire.stdout.readline().strip())

    def close(self) -> None:
        for wire in self.wires:
            wire.kill()
            wire.communicate()


@contextlib.contextmanager
def far_apart(delay: float, loss: float):
    hosts = FarHosts(delay, loss)
    try:
        yield hosts
    finally:
        hosts.close()


def _missing() -> str:
    """Why there can be no such hosts here, or nothing."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    try:
        device = "ip tuntap add dev far0 mode tun && mount --bind /etc/hosts /etc/hosts"
        done = subprocess.run([*OWN_NETWORK, "sh", "-c", device], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _own_network():
    if missing := _missing():
        pytest.skip(f"no network of its own: {missing}")


@pytest.fixture(scope="module")
def alone(data_dir, tmp_path_factory):
    """(workdir, what was said) of one process with four devices."""
    return train_alone(data_dir, tmp_path_factory.mktemp("alone"), 4, PATIENCE)


def test_with_delay_and_loss_two_hosts_do_what_one_process_does(data_dir, alone, tmp_path):
    with far_apart(delay=0.02, loss=0.01) as far:
        started = time.monotonic()
        hosts = far.train(arguments(data_dir, tmp_path))
        assert [host.end(PATIENCE) for host in hosts] == [0, 0], hosts[0].text + hosts[1].text
        print(f"{time.monotonic() - started:.0f} s")
        far.set_cut(True)  # says how many packets there were
    assert "on 4 cpu in 2 process(es)" in hosts[0].text
    assert_losses_as_alone(hosts[0].text, alone, range(2, 5))
    assert_as_alone(tmp_path, alone[0])


def test_a_network_that_is_cut_ends_both_and_the_same_command_resumes(data_dir, tmp_path):
    line = arguments(data_dir, tmp_path, **{"train.steps": 40, "checkpoint.every_epochs": 1.0})
    with far_apart(delay=0.001, loss=0.0) as far:
        hosts = far.train(line)
        hosts[0].wait_for("step 9/")
        far.set_cut(True)
        cut = time.monotonic()
        codes = [host.end(PATIENCE) for host in hosts]  # once one misses the other's heartbeats, for 100 s at most
        print(f"{codes}, {time.monotonic() - cut:.0f} s after the cut")
        far.set_cut(False)
        for code, host in zip(codes, hosts, strict=True):
            assert code not in (0, EXIT_INTERRUPTED)
            assert "another task died" in host.text or "one of them may be gone" in host.text, host.text
        hosts = far.train(line)
        assert [host.end(PATIENCE) for host in hosts] == [0, 0], hosts[0].text + hosts[1].text
    assert "resuming from the checkpoint at step" in hosts[0].text
