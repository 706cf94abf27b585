"""Locks, values, messages and sessions from Python, with a server, and without one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index import AsyncOrchestrator, Busy, Conflict, Orchestrator, ServerAway, StaleToken
from orchestr8_index.client.held import Held, Lock

from ..processes import Running, wait_for


@pytest.fixture
def agents(server: Running, tmp_path: Path) -> Iterator[tuple[Orchestrator, Orchestrator]]:
    """Two agents in one folder."""
    named: dict[str, Any] = {"data_dir": server.world.data, "tree": tmp_path}
    with Orchestrator(agent="ada", **named) as ada, Orchestrator(agent="bob", **named) as bob:
        yield ada, bob


Pair = tuple[Orchestrator, Orchestrator]


def test_a_lock_is_held_within_and_free_after(agents: Pair, tmp_path: Path) -> None:
    ada, bob = agents
    with ada.lock("src/a.py", purpose="rename") as held:
        assert held.token.partition(".")[0].isdigit()
        with pytest.raises(Busy) as refused, bob.lock("src/a.py"):
            pass
        assert refused.value.facts["holders"][0]["name"] == "ada"
        assert refused.value.cure and "rename" in str(refused.value)
        shown = bob.locks("src/a.py")["locks"]
        assert [row["resource"] for row in shown] == [f"{tmp_path.resolve()}/src/a.py"]
    with bob.lock("src/a.py"):
        pass


def test_it_is_free_after_an_error_which_is_raised_on(agents: Pair) -> None:
    ada, bob = agents
    with pytest.raises(ZeroDivisionError), ada.lock("port:1"):
        raise ZeroDivisionError
    with bob.lock("port:1"):
        pass


def test_who_waits_gets_it_and_who_waited_in_vain_holds_nothing(agents: Pair) -> None:
    ada, bob = agents
    with ada.lock("port:2"):
        with pytest.raises(Busy), bob.lock("port:2", wait=0.05):
            pass
    assert ada.locks("port:2")["locks"] == []
    held = ada.lock("port:2")
    held.__enter__()
    threading.Timer(0.1, held.__exit__, (None, None, None)).start()
    with bob.lock("port:2", wait=30) as mine:
        assert mine.token


def test_a_broken_lock_is_stale_wherever_it_is_used(agents: Pair) -> None:
    ada, bob = agents
    with pytest.raises(StaleToken), ada.lock("port:3") as held:
        bob.break_lock("port:3", "it hangs")
        with pytest.raises(StaleToken):
            ada.write_shared({"port/3": "mine"}, fence=held)
    assert bob.read_shared("port/3")["items"] == []
    assert "it hangs" in ada.read_inbox()["messages"][-1]["body"]


class Table:
    """A client of which the server says what a test wants."""

    def __init__(self) -> None:
        self.renewed, self.errors = 0, list[Exception]()

    def _call(self, short: str, given: dict[str, Any]) -> Any:
        self.renewed += given["action"] == "renew"
        if given["action"] == "renew" and self.errors:
            raise self.errors.pop()
        return {"token": "1.secret"}


def test_it_renews_itself_through_a_server_that_is_away_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestr8_index.client.held.RENEWALS", 6000)
    table = Table()
    table.errors = [ServerAway("away"), ServerAway("away")]
    with Lock(table, ["a"], "", "exclusive", 60, 0.0) as held:
        wait_for(lambda: table.renewed > 4)
        assert held.token == "1.secret"


def test_a_lease_that_nobody_could_renew_is_over() -> None:
    held = Held(Table(), ["a"], "1.secret", 60, asked=-100.0)
    with pytest.raises(StaleToken, match="could not be renewed"):
        print(held.token)
    held.release()


def test_values_are_written_and_read_with_their_conditions(agents: Pair) -> None:
    ada, bob = agents
    rev = ada.write_shared({"plan/a": {"step": 1}, "plan/b": 2})["rev"]
    rows = bob.read_shared(prefix="plan/")["items"]
    assert [(row["value"], row["by"]) for row in rows] == [({"step": 1}, "ada"), (2, "ada")]
    with pytest.raises(Conflict) as refused:
        bob.write_shared({"plan/a": 3}, if_rev=0)
    assert refused.value.facts["rev"] == rev
    bob.write_shared([{"key": "plan/b", "value": None}])
    kept = ada.snapshot_shared("plan/")["items"]
    assert [each["key"] for each in kept] == ["plan/a"]
    ada.write_shared({"plan/a": None})
    ada.restore_shared(kept, "plan/")
    assert bob.read_shared(["plan/a"])["items"][0]["value"] == {"step": 1}


def test_a_message_is_waited_for_and_acknowledged(agents: Pair) -> None:
    ada, bob = agents
    threading.Timer(0.1, ada.send_message, ("bob", "The parser is ready.")).start()
    [message] = bob.read_inbox(wait=30)["messages"]
    assert (message["from"], message["body"]) == ("ada", "The parser is ready.")
    assert bob.read_inbox(ack=message["id"])["waiting"] == 0
    bob.session("create", "parser", purpose="to split it")
    ada.session("join", "parser")
    ada.send_message("session:parser", "I take the lexer.", session="parser")
    assert bob.session("read", "parser", query="lexr")["messages"][0]["from"] == "ada"
    assert {"ada", "bob"} <= {each["name"] for each in ada.coordination()["agents"]}


def test_without_a_server_each_says_so_at_once(tmp_path: Path) -> None:
    with Orchestrator(data_dir=tmp_path / "data") as alone:
        for call in (alone.read_inbox, alone.coordination, alone.lock("a").__enter__):
            with pytest.raises(ServerAway):
                call()


def test_asyncio_has_the_same(server: Running, tmp_path: Path) -> None:
    """More wait than the loop has threads for, and yet the holder can let go."""

    async def work() -> list[int]:
        order: list[int] = []
        async with AsyncOrchestrator(data_dir=server.world.data, agent="eve", tree=tmp_path) as eve:

            async def turn(number: int) -> None:
                async with eve.lock("turn", wait=30):
                    order.append(number)

            async with eve.lock("turn") as held:
                assert held.token
                turns = [asyncio.create_task(turn(number)) for number in range(40)]
                while len((await eve.locks("turn"))["locks"][0]["waiting"]) < 40:
                    await asyncio.sleep(0.01)
                turns[0].cancel()
            await asyncio.gather(*turns, return_exceptions=True)
            await eve.write_shared({"turn": len(order)})
            assert (await eve.read_inbox())["waiting"] == 0
            assert (await eve.locks("turn"))["locks"] == []
        return order

    assert sorted(asyncio.run(work())) == list(range(1, 40))
