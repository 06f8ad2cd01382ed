"""One of two hosts with a slow and lossy network between them: a network namespace, for as long as this runs.

    unshare --user --map-root-user --net --mount python -m tests.far_host --number=1 --wire=FD

Packets that processes of this namespace send go through this program, which delays them, loses some and passes the
others to the program of the other host. SIGUSR1 cuts the wire, in this direction; SIGUSR2 mends it.
"""

import argparse
import collections
import fcntl
import os
import random
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time

ADDRESS = "10.97.0.{}"  # of host 0, 1, ...; nobody else has it, since the namespace is connected to nothing else
# From linux/if_tun.h: a device whose packets this process reads and writes, without a header.
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
LARGEST = 65536  # bytes of a packet


def open_tunnel(number: int) -> int:
    """Makes the only network device of this namespace; what is sent to it is read from the file that is returned."""
    tunnel = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", b"far0", IFF_TUN | IFF_NO_PI))
    for line in ("link set lo up", f"addr add {ADDRESS.format(number)}/24 dev far0", "link set far0 up"):
        subprocess.run(["ip", *line.split()], check=True)
    return tunnel


def name_this_host(number: int) -> None:
    """Gloo tells the other processes the address that the host's own name stands for."""
    with tempfile.NamedTemporaryFile("w", prefix="hosts") as file:
        file.write(f"127.0.0.1 localhost\n{ADDRESS.format(number)} {socket.gethostname()}\n")
        file.flush()
        os.chmod(file.name, 0o644)
        subprocess.run(["mount", "--bind", file.name, "/etc/hosts"], check=True)  # which keeps the file


class Wire:
    """Moves packets until the other host is gone; `delay` in seconds, `loss` a share, both of each direction."""

    def __init__(self, tunnel: int, other: socket.socket, delay: float, loss: float, seed: int):
        self.tunnel, self.other, self.delay, self.loss = tunnel, other, delay, loss
        self.cut, self.dice, self.sent, self.lost = False, random.Random(seed), 0, 0
        self.on_the_way = collections.deque()  # (when it arrives, packet)

    def carry(self) -> None:
        while True:
            due = self.on_the_way[0][0] - time.monotonic() if self.on_the_way else None
            ready, _, _ = select.select([self.tunnel, self.other], [], [], due and max(0.0, due))
            if self.tunnel in ready:
                self.take(os.read(self.tunnel, LARGEST))
            if self.other in ready:
                packet = self.other.recv(LARGEST)
                if not packet:
                    return
                os.write(self.tunnel, packet)
            self.deliver()

    def take(self, packet: bytes) -> None:
        self.sent += 1
        if self.cut or self.dice.random() < self.loss:
            self.lost += 1
        else:
            self.on_the_way.append((time.monotonic() + self.delay, packet))

    def deliver(self) -> None:
        while self.on_the_way and self.on_the_way[0][0] <= time.monotonic():
            try:
                self.other.send(self.on_the_way.popleft()[1])
            except BlockingIOError:  # the other side's buffer is full: lost, as in a router
                self.lost += 1

    def set_cut(self, cut: bool) -> None:
        self.cut = cut
        print(f"{'cut' if cut else 'mended'}; {self.lost} of {self.sent} packets lost so far", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, required=True, help="of this host")
    parser.add_argument("--wire", type=int, required=True, help="an open socket (SOCK_SEQPACKET) to the other host")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds, each way")
    parser.add_argument("--loss", type=float, default=0.0, help="share of the packets, each way")
    options = parser.parse_args()
    tunnel, other = open_tunnel(options.number), socket.socket(fileno=options.wire)
    other.setblocking(False)
    name_this_host(options.number)
    wire = Wire(tunnel, other, options.delay, options.loss, seed=options.number)
    for number, cut in ((signal.SIGUSR1, True), (signal.SIGUSR2, False)):
        signal.signal(number, lambda *_, cut=cut: wire.set_cut(cut))
    print("ready", flush=True)
    wire.carry()


if __name__ == "__main__":
    main()
