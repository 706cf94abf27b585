"""Events from Python: as they happen, in whole revisions, and on after a break."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index import AsyncOrchestrator, InvalidParams, Orchestrator, ServerAway
from orchestr8_index.client.stream import EventReader

from ..processes import Running


def test_events_come_as_they_happen(server: Running) -> None:
    with Orchestrator(data_dir=server.world.data, agent="ada") as ada:
        rev = ada.write_shared({"day/1": 1})["rev"]
        events = ada.events(after=rev, prefix="day/")
        soon = threading.Timer(0.05, ada.write_shared, ({"day/2": 2, "day/3": 3},))
        soon.start()
        told = [next(events) for _ in range(2)]
        assert [(each["key"], each["value"]) for each in told] == [("day/2", 2), ("day/3", 3)]
        assert told[0]["rev"] == told[1]["rev"] > rev and told[0]["by"] == "ada"
        soon.join()
        events.close()
        assert list(events) == []


def test_asyncio_hears_them_too_and_lets_go(server: Running) -> None:
    async def work() -> Any:
        async with AsyncOrchestrator(data_dir=server.world.data) as client:
            rev = (await client.write_shared({"night/1": 1}))["rev"]
            await client.write_shared({"night/2": 2})
            events = client.events(after=rev, prefix="night/")
            first = await anext(events)
            waiting = asyncio.ensure_future(anext(events))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return first["value"]

    assert asyncio.run(work()) == 2


class Lines:
    """A stream of these lines, which breaks after them."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = iter(lines)

    def __iter__(self) -> Iterator[bytes]:
        return self._lines

    def close(self) -> None:
        pass


def told(number: int, rev: int | None = None, ends: bool = True) -> list[bytes]:
    event = {"n": number, **({} if rev is None else {"rev": rev})}
    head = [f"id: {rev}".encode()] if rev is not None and ends else []
    return [*head, b"data: " + json.dumps(event).encode(), b""]


def test_a_break_within_a_revision_tells_nothing_twice_and_leaves_nothing_out() -> None:
    asked: list[str] = []
    streams = [
        Lines([b":", b"id: 4", b"", *told(1, 5), *told(2, 6, ends=False)]),
        Lines([*told(2, 6, ends=False), *told(3, 6), *told(4), b":", b""]),
    ]

    def opens(path: str, seconds: float) -> Any:
        asked.append(path)
        return streams[len(asked) - 1]

    events = EventReader(opens, None, "", 60.0)
    assert [next(events)["n"] for _ in range(4)] == [1, 2, 3, 4]
    assert asked == ["/events?", "/events?after=5"]


def test_what_the_server_refuses_is_raised(server: Running, tmp_path: Path) -> None:
    with Orchestrator(data_dir=server.world.data) as client, pytest.raises(InvalidParams):
        next(client.events(prefix="no key"))
    with Orchestrator(data_dir=tmp_path) as alone, pytest.raises(ServerAway):
        next(alone.events())
