"""Messages and sessions: who gets what, how often, and who sees it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestr8_index.coordinate import search, select
from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.coordinate.messages import count_waiting
from orchestr8_index.coordinate.sessions import retire_sessions
from orchestr8_index.errors import Conflict, InvalidParams, NoSuchSession

from .worlds import Agent, Hand, run, shared, until


def bodies(answer: Any) -> list[str]:
    return [each["body"] for each in answer["messages"]]


@shared
async def test_unread_moves_only_on_ack(state: Coordination, hand: Hand) -> None:
    a, b = Agent(state, "a"), Agent(state, "b")
    await a.send("b", body="one")
    assert bodies(await b.inbox(peek=True)) == ["one"]
    [taken] = (await b.inbox(take_s=60))["messages"]
    assert taken["tries"] == 1
    assert bodies(await b.inbox()) == []
    hand.move(60)
    [again] = (await b.inbox(take_s=60))["messages"]
    assert (again["id"], again["tries"]) == (taken["id"], 2)
    await a.inbox(ack=[again["id"]])  # another's acknowledgement ends nothing
    hand.move(60)
    assert bodies(await b.inbox(take_s=60)) == ["one"]
    assert bodies(await b.inbox(ack=[again["id"]])) == []
    hand.move(3600)
    assert bodies(await b.inbox()) == []


def test_a_message_is_kept_over_a_restart(tmp_path: Path) -> None:
    run(tmp_path, lambda state: Agent(state, "a").send("b", body="kept"))
    assert bodies(run(tmp_path, lambda state: Agent(state, "b").inbox())) == ["kept"]


@shared
async def test_a_broadcast_is_unread_for_each(state: Coordination) -> None:
    agents = [Agent(state, f"a{n}") for n in range(4)]
    for each in agents:
        await each.write({f"hello/{each.caller.name}": 1})
    sent = await agents[0].send("all", body="news")
    assert (sent["recipients"], sent["never_seen"]) == (3, [])
    assert bodies(await agents[0].inbox()) == []
    for each in agents[1:]:
        [message] = (await each.inbox())["messages"]
        await each.inbox(ack=[message["id"]])
        assert bodies(await each.inbox()) == []


@shared
async def test_a_queue_gives_each_task_to_one_taker(state: Coordination) -> None:
    boss = Agent(state, "boss")
    for n in range(20):
        await boss.send("queue:tasks", body=f"t{n}")
    takers = [Agent(state, f"w{n}") for n in range(6)]
    calls = [each.inbox(queue="tasks", limit=1) for each in takers for _ in range(4)]
    found = [body for answer in await asyncio.gather(*calls) for body in bodies(answer)]
    assert sorted(found, key=lambda body: int(body[1:])) == [f"t{n}" for n in range(20)]


@shared
async def test_a_taken_task_comes_back_unless_it_is_done(state: Coordination, hand: Hand) -> None:
    await Agent(state, "boss").send("queue:q", body="task")
    [task] = (await Agent(state, "w1").inbox(queue="q", take_s=10))["messages"]
    assert bodies(await Agent(state, "w2").inbox(queue="q")) == []
    hand.move(10)
    assert bodies(await Agent(state, "w2").inbox(queue="q", take_s=10)) == ["task"]
    await Agent(state, "w1").inbox(ack=[task["id"]])  # too late: it is another's now
    hand.move(10)
    [task] = (await Agent(state, "w3").inbox(queue="q"))["messages"]
    assert task["tries"] == 3
    await Agent(state, "w3").inbox(ack=[task["id"]])
    hand.move(4000)
    assert bodies(await Agent(state, "w1").inbox(queue="q")) == []


@shared
async def test_urgent_ones_come_first_then_by_age(state: Coordination) -> None:
    a = Agent(state, "a")
    for priority, body in ((1, "one"), (3, "two"), (0, "three"), (3, "four")):
        await a.send("b", body=body, priority=priority)
    assert bodies(await Agent(state, "b").inbox()) == ["two", "four", "one", "three"]


@shared
async def test_those_to_a_role_come_among_those_to_the_name(state: Coordination) -> None:
    a, b = Agent(state, "a"), Agent(state, "b", role="tester")
    for to, body, priority in (("b", "1", 1), ("role:tester", "2", 2), ("b", "3", 2)):
        await a.send(to, body=body, priority=priority)
    taken = await b.inbox(limit=2)
    assert [each["body"] for each in taken["messages"]] == ["2", "3"]
    assert taken["waiting"] == 1


@shared
async def test_not_more_than_ten_thousand_that_wait_are_counted(state: Coordination) -> None:
    a, boxes = Agent(state, "a"), ("b", "c")
    for _ in range(3):
        await a.send("b", "c")
    counted = (state.store.reader, a.caller.project, boxes)
    assert count_waiting(*counted) == 6
    assert count_waiting(*counted, most=2) == 4


@shared
async def test_a_reply_ends_what_it_answers(state: Coordination, hand: Hand) -> None:
    a, b = Agent(state, "a"), Agent(state, "b")
    sent = await a.send("b", body="question", visibility="private")
    await b.inbox()
    await b.send("a", body="answer", reply_to=sent["id"])
    hand.move(4000)
    assert bodies(await b.inbox()) == []
    [answer] = (await a.inbox())["messages"]
    assert answer["reply_to"] == sent["id"]
    with pytest.raises(InvalidParams, match="no such message"):
        await Agent(state, "c", scope="report").send("a", reply_to=sent["id"])


@shared
async def test_a_name_never_seen_gets_its_message_when_it_comes(state: Coordination) -> None:
    sent = await Agent(state, "a").send("late", "role:tester", body="welcome")
    assert sent["never_seen"] == ["late", "role:tester"]
    assert bodies(await Agent(state, "late").inbox()) == ["welcome"]
    assert bodies(await Agent(state, "t", role="tester").inbox()) == ["welcome"]
    assert (await Agent(state, "a").send("role:tester"))["never_seen"] == []


@shared
async def test_a_reader_waits_for_mail(state: Coordination) -> None:
    waiting = asyncio.ensure_future(Agent(state, "b").inbox(wait_ms=20_000))
    await until(lambda: state.feed.waiting == 1)
    await Agent(state, "a").send("c")
    await Agent(state, "a").send("b", body="now")
    assert bodies(await waiting) == ["now"]


@shared
async def test_a_message_ends_with_its_time(state: Coordination, hand: Hand) -> None:
    await Agent(state, "a").send("b", expires_s=5)
    hand.move(5)
    await Agent(state, "a").write({"x": 1})
    assert (await Agent(state, "b").inbox())["waiting"] == 0


@shared
async def test_a_session_keeps_members_state_and_messages(state: Coordination) -> None:
    a, b = Agent(state, "a"), Agent(state, "b", role="tester")
    await a.session("create", "s1", purpose="release")
    with pytest.raises(Conflict):
        await a.session("create", "s1")
    await b.session("join", "s1")
    await a.send("session:s1", session="s1", body="begin")
    assert (await b.send("session:s1", body="hi"))["recipients"] == 1
    assert bodies(await b.inbox()) == ["begin"]
    for n in range(5):
        await b.send("a", session="s1", body=f"m{n}")
    page = await a.session("read", "s1", limit=2)
    assert (bodies(page), page["more"]) == (["m3", "m4"], True)
    rest = await a.session("read", "s1", after=page["rev"])
    assert (rest["messages"], rest["more"]) == ([], False)
    await b.session("leave", "s1")
    with pytest.raises(InvalidParams, match="nobody else is in the session s1"):
        await a.send("session:s1", body="swallowed")
    with pytest.raises(NoSuchSession, match="Near ones: s1"):
        await a.send("b", "session:s11", body="swallowed")
    assert bodies(await b.inbox()) == []
    found = (await a.session("get", "s1"))["session"]
    assert [each["name"] for each in found["members"]] == ["a"]
    assert found["purpose"] == "release"


@shared
async def test_a_closed_sessions_keys_are_gone(state: Coordination) -> None:
    a = Agent(state, "a")
    await a.session("create", "s1")
    await a.write({"s/s1/x": 1, "s/s10/x": 2})
    await a.session("close", "s1")
    assert [each["key"] for each in (await a.read(prefix="s/"))["items"]] == ["s/s10/x"]
    with pytest.raises(NoSuchSession, match="closed"):
        await a.send("b", session="s1")
    assert (await a.session("list"))["sessions"] == []


@shared
async def test_a_missing_session_names_near_ones(state: Coordination) -> None:
    await Agent(state, "a").session("create", "release-7")
    with pytest.raises(NoSuchSession) as refused:
        await Agent(state, "a").session("join", "relase-7")
    assert list(refused.value.data()["near"]) == ["release-7"]


@shared
async def test_idle_sessions_are_archived_then_removed(state: Coordination, hand: Hand) -> None:
    a = Agent(state, "a")
    await a.session("create", "s1")
    await a.write({"s/s1/x": 1})

    hand.move(8 * 86_400)
    await state.change(a.caller, retire_sessions)
    assert (await a.session("list"))["sessions"] == []
    assert (await a.session("get", "s1"))["session"]["status"] == "archived"
    hand.move(31 * 86_400)
    await state.change(a.caller, retire_sessions)
    with pytest.raises(NoSuchSession):
        await a.session("get", "s1")
    assert await a.get("s/s1/x") is None


@shared
async def test_a_search_forgives_spelling(state: Coordination) -> None:
    a = Agent(state, "a")
    await a.session("create", "s1")
    await a.session("create", "s2")
    for session, body in (
        ("s1", "the deployment of the gateway failed"),
        ("s1", "nothing to see here"),
        ("s2", "the deployment went well"),
    ):
        await a.send("b", session=session, body=body)
    found = await a.session("read", "s1", query="deploymnt gatewey")
    assert bodies(found) == ["the deployment of the gateway failed"]
    assert found["messages"][0]["score"] > 85
    assert bodies(await a.session("read", "s1", query="deploymnt", fuzzy_threshold=100)) == []
    assert bodies(await a.session("read", "s1", query='" OR * NEAR(')) == []


@shared
async def test_a_search_looks_at_senders_and_metadata_where_it_is_told_to(
    state: Coordination,
) -> None:
    a = Agent(state, "ada")
    await a.session("create", "s1")
    await a.send(body="done", session="s1", metadata={"tag": "urgent"})
    for query in ("ada", "urgent"):
        assert bodies(await a.session("read", "s1", query=query)) == []
        assert bodies(await a.session("read", "s1", query=query, in_all=True)) == ["done"]


def test_a_search_compares_the_newest_texts_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of long messages each word of each was compared: for seconds nobody else was answered."""
    monkeypatch.setattr(search, "MOST_IN_ALL", 350)

    async def work(state: Coordination) -> None:
        a = Agent(state, "a")
        await a.session("create", "s1")
        for number in range(5):
            await a.send("b", session="s1", body=f"needle {number} " + "x" * 90)
        for in_all in (False, True):
            found = await a.session("read", "s1", query="needle", in_all=in_all)
            assert [body[7] for body in bodies(found)] == ["4", "3", "2"]

    run(tmp_path, work)


def test_no_more_is_read_of_a_session_than_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "MOST_BYTES", 2000)

    async def work(state: Coordination) -> None:
        a = Agent(state, "a")
        await a.session("create", "s1")
        sent = [await a.send("b", session="s1", body=f"{n}" * 700) for n in range(5)]
        last = await a.session("read", "s1")
        assert [body[0] for body in bodies(last)] == ["3", "4"] and last["more"]
        first = await a.session("read", "s1", after=(int(sent[0]["id"]) >> 10) - 1)
        assert [body[0] for body in bodies(first)] == ["0", "1"] and first["more"]

    run(tmp_path, work)


def test_where_many_words_begin_alike_more_letters_must_be_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_INDEXED", 3)

    async def work(state: Coordination) -> None:
        a = Agent(state, "a")
        await a.session("create", "s1")
        for body in ("able acid aged agent alarm", "alphabet"):
            await a.send("b", session="s1", body=body)
        found = [await a.session("read", "s1", query=word) for word in ("alphabat", "acit")]
        assert [bodies(each) for each in found] == [["alphabet"], ["able acid aged agent alarm"]]
        assert bodies(await a.session("read", "s1", query="aphabet")) == []

    run(tmp_path, work)
