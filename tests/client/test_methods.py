"""Both clients have every method of the table, with its params and its result as types."""

from __future__ import annotations

import inspect
import typing
from typing import Any, assert_type

import pytest

from orchestr8_index import AsyncOrchestrator, Orchestrator, SkillAnswer
from orchestr8_index.client.agents import AgentMethods
from orchestr8_index.client.methods import Methods
from orchestr8_index.methods import SHORT

INDEX = {short for short, method in SHORT.items() if method.face == "index"}
SHARED = {short for short, method in SHORT.items() if method.face == "coordinate"}
SHARED -= {"lock"}  # a `with` of the clients, and `locks` that lists them


def test_every_method_of_the_table_is_one_of_the_clients() -> None:
    public = {name for name in vars(Methods) if not name.startswith("_")}
    assert public == INDEX
    public = {name for name in vars(AgentMethods) if not name.startswith("_")}
    assert public == SHARED | {"locks"}


@pytest.mark.parametrize("short", sorted(SHARED))
def test_a_method_of_the_shared_state_takes_the_params_of_the_table(short: str) -> None:
    """Seconds to wait are `wait`; what writes one value may give its conditions beside it."""
    taken = set(inspect.signature(vars(AgentMethods)[short]).parameters) - {"self"}
    fields = set(SHORT[short].params.__struct_fields__)
    more = {"ttl_s", "if_rev"} if short == "write_shared" else set()
    assert taken == {{"wait_ms": "wait"}.get(each, each) for each in fields} | more


@pytest.mark.parametrize("short", sorted(INDEX))
def test_a_method_takes_the_params_of_the_table_and_returns_its_result(short: str) -> None:
    method = inspect.unwrap(vars(Methods)[short])
    taken = set(inspect.signature(method).parameters) - {"self"}
    assert taken == set(SHORT[short].params.__struct_fields__)
    assert typing.get_type_hints(method)["return"] == SHORT[short].result


def test_type_checkers_know_what_both_clients_return() -> None:
    """`scripts/lint` checks the types of these lines, which never run."""

    async def never(blocking: Orchestrator, awaiting: AsyncOrchestrator) -> None:
        assert_type(blocking.query_skills("x", limit=3), SkillAnswer)
        assert_type(await awaiting.query_skills("x", limit=3), SkillAnswer)
        assert_type(blocking.read_inbox(wait=30), dict[str, Any])
        assert_type(await awaiting.read_inbox(wait=30), dict[str, Any])
        blocking.query_skills(limit=3)  # type: ignore[call-arg]
        await awaiting.query_skills("x", limit="3")  # type: ignore[arg-type]

    assert inspect.iscoroutinefunction(never)
