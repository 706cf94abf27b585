"""What can be listed, read and completed by address, whatever names a tree has?"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp_types import ResourceTemplateReference

from orchestr8_index.catalog.index import Index
from orchestr8_index.records import KINDS, Kind
from orchestr8_index.serve.mcp.addresses import address, template
from orchestr8_index.serve.mcp.server import make_server
from orchestr8_index.serve.state import State

from ...trees import MakeTree, agent, build_tree
from ..asking import settings_of, state_of
from ..learners import Learner, learn
from .meeting import meet, refused

HOSTILE = ["ü %2F/?#&=", "../../etc/passwd", "a:b:c", "{plugin}", "日本", "%", "x" * 90, "<b>"]


@pytest.fixture
def hostile(tmp_path: Path, make_tree: MakeTree) -> State:
    named = {f"agents/{n}.md": agent(json.dumps(name)) for n, name in enumerate(HOSTILE)}
    root = make_tree(named, "plugins/odd: %2e plugin")
    index = build_tree(root, data_dir=tmp_path / "data").index
    return state_of(settings_of(tmp_path / "data", root), index)


def read(state: State, uri: str) -> Any:
    return meet(state, lambda client: client.read_resource(uri)).contents[0]


def all_resources(state: State) -> list[Any]:
    async def walk(client: Client) -> list[Any]:
        told = await client.list_resources()
        found = list(told.resources)
        while told.next_cursor:
            told = await client.list_resources(cursor=told.next_cursor)
            found += told.resources
        return found

    return meet(state, walk)


def test_every_entry_is_listed_and_read(state: State) -> None:
    uris = [str(resource.uri) for resource in all_resources(state)]
    assert (
        len(uris) == len(set(uris)) == 2 + 40 + 8
    )  # index and patterns; skills have two addresses
    assert all(read(state, uri).text for uri in uris)


def test_a_long_list_comes_in_pages(tmp_path: Path, make_tree: MakeTree) -> None:
    root = make_tree({f"agents/a{n}.md": agent(f"a{n}") for n in range(120)})
    state = state_of(settings_of(tmp_path, root), build_tree(root, data_dir=tmp_path).index)
    told = meet(state, lambda client: client.list_resources())
    assert len(told.resources) == 102 and told.next_cursor
    assert len(all_resources(state)) == 122


def test_hostile_names_are_read_by_their_addresses(hostile: State) -> None:
    listed = [r for r in all_resources(hostile) if "agents/" in str(r.uri)]
    assert len(listed) == len(HOSTILE)
    assert {read(hostile, str(r.uri)).text for r in listed} == {"A text."}


@pytest.mark.parametrize(
    "uri",
    ["orchestr8://agents/studio/nobody", "orchestr8://agents/..%2f..%2fetc/passwd", "file:///etc"]
    + ["orchestr8://index/x", "skill://studio/nothing/SKILL.md", "x", "orchestr8://skills//"],
)
def test_what_is_not_there_is_refused_with_a_cure(state: State, uri: str) -> None:
    error = refused(state, lambda client: client.read_resource(uri))
    assert (error.code, error.error.data) == (-32602, {"uri": uri})
    assert "list" in error.error.message.lower()


def test_the_index_tells_what_it_holds(state: State) -> None:
    told = json.loads(read(state, "orchestr8://index").text)
    assert told["counts"] == {"agents": 24, "skills": 8, "workflows": 8}
    counted = [plugin.get("agents", 0) for plugin in told["plugins"].values()]
    assert (told["generation"], sum(counted)) == (1, 24)


def test_the_patterns_are_the_plans_that_worked(tmp_path: Path, shipped_index: Index) -> None:
    async def ask(learner: Learner) -> Any:
        await learner.report()
        async with Client(make_server(learner.state)) as client:
            told = await client.read_resource("orchestr8://patterns")
        return json.loads(told.contents[0].text)  # type: ignore[union-attr]

    told = learn(tmp_path, shipped_index, ask)
    assert told["total"] == len(told["patterns"])


def test_before_the_first_generation_nothing_is_listed_with_the_reason(starting: State) -> None:
    error = refused(starting, lambda client: client.list_resources())
    assert "first index" in error.error.message


def test_every_kind_has_a_template(state: State) -> None:
    told = meet(state, lambda client: client.list_resource_templates()).resource_templates
    assert [each.uri_template for each in told] == [template(kind) for kind in KINDS]


Complete = Callable[..., list[str]]


@pytest.fixture
def complete(state: State) -> Complete:
    def ask(name: str, value: str, kind: Kind = "agent", **chosen: str) -> list[str]:
        ref, argument = (
            ResourceTemplateReference(uri=template(kind)),
            {"name": name, "value": value},
        )
        told = meet(state, lambda client: client.complete(ref, argument, chosen or None))
        return list(told.completion.values)

    return ask


def test_plugins_complete(complete: Complete) -> None:
    assert complete("plugin", "s") == ["studio"]
    assert len(complete("plugin", "")) == 4


def test_names_complete_within_the_chosen_plugin(complete: Complete) -> None:
    assert complete("name", "docs", plugin="studio") == ["docs-writer"]
    assert complete("name", "docs", plugin="data-desk") == []
    assert complete("name", "Docs_Wr") == ["docs-writer"]


def test_what_completes_has_an_address(state: State, complete: Complete) -> None:
    for name in complete("name", "", plugin="studio"):
        assert read(state, address("agent", "studio", name)).text


def test_another_template_completes_to_nothing(state: State) -> None:
    ref = ResourceTemplateReference(uri="file:///{path}")
    told = meet(state, lambda client: client.complete(ref, {"name": "path", "value": ""}))
    assert told.completion.values == []


def test_no_more_than_a_hundred_are_offered(tmp_path: Path, make_tree: MakeTree) -> None:
    root = make_tree({f"agents/a{n}.md": agent(f"a{n}") for n in range(120)})
    state = state_of(settings_of(tmp_path, root), build_tree(root, data_dir=tmp_path).index)
    ref = ResourceTemplateReference(uri=template("agent"))
    told = meet(state, lambda client: client.complete(ref, {"name": "name", "value": "a"}))
    assert (len(told.completion.values), told.completion.total) == (100, 120)
    assert told.completion.has_more
