"""Text for a terminal: our own colours, and nothing of a stranger's that a terminal obeys.

A style bears a number that nobody outside this process knows; `painted` takes out every other
escape sequence, and the number.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from ..errors import OperationError
from ..fit import for_terminal, json_for_terminal

_NUMBER = str(10**18 + secrets.randbelow(10**18))
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
_OURS, _KEPT = f"\x1b[{_NUMBER};", f"\uf8ff{_NUMBER}"


def style(text: Any, **given: Any) -> str:
    """As click.style, for `echo`."""
    before, after = click.style("\0", **given).replace("\x1b[", _OURS).split("\0")
    return before + painted(str(text)).replace("\x1b[", _OURS) + after


def painted(text: str) -> str:
    """Text that strangers had a part in, for a terminal, with our own styles."""
    return for_terminal(text.replace(_OURS, _KEPT), lines=True).replace(_KEPT, "\x1b[")


def echo(text: str = "", err: bool = False) -> None:
    """As click.echo, painted."""
    _say(painted(text), err)


def echo_json(text: str) -> None:
    """JSON stays the same JSON."""
    _say(json_for_terminal(text))


def _say(text: str, err: bool = False) -> None:
    """Raises OperationError where the output takes no more, as on a full disk."""
    with writing():
        click.echo(text, err=err)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Within, whoever writes: an output that takes no more is an OperationError."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in _NO_ROOM:
            raise
        sys.stdout = None  # what is left in it cannot be written either
        said = f"The output cannot be written: {error.strerror}."
        raise OperationError(said, "Write it elsewhere.") from None


def complain(say: Callable[[], None]) -> None:
    """Say the last words of a command, unless standard error takes no more either."""
    try:
        say()
    except (OSError, OperationError):
        sys.stderr = None  # as above
