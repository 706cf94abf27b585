"""A coroutine as a test: it is run with what the tests of its folder share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Collection
from typing import Any

Work = Callable[..., Awaitable[None]]


def as_test(
    test: Work, run: Callable[[Any, Work], object], fixture: str, given: Collection[str]
) -> Callable[..., None]:
    """`run(what the fixture gives, the coroutine)`, which has the parameters in `given` left."""
    names = [each for each in inspect.signature(test).parameters if each not in given]

    @functools.wraps(test)
    def running(**asked: Any) -> None:
        own = {name: asked[name] for name in names}
        run(asked[fixture], functools.partial(test, **own))

    how = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(each, how) for each in dict.fromkeys([fixture, *names])]
    running.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return running
