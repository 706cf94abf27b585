"""How do the tests use both clients alike? Both block, and have the same methods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any

from orchestr8_index import AsyncOrchestrator, Orchestrator

Asker = Any  # an Orchestrator, or an AsyncOrchestrator that is waited for


class Waiting:
    """An AsyncOrchestrator in a loop of its own."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncOrchestrator(*args, **named)

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    @property
    def blocking(self) -> Orchestrator:
        return self._client._client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        return lambda *args, **named: self._runner.run(method(*args, **named))


SENDERS: dict[str, Any] = {"blocking": Orchestrator, "asynchronous": Waiting}


def blocking(asker: Asker) -> Orchestrator:
    """The blocking client that this one is, or that it puts into threads."""
    client: Orchestrator = asker if isinstance(asker, Orchestrator) else asker.blocking
    return client


def report(asker: Asker, task: str, **given: Any) -> Any:
    fields = {"task_description": "rotate the certificates", "agents_used": ["docs-writer"]}
    return asker.report_outcome(task, **{**fields, "result": "success", **given})
