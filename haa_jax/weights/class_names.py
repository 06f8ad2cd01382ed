"""Files of class names: text, one name a line, in the order of a network's last layer."""

from etils import epath

from haa_jax.errors import UserError
from haa_jax.runtime import paths


class ClassNamesError(UserError, ValueError):
    """A file of class names that cannot be read; the message names it."""


def read(path: epath.PathLike) -> tuple[str, ...]:
    """The names in a file, in its order, without surrounding spaces; empty lines at its end are ignored.

    Raises:
      ClassNamesError: the file is missing or not UTF-8 text, has no names, an empty line before its last name, or a
        name twice: the names after it would belong to other classes.
    """
    path = paths.folder(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ClassNamesError(f"the file of class names {path} is missing") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ClassNamesError(f"{path} cannot be read as a text file of class names: {error}") from error
    names = [line.strip() for line in text.rstrip().splitlines()]
    if not names:
        raise ClassNamesError(f"{path} has no class names; it needs one a line, in the order of the last layer")
    for index, name in enumerate(names):
        if not name:
            raise ClassNamesError(f"{path}, line {index + 1}: a class has no name; every line up to the last needs one")
        if (first := names.index(name)) != index:
            raise ClassNamesError(f"{path}, line {index + 1}: {name!r} is also the class of line {first + 1}")
    return tuple(names)
