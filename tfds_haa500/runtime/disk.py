"""A full disk, said in a sentence."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def full_disk_said() -> Iterator[None]:
    """Where an exception within comes from a full disk, ends the program with a message instead of it."""
    try:
        yield
    except Exception as error:
        if not is_full_disk(error):
            raise
        sys.exit(
            f"error: the disk is full: {error}\nNothing of this dataset was left, and what was built before is as it "
            "was. The same command builds it once there is room."
        )


def is_full_disk(error: BaseException | None) -> bool:
    """Whether the system refused to write for want of room, however it was wrapped on the way up."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if any(os.strerror(number) in str(error) for number in FULL):  # TensorFlow's and array_record's own errors
            return True
        error = error.__cause__ or error.__context__
    return False
