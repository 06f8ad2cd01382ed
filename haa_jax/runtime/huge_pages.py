"""Memory in pages of 2 MB instead of 4 kB, for which a process starts again.

XLA asks for the temporary memory of a program anew at each call, and Linux clears it page by page: a seventh of the
CPU time that a step of I3D's demo takes (docs/speed.md). Where the system leaves it to programs to ask for huge pages,
the C library glibc asks for them if an environment variable tells it to, which it reads when a process starts.
"""

import os
import pathlib
import platform
import sys

VARIABLE, SETTING = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"  # glibc's manual, Memory Allocation Tunables
MODE = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")  # "always [madvise] never": the one that is set


def ask_for_them() -> None:
    """Starts this process again, under the same number and with the same arguments, if huge pages must be asked for.

    Not if the user has set the variable, nor where the C library is not glibc. Call it before anything else.
    """
    if VARIABLE in os.environ or platform.libc_ver()[0] != "glibc":
        return
    if MODE.exists() and "[madvise]" in MODE.read_text(encoding="ascii"):
        os.environ[VARIABLE] = SETTING
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
