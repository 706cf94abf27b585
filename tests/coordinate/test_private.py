"""Who sees what: for every agent, and every way to read, exactly what the rule allows."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.errors import InvalidParams

from .worlds import Agent, rounds, run

NAMES = ["ada", "bob", "cyd"]
KINDS = {"ada": "claude", "bob": "cursor", "cyd": "claude", "eve": "cursor", "root": "person"}


class Sent(NamedTuple):
    sender: str
    to: list[str]
    visibility: str
    in_session: bool


SENT = st.builds(
    Sent,
    st.sampled_from(NAMES),
    st.lists(st.sampled_from([*NAMES, "queue:q", "all", "session:s"]), min_size=1, max_size=3),
    st.sampled_from(["public", "private", "agent_only", "admin_only"]),
    st.booleans(),
).map(lambda sent: sent._replace(sender="root") if sent.visibility == "admin_only" else sent)


@settings(
    max_examples=rounds(20, 500),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sent=st.lists(SENT, min_size=1, max_size=8))
def test_nobody_sees_what_is_private(
    tmp_path_factory: pytest.TempPathFactory, sent: list[Sent]
) -> None:
    async def work(state: Coordination) -> None:
        agents = {
            name: Agent(state, name, scope="report", kind=kind) for name, kind in KINDS.items()
        }
        agents["root"] = Agent(state, "root", scope="admin", kind="person", verified=True)
        await begin(agents)
        ids = [await post(agents[each.sender], n, each) for n, each in enumerate(sent)]
        for name, each in agents.items():
            allowed = {body(n) for n, one in enumerate(sent) if may_see(name, one)}
            said = {body(n) for n, one in enumerate(sent) if one.in_session} & allowed
            for way, seen in (await messages_seen(each, ids)).items():
                assert seen == (allowed if way.startswith("log") else said), way
            mine = {body(n) for n, one in enumerate(sent) if name in reached(one)} & allowed
            answer = await each.inbox(limit=50)
            assert bodies(answer) == mine and answer["waiting"] == 0
            for way, seen in (await values_seen(each, agents)).items():
                assert seen == (set(KINDS) if name == "root" else {name}), way
        for name, each in agents.items():
            answered = [await can_answer(each, ident) for ident in ids]
            assert answered == [may_see(name, one) for one in sent]
        for name, is_admins in (("eve", False), ("root", True)):
            tasks = {
                body(n)
                for n, one in enumerate(sent)
                if "queue:q" in one.to and is_admins == (one.visibility == "admin_only")
            }
            assert bodies(await agents[name].inbox(queue="q", limit=50)) == tasks

    run(tmp_path_factory.mktemp("private"), work)


def body(n: int) -> str:
    return f"secret{n}"


def bodies(answer: Any) -> set[str]:
    return {each["body"] for each in answer["messages"]}


def may_see(name: str, sent: Sent) -> bool:
    if sent.visibility == "public" or name == "root":
        return True
    alike = sent.visibility == "agent_only" and KINDS[name] == KINDS[sent.sender]
    return sent.visibility != "admin_only" and (alike or name in {sent.sender, *reached(sent)})


def reached(sent: Sent) -> set[str]:
    found = set(sent.to) & set(KINDS)
    if "all" in sent.to:
        found |= set(KINDS) - ({sent.sender} - set(sent.to))
    if "session:s" in sent.to:
        found |= {"ada", "bob"} - ({sent.sender} - set(sent.to))
    return found


async def begin(agents: dict[str, Agent]) -> None:
    """Everybody is seen, and writes a value of its own, twice; two are members of the session."""
    for name, each in agents.items():
        for value in ("before", name):
            await each.write({f"{each.caller.own}x": value})
    await agents["ada"].session("create", "s")
    await agents["bob"].session("join", "s")


async def post(sender: Agent, n: int, sent: Sent) -> str:
    where = {"session": "s"} if sent.in_session else {}
    told = await sender.send(*sent.to, body=body(n), visibility=sent.visibility, **where)
    return str(told["id"])


async def messages_seen(each: Agent, ids: list[str]) -> dict[str, set[str]]:
    ways = {
        f"log {asked}": told((await each.read(**asked, changed_after=0, limit=1000))["events"])
        for asked in ({"prefix": ""}, {"pattern": "*"})
    }
    query = " ".join(map(body, range(8)))
    for asked in (
        {},
        {"after": 0},
        {"offset": 0},
        {"max_tokens": 4000},
        {"query": query, "fuzzy_threshold": 0},
        {"query": query, "fuzzy_threshold": 0, "in_all": True},
        {"query": "ada bob cyd root", "fuzzy_threshold": 0, "in_all": True},
    ):
        ways[f"session {asked}"] = bodies(await each.session("read", "s", **asked))
    one_by_one = [bodies(await each.session("read", "s", message=ident)) for ident in ids]
    return {**ways, "session one by one": set[str]().union(*one_by_one)}


def told(events: list[Any]) -> set[str]:
    return {event["value"]["body"] for event in events if event["kind"] == "message"}


async def values_seen(each: Agent, agents: dict[str, Agent]) -> dict[str, set[str]]:
    """The present values below PRIVATE."""
    keys = [f"{other.caller.own}x" for other in agents.values()]
    rev = (await each.read(prefix=""))["rev"]
    ways: dict[str, set[str]] = {}
    for which in ({"prefix": ""}, {"prefix": "own/"}, {"pattern": "o*x"}, {"keys": keys}):
        for how in ({}, {"history": True}, {"at_rev": rev}, {"changed_after": 0, "limit": 1000}):
            answer = await each.read(**which, **how)
            rows = answer["events"] if "events" in answer else answer["items"]
            found = {row["value"] for row in rows if row["key"] in keys}
            ways[f"{which} {how}"] = found - {"before", None}
    return ways


async def can_answer(each: Agent, ident: str) -> bool:
    try:
        await each.send(each.caller.name, body="answer", reply_to=ident, visibility="private")
    except InvalidParams:
        return False
    return True
