"""Any order of calls, restarts and passing time: the shared state behaves as a dict would."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestr8_index.coordinate.core import Coordination
from orchestr8_index.coordinate.resources import overlaps
from orchestr8_index.errors import Busy, Conflict, NoSuchSession, StaleToken
from orchestr8_index.sharing import (
    BreakLock,
    Fence,
    RestoreShared,
    SavedValue,
    SnapshotShared,
    value_of,
)

from .worlds import TREE, Agent, Hand, plain, rounds

NAMES = st.sampled_from(["ada", "bob", "cyd"])
KEYS = st.sampled_from(["a", "dir/a", "dir/b", "s/s1/x"])
RESOURCES = st.sampled_from(["dir/", "dir/y.py", "port:1"])
SETS = st.lists(RESOURCES, min_size=1, max_size=3)
SESSIONS = st.sampled_from(["s1", "s1", "s2"])
ENDS, LATER = st.sampled_from([None, 5, 30]), st.sampled_from([0, 0, 1, 6, 40])
TAKEN_S, REPEATED_S = 10, 600


class Machine(RuleBasedStateMachine):
    """What a reader must find: `values` now, `past` at each revision of a write, `written` newest
    last, `held` by token, `mail` by name with the moment from which it can be taken (again)."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.hand = Hand()
        self.values: dict[str, tuple[Any, int, float]] = {}  # value, revision, end
        self.held: dict[str, tuple[list[str], float, int]] = {}  # by token: resources, end, ttl
        self.mail: dict[str, dict[str, float]] = {}
        self.past: dict[int, dict[str, Any]] = {}
        self.written: dict[str, list[Any]] = {}
        self.sessions: dict[str, tuple[set[str], list[str]]] = {}  # members, and what was said
        self.asked: dict[tuple[str, str], tuple[Any, float]] = {}  # answers by caller and request
        self.closed, self.last_rev, self.tokens = set[str](), 0, set[int]()
        self.begin()

    def begin(self) -> None:
        self.state = Coordination(Path(self.folder.name), clock=self.hand.clock())
        self.state.open()

        async def start() -> None:
            self.state.start()

        self.loop.run_until_complete(start())

    def call(self, call: Any) -> Any:
        return self.loop.run_until_complete(call)

    def teardown(self) -> None:
        self.call(self.state.close())
        self.loop.close()
        self.folder.cleanup()

    def agent(self, name: str) -> Agent:
        return Agent(self.state, name)

    def new_rev(self, rev: int) -> None:
        assert rev > self.last_rev
        self.last_rev = rev

    def live(self) -> dict[str, list[str]]:
        return {
            token: resources
            for token, (resources, end, _) in self.held.items()
            if end > self.hand.now
        }

    def wrote(self, rev: int, values: dict[str, Any], ttl: int | None = None) -> None:
        """A change of `values`, null for a deletion, after what had ended by then."""
        self.new_rev(rev)
        self.end_values()
        values = {k: v for k, v in values.items() if v is not None or k in self.values}
        for key, value in values.items():
            self.written.setdefault(key, []).append(value)
            self.values.pop(key, None)
            if value is not None:
                self.values[key] = (value, rev, self.hand.now + ttl if ttl else float("inf"))
        if values:  # else no event has that revision
            self.past[rev] = {key: value for key, (value, _, _) in self.values.items()}

    def end_values(self) -> None:
        for key, (_, _, end) in list(self.values.items()):
            if end <= self.hand.now:
                self.written[key].append(None)
                del self.values[key]

    @rule(name=NAMES, key=KEYS, value=st.none() | st.integers(), ttl=ENDS, later=LATER)
    def write(self, name: str, key: str, value: Any, ttl: int | None, later: int) -> None:
        self.hand.move(later)
        more = {} if ttl is None else {"ttl_s": ttl}
        self.wrote(
            self.call(self.agent(name).write({key: value}, **more))["rev"], {key: value}, ttl
        )

    @rule(name=NAMES, request=st.sampled_from(["r1", "r2"]), key=KEYS, value=st.integers())
    def write_once(self, name: str, request: str, key: str, value: int) -> None:
        """The same request within ten minutes gets the first answer, and does nothing."""
        answer = self.call(self.agent(name).write({key: value}, request_id=request))
        first, end = self.asked.get((name, request), (None, 0.0))
        if end > self.hand.now:
            assert answer == first
            return
        self.asked[name, request] = (answer, self.hand.now + REPEATED_S)
        self.wrote(answer["rev"], {key: value})

    @rule(prefix=st.sampled_from(["", "dir/"]), values=st.dictionaries(KEYS, st.integers()))
    def restore(self, prefix: str, values: dict[str, int]) -> None:
        values = {key: value for key, value in values.items() if key.startswith(prefix)}
        items = [SavedValue(key, value_of(value)) for key, value in values.items()]
        params = RestoreShared(items=items, prefix=prefix)
        rev = self.call(self.state.restore_shared(self.agent("root").caller, params))["rev"]
        self.end_values()
        gone = {key: None for key in self.values if key.startswith(prefix) and key not in values}
        if gone or values:
            self.wrote(rev, {**gone, **values})
        kept = self.call(self.state.snapshot_shared(self.agent("root").caller, SnapshotShared()))
        assert {each["key"]: each["value"] for each in plain(kept)["items"]} == {
            key: value for key, (value, _, _) in self.values.items()
        }

    @rule(data=st.data())
    def read_the_past(self, data: st.DataObject) -> None:
        self.call(self.agent("ada").write({"none": None}))  # what has ended is ended with a change
        self.end_values()
        history: dict[str, list[Any]] = {}
        asked: dict[str, Any] = {"prefix": "", "history": True, "limit": 1000}
        for each in self.call(self.agent("reader").read(**asked))["items"]:
            history.setdefault(each["key"], []).insert(0, each["value"])
        assert history == self.written
        if self.past:
            rev = data.draw(st.sampled_from(sorted(self.past)))
            items = self.call(self.agent("reader").read(prefix="", at_rev=rev))["items"]
            assert {each["key"]: each["value"] for each in items} == self.past[rev]

    @rule(name=NAMES, key=KEYS, value=st.integers(), right=st.booleans())
    def compare_and_set(self, name: str, key: str, value: int, right: bool) -> None:
        _, rev, end = self.values.get(key, (None, 0, float("inf")))
        rev = rev if end > self.hand.now else 0
        try:
            given = rev if right else rev + 1
            wrote = self.call(self.agent(name).write({key: value}, if_rev=given))
        except Conflict as error:
            assert not right and error.data()["rev"] == rev
            return
        assert right
        self.wrote(wrote["rev"], {key: value})

    @rule(name=NAMES, resources=SETS, ttl=st.integers(5, 60), later=LATER)
    def lock(self, name: str, resources: list[str], ttl: int, later: int) -> None:
        self.hand.move(later)
        wanted = {each if ":" in each else f"{TREE}/{each}" for each in resources}
        taken = [each for held in self.live().values() for each in held]
        is_free = not any(overlaps(one, other) for one in wanted for other in taken)
        try:
            token = self.call(self.agent(name).lock(*resources, ttl_s=ttl))["token"]
        except Busy:
            assert not is_free
            return
        assert is_free
        number = int(token.split(".")[0])
        assert number not in self.tokens
        self.tokens.add(number)
        self.new_rev(number)
        self.held[token] = (sorted(wanted), self.hand.now + ttl, ttl)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), name=NAMES, ttl=st.integers(5, 60))
    def renew(self, data: st.DataObject, name: str, ttl: int) -> None:
        token = data.draw(st.sampled_from(sorted(self.held)))
        try:
            self.call(self.agent(name).renew(token, ttl_s=ttl))
        except StaleToken:
            assert token not in self.live()
            return
        assert token in self.live()
        self.held[token] = (self.held[token][0], self.hand.now + ttl, ttl)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), name=NAMES)
    def release(self, data: st.DataObject, name: str) -> None:
        token = data.draw(st.sampled_from(sorted(self.held)))
        was_live = token in self.live()
        try:
            self.call(self.agent(name).release(token))
            assert was_live
        except StaleToken:
            assert not was_live
        del self.held[token]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), name=NAMES, key=KEYS, later=LATER)
    def write_fenced(self, data: st.DataObject, name: str, key: str, later: int) -> None:
        self.hand.move(later)
        token = data.draw(st.sampled_from(sorted(self.held)))
        fence = [Fence(self.held[token][0][0], token)]
        try:
            wrote = self.call(self.agent(name).write({key: "fenced"}, fence=fence))
        except StaleToken:
            assert token not in self.live()
            return
        assert token in self.live()
        self.wrote(wrote["rev"], {key: "fenced"})

    @rule(resource=RESOURCES)
    def break_lock(self, resource: str) -> None:
        params = BreakLock(resource, "it stands in the way")
        broken = self.call(self.state.break_lock(self.agent("root").caller, params))["broken"]
        wanted = resource if ":" in resource else f"{TREE}/{resource}"
        gone = [each for held in self.live().values() for each in held if overlaps(each, wanted)]
        assert sorted(each["resource"] for each in broken) == sorted(gone)
        for token, (resources, end, ttl) in list(self.held.items()):
            left = [each for each in resources if each not in gone]
            if left:
                self.held[token] = (left, end, ttl)
            else:
                del self.held[token]

    @rule(name=NAMES, to=NAMES | st.just("queue:q"), times=st.integers(1, 3))
    def send(self, name: str, to: str, times: int) -> None:
        for _ in range(times):
            ident = self.call(self.agent(name).send(to))["id"]
            self.mail.setdefault(to, {})[ident] = 0.0

    @rule(name=NAMES, box=NAMES | st.just("queue:q"), done=st.sets(st.integers(0, 5)), later=LATER)
    def read_mail(self, name: str, box: str, done: set[int], later: int) -> None:
        """All that is ready comes, oldest first; some of it is acknowledged."""
        self.hand.move(later)
        asked = {"queue": "q"} if box.startswith("queue:") else {}
        box = box if asked else name
        mail = self.mail.setdefault(box, {})
        found = self.call(self.agent(name).inbox(limit=3, take_s=TAKEN_S, **asked))["messages"]
        ids = [each["id"] for each in found if each["from"] != "server"]  # a broken lock is told
        ready = [ident for ident, ready in mail.items() if ready <= self.hand.now]
        assert ids == ready[: len(ids)] and len(found) == min(3, len(found) - len(ids) + len(ready))
        mail |= dict.fromkeys(ids, self.hand.now + TAKEN_S)
        ended = [ident for n, ident in enumerate(ids) if n in done]
        own = [each["id"] for each in found if each["from"] == "server"]
        self.call(self.agent(name).inbox(ack=[*ended, *own], limit=1, queue="nobody's"))
        for ident in ended:
            del mail[ident]

    @rule(name=NAMES, ident=SESSIONS, action=st.sampled_from(["create", "join", "leave", "close"]))
    def change_session(self, name: str, ident: str, action: str) -> None:
        try:
            self.call(self.agent(name).session(action, ident))
        except (Conflict, NoSuchSession) as error:
            assert isinstance(error, Conflict) == (action == "create")
            assert (ident in self.sessions) == (action == "create") or ident in self.closed
            return
        assert ident not in self.closed
        if action == "create":
            assert ident not in self.sessions
            self.sessions[ident] = ({name}, [])
        elif action == "join":
            self.sessions[ident][0].add(name)
        elif action == "leave":
            self.sessions[ident][0].discard(name)
        else:
            self.closed.add(ident)
            self.end_values()
            for key in [each for each in self.values if each.startswith(f"s/{ident}/")]:
                self.written[key].append(None)
                del self.values[key]
        told = self.call(self.agent("reader").session("get", ident))["session"]
        assert {each["name"] for each in told["members"]} == self.sessions[ident][0]

    @precondition(lambda self: self.sessions)
    @rule(name=NAMES, data=st.data(), body=st.sampled_from(["deployed", "failed", "again"]))
    def say(self, name: str, data: st.DataObject, body: str) -> None:
        ident = data.draw(st.sampled_from(sorted(self.sessions)))
        members, said = self.sessions[ident]
        try:
            number = self.call(self.agent(name).send(f"session:{ident}", session=ident, body=body))
        except NoSuchSession:
            assert ident in self.closed
            return
        said.append(body)
        for each in members - {name}:
            self.mail.setdefault(each, {})[number["id"]] = 0.0
        read = self.call(self.agent("reader").session("read", ident, limit=1000))["messages"]
        assert [each["body"] for each in read] == said
        found = self.call(self.agent("reader").session("read", ident, query=body))["messages"]
        assert len(found) == said.count(body)

    @rule(seconds=st.integers(1, 40))
    def pass_time(self, seconds: int) -> None:
        self.hand.move(seconds)

    @rule(seconds=st.integers(0, 100))
    def restart(self, seconds: int) -> None:
        """Locks get their lease anew, values keep what was left of theirs."""
        live, before = self.live(), self.hand.now
        self.call(self.agent("ada").write({"clock": None}))  # the clock is saved with a change
        self.call(self.state.save_clock())
        self.call(self.state.close())
        self.hand.move(seconds)
        self.begin()
        gone = self.hand.now - before
        self.values = {k: (v, rev, end + gone) for k, (v, rev, end) in self.values.items()}
        self.mail = {
            box: {ident: ready + gone if ready else 0.0 for ident, ready in mail.items()}
            for box, mail in self.mail.items()
        }
        self.asked = {asked: (answer, end + gone) for asked, (answer, end) in self.asked.items()}
        self.held = {
            token: (resources, self.hand.now + ttl, ttl) if token in live else (resources, 0.0, ttl)
            for token, (resources, _, ttl) in self.held.items()
        }

    @invariant()
    def readers_see_what_was_written(self) -> None:
        items = self.call(self.agent("reader").read(prefix=""))["items"]
        there = {k: (v, rev) for k, (v, rev, end) in self.values.items() if end > self.hand.now}
        assert {each["key"]: (each["value"], each["rev"]) for each in items} == there

    @invariant()
    def locks_are_listed(self) -> None:
        found = sorted(each["resource"] for each in self.call(self.agent("reader").locks()))
        assert found == sorted(each for held in self.live().values() for each in held)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=rounds(40, 300), stateful_step_count=30, deadline=None)
