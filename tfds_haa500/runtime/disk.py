"""What a full disk looks like, and a readable end of the program for it."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def exit_if_full() -> Iterator[None]:
    """If an exception within comes from a full disk, ends the program with a message instead of a traceback."""
    try:
        yield
    except Exception as error:
        if not is_full_disk(error):
            raise
        sys.exit(
            f"error: the disk is full: {error}\nNothing of this dataset was left on it, and datasets that were built "
            "before are unchanged. Free some space and run the same command again."
        )


def is_full_disk(error: BaseException | None) -> bool:
    """Whether the system refused to write for lack of space, even if other exceptions wrap its error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if any(os.strerror(number) in str(error) for number in FULL):  # TensorFlow's and array_record's own errors
            return True
        error = error.__cause__ or error.__context__
    return False
