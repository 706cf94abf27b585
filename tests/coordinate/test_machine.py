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
from orchestr8_index.errors import Busy, Conflict, StaleToken
from orchestr8_index.sharing import Fence

from .worlds import TREE, Agent, Hand, rounds

NAMES = st.sampled_from(["ada", "bob", "cyd"])
KEYS = st.sampled_from(["a", "b", "dir/a", "dir/b"])
RESOURCES = st.sampled_from(["x.py", "dir/", "dir/y.py", "dir/z.py", "port:1"])
SETS = st.lists(RESOURCES, min_size=1, max_size=3)


class Machine(RuleBasedStateMachine):
    """`values`, `held` and `mail` are what a reader must find."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.hand = Hand()
        self.values: dict[str, tuple[Any, int, float]] = {}  # value, revision, end
        self.held: dict[str, tuple[list[str], float, int]] = {}  # by token: resources, end, ttl
        self.mail: dict[str, list[str]] = {}
        self.last_rev, self.tokens = 0, set[int]()
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

    @rule(name=NAMES, key=KEYS, value=st.none() | st.integers(), ttl=st.none() | st.integers(1, 50))
    def write(self, name: str, key: str, value: Any, ttl: int | None) -> None:
        more = {} if ttl is None else {"ttl_s": ttl}
        wrote = self.call(self.agent(name).write({key: value}, **more))
        self.new_rev(wrote["rev"])
        end = self.hand.now + ttl if ttl else float("inf")
        self.values.pop(key, None)
        if value is not None:
            self.values[key] = (value, wrote["rev"], end)

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
        self.new_rev(wrote["rev"])
        self.values[key] = (value, wrote["rev"], float("inf"))

    @rule(name=NAMES, resources=SETS, ttl=st.integers(5, 60))
    def lock(self, name: str, resources: list[str], ttl: int) -> None:
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
    @rule(data=st.data(), name=NAMES, key=KEYS)
    def write_fenced(self, data: st.DataObject, name: str, key: str) -> None:
        token = data.draw(st.sampled_from(sorted(self.held)))
        fence = [Fence(self.held[token][0][0], token)]
        try:
            wrote = self.call(self.agent(name).write({key: "fenced"}, fence=fence))
        except StaleToken:
            assert token not in self.live()
            return
        assert token in self.live()
        self.values[key] = ("fenced", wrote["rev"], float("inf"))
        self.new_rev(wrote["rev"])

    @rule(name=NAMES, to=NAMES)
    def send(self, name: str, to: str) -> None:
        ident = self.call(self.agent(name).send(to))["id"]
        self.mail.setdefault(to, []).append(ident)

    @rule(name=NAMES)
    def read_all_mail(self, name: str) -> None:
        found = self.call(self.agent(name).inbox(limit=50, take_s=10))["messages"]
        ids = [each["id"] for each in found]
        assert set(ids) <= set(self.mail.get(name, []))
        self.call(self.agent(name).inbox(ack=ids, peek=False, limit=1, take_s=10))
        self.mail[name] = [each for each in self.mail.get(name, []) if each not in ids]

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
TestMachine.settings = settings(max_examples=rounds(15, 300), stateful_step_count=25, deadline=None)
