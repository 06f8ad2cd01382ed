"""The errors that a user can fix: their message is all that needs to be shown."""


class UserError(Exception):
    """Base class of the errors whose message tells what to change; commands print it without a traceback."""


def user_errors() -> tuple[type[Exception], ...]:
    """For an `except` clause of a command: UserError, and the errors of the same kind that tfds_haa500 raises."""
    from tfds_haa500.records import RecordError
    from tfds_haa500.taxonomy import TaxonomyError

    return UserError, RecordError, TaxonomyError
