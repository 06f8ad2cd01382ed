import os
import platform
import subprocess
import sys

import pytest

from haa_jax.runtime import huge_pages

# Prints how often it started, its number, what it was given, and the variable.
PROGRAM = """
import os, pathlib, sys
print("started", flush=True)
from haa_jax.runtime import huge_pages
huge_pages.MODE = pathlib.Path(sys.argv[1])
huge_pages.ask_for_them()
print(os.getpid(), sys.argv[2:], sys.flags.utf8_mode, os.environ.get(huge_pages.VARIABLE))
"""


def run(tmp_path, mode: str, **variables) -> list[str]:
    """Lines that the program printed."""
    (tmp_path / "enabled").write_text(mode)
    environment = {name: value for name, value in os.environ.items() if name != huge_pages.VARIABLE} | variables
    command = [sys.executable, "-X", "utf8", "-c", PROGRAM, str(tmp_path / "enabled"), "a b", "--c=é"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    lines = process.communicate()[0].splitlines()
    assert process.returncode == 0
    assert lines[-1].startswith(f"{process.pid} ['a b', '--c=é'] 1 ")
    return lines


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, the C library of most Linux systems")
def test_the_process_starts_again_as_it_was_started(tmp_path):
    first, second, last = run(tmp_path, "always [madvise] never\n")
    assert first == second == "started"
    assert last.endswith(f" {huge_pages.SETTING}")


@pytest.mark.parametrize(
    ("mode", "variables"),
    [
        ("[always] madvise never\n", {}),
        ("always madvise [never]\n", {}),
        ("always [madvise] never\n", {huge_pages.VARIABLE: "glibc.malloc.check=0"}),
    ],
)
def test_it_does_not_where_the_system_or_the_user_has_decided(tmp_path, mode, variables):
    started, last = run(tmp_path, mode, **variables)
    assert started == "started"
    assert last.endswith(f" {variables.get(huge_pages.VARIABLE)}")


def test_it_does_not_without_glibc(monkeypatch):
    monkeypatch.delenv(huge_pages.VARIABLE, raising=False)
    monkeypatch.setattr(huge_pages.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(huge_pages.os, "execv", None)
    huge_pages.ask_for_them()
    assert huge_pages.VARIABLE not in os.environ
