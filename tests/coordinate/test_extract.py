"""A talk within a budget: the newest messages whole, of the older ones what weighs most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.coordinate import extract
from orchestr8_index.coordinate.caller import Caller
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.coordinate.extract import within
from orchestr8_index.sharing import SendMessage, SessionCall
from orchestr8_index.tokens import estimate_tokens

from .worlds import run


def talk(*bodies: str) -> list[dict[str, Any]]:
    return [{"id": str(n), "from": "ada", "body": body} for n, body in enumerate(bodies)]


def size(told: dict[str, Any]) -> int:
    texts = [each["body"] for each in told["messages"]]
    texts += [each["text"] for each in told.get("extract", {"lines": []})["lines"]]
    return sum(map(estimate_tokens, texts))


def test_a_short_talk_is_whole() -> None:
    told = within(talk("one", "two"), 100)
    assert [each["body"] for each in told["messages"]] == ["one", "two"] and "extract" not in told


def test_the_newest_are_whole_and_what_is_rare_is_kept_of_the_rest() -> None:
    chatter = "ok, I am still on it and will tell you when it is done."
    rare = "The parser drops the last row when src/rows.py reads a file without a newline."
    told = within(talk(*[chatter] * 30, f"{chatter} {rare} {chatter}", *[chatter] * 30, "end"), 200)
    assert told["messages"][-1]["body"] == "end"
    texts = [each["text"] for each in told["extract"]["lines"]]
    assert rare in texts and texts.count(chatter) <= 1
    assert "no model" in told["extract"]["how"]


@given(st.lists(st.text(max_size=400), max_size=30), st.integers(100, 2000))
def test_no_talk_is_longer_than_it_may_be(bodies: list[str], most: int) -> None:
    told = within(talk(*bodies), most)
    assert size(told) <= most
    kept = [each["body"] for each in told["messages"]]
    assert kept == bodies[len(bodies) - len(kept) :]
    older = told.get("extract", {"of": 0, "lines": []})
    assert older["of"] == len(bodies) - len(kept)
    places = [int(each["id"]) for each in older["lines"]]
    assert places == sorted(places)


@pytest.mark.parametrize("ttl_s", [86_400, 172_800])
def test_a_conversation_survives_a_restart(tmp_path: Path, ttl_s: int) -> None:
    ada = Caller("ada")

    async def talking(state: Coordination) -> None:
        files = {"files": ["src/rows.py"]}
        begin = SessionCall(action="create", id="s", ttl_s=ttl_s, metadata=files)
        await state.session(ada, begin)
        for n in range(40):
            body = f"Message {n} of a long talk about the number {n * 7919}."
            await state.send_message(ada, SendMessage(to=[], session="s", body=body))

    async def later(state: Coordination) -> None:
        told = (await state.session(ada, SessionCall(action="get", id="s")))["session"]
        assert b"src/rows.py" in bytes(told["metadata"]) and told["created"] < told["last"]
        read = SessionCall(action="read", id="s", max_tokens=300)
        told = await state.session(ada, read)
        assert told["messages"][-1]["body"].startswith("Message 39 ")
        assert told["extract"]["lines"] and size(told) <= 300

    run(tmp_path, talking)
    run(tmp_path, later)


def test_an_extract_looks_at_the_newest_texts_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of millions of short sentences each was weighed: for seconds nobody else was answered."""
    monkeypatch.setattr(extract, "MOST_OLDER", 100)
    older = within(talk(*(f"thing{n} " * 5 for n in range(9))), 200)["extract"]
    ids = [line["id"] for line in older["lines"]]
    assert ids == [str(older["of"] - 2), str(older["of"] - 1)]
