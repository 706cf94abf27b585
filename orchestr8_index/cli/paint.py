"""Text for a terminal, with our own colours and no other escape sequences.

A style of ours is marked by a random number of this process; `painted` removes all escape sequences
without it, and the number.
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
    """Like click.style, for text that `echo` prints."""
    before, after = click.style("\0", **given).replace("\x1b[", _OURS).split("\0")
    return before + painted(str(text)).replace("\x1b[", _OURS) + after


def painted(text: str) -> str:
    """Untrusted text for a terminal: without escape sequences other than our styles."""
    return for_terminal(text.replace(_OURS, _KEPT), lines=True).replace(_KEPT, "\x1b[")


def echo(text: str = "", err: bool = False) -> None:
    """Like click.echo, for untrusted text. Raises OperationError when the output is full."""
    _say(painted(text), err)


def echo_json(text: str) -> None:
    """Print JSON with control characters escaped, which does not change its value."""
    _say(json_for_terminal(text))


def _say(text: str, err: bool = False) -> None:
    with writing():
        click.echo(text, err=err)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Turn an OSError of the output, such as a full disk, into an OperationError."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in _NO_ROOM:
            raise
        sys.stdout = None  # so that its buffer is not flushed at exit
        sentence = f"The output cannot be written: {error.strerror}."
        raise OperationError(sentence, "Write it elsewhere.") from None


def complain(say: Callable[[], None]) -> None:
    """Print a command's error, unless standard error cannot be written either."""
    try:
        say()
    except (OSError, OperationError):
        sys.stderr = None  # as above
