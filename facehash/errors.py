"""Errors that a user can cause."""

import difflib
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """A path, a file's content, a key or a value given by the user is wrong.

    The message is one line that names the thing, what is wrong with it, and what would be right.
    Commands print this line and exit with code 2. Any other exception is a bug and is printed
    with its traceback.
    """


class Interrupted(Exception):
    """Ctrl-C was pressed or SIGTERM arrived; the message names what was kept.

    The same command continues from there. `facehash.command_line.run` adds that command to the
    message.

    Args:
        message: What was done and where it is.
        without: Options that the continuing command must not have, such as ``--overwrite``.
    """

    def __init__(self, message: str, without: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.without = tuple(without)


def in_one_line(error: BaseException) -> str:
    r"""Return the message of an error of another library in one line, or its type if it has none.

    Example:
        >>> in_one_line(OSError("no answer\n  from it")), in_one_line(TimeoutError())
        ('no answer from it', 'TimeoutError')
    """
    return " ".join(str(error).split()) or type(error).__name__


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Suggest the nearest valid choice, as the end of an error message.

    Args:
        name: The received name.
        choices: The valid names.

    Returns:
        Such as ``" (did you mean 'epochs'?)"``; all choices if none is near; ``""`` if there are
        no choices.
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f" (did you mean {near[0]!r}?)"
    return f" (known: {', '.join(known)})" if known else ""
