"""What does a call need from outside? The steps that the core asks for and a sender takes.

A call is a generator of steps: it yields a `Post` and gets a `Reply` or a `Trouble`, or yields a
`Work` and gets what its function returns. It never waits itself, so that one core serves the
blocking and the asynchronous sender.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from msgspec import Struct

from ..errors import RequestError

T = TypeVar("T")


class Post(Struct, frozen=True):
    url: str
    body: bytes


class Work(Struct, frozen=True):
    """Something that may block: files, locks, ranking."""

    do: Callable[[], Any]


class Reply(Struct, frozen=True):
    status: int
    body: bytes


class Trouble(Struct, frozen=True):
    """No answer that one can use. `broken`: a kept connection broke; `error`: what it said."""

    reason: str
    broken: bool = False
    error: RequestError | None = None


Step = Post | Work
Steps = Generator[Step, Any, T]
