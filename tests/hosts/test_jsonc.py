"""Does a member come and go without any other byte moving?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestr8_index.errors import OperationError
from orchestr8_index.hosts.jsonc import held, put, read, take
from orchestr8_index.roots import blanked

ENTRY = {"type": "http", "url": "http://127.0.0.1:3700/mcp"}
WITH_COMMENTS = """{
\t// my servers, "quoted" too
\t"servers": {
\t\t"a": {"url": "http://x//y"}, // kept, with a comma
\t\t/* "orchestr8": {} */
\t},
\t"inputs": [1, 2,], // last
}
"""

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)
DOCUMENTS = st.builds(
    lambda rest, group: {**rest, **({} if group is None else {"mcpServers": group})},
    OBJECTS,
    st.none() | OBJECTS,
)


@given(DOCUMENTS, st.sampled_from([None, 1, 2, "\t"]), st.booleans(), st.sampled_from("\n\r"))
def test_what_is_put_is_there_and_what_is_taken_is_gone(
    document: dict[str, Any], indent: int | str | None, ascii_only: bool, end: str
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only) + end
    changed = put(text, "mcpServers", "orchestr8", ENTRY)
    group = {**document.get("mcpServers", {}), "orchestr8": ENTRY}
    assert json.loads(changed) == {**document, "mcpServers": group}
    left = {key: value for key, value in group.items() if key != "orchestr8"}
    taken = take(changed, "mcpServers", "orchestr8", keep_group="mcpServers" in document)
    wanted = {**document, "mcpServers": left} if "mcpServers" in document else document
    assert json.loads(taken) == wanted


@given(DOCUMENTS.filter(lambda d: d and d.get("mcpServers") is None))
def test_in_an_indented_file_no_byte_is_left_behind(document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=2) + "\n"
    changed = put(text, "mcpServers", "orchestr8", ENTRY)
    assert take(changed, "mcpServers", "orchestr8", keep_group=False) == text


def test_comments_and_trailing_commas_stay() -> None:
    changed = put(WITH_COMMENTS, "servers", "orchestr8", ENTRY)
    assert read(changed)["servers"] == {"a": {"url": "http://x//y"}, "orchestr8": ENTRY}
    kept = [line for line in WITH_COMMENTS.splitlines() if "//" in line or "/*" in line]
    assert all(line in changed.splitlines() for line in kept)


def test_with_comments_it_goes_and_they_stay() -> None:
    changed = put(WITH_COMMENTS, "servers", "orchestr8", ENTRY)
    taken = take(changed, "servers", "orchestr8", keep_group=True)
    assert taken == WITH_COMMENTS


@pytest.mark.parametrize(
    "text", ['{"g": {"a": 1,}}', '{"g": {"a": 1 /* , */ }, "b": 2,}', '{"a": 1, }']
)
def test_a_trailing_comma_is_the_users(text: str) -> None:
    """The comma behind the last member was taken for ours."""
    changed = put(text, "g", "n", ENTRY)
    assert read(changed)["g"]["n"] == ENTRY
    assert take(changed, "g", "n", keep_group="g" in read(text)) == text


SPACES = st.sampled_from(
    ["", " ", "  ", "\n", "\n  ", "\n\n\t", " // c, {\n", "/* , } */ ", "//\u00a0 \n"]
)


def scalars() -> st.SearchStrategy[str]:
    return st.sampled_from(["1", "null", '"a,}"', '"//"', "[1, 2, ]", "[]", '{ "x": {} }'])


@st.composite
def objects(draw: st.DrawFn, depth: int = 2) -> str:
    """An object as people write it: comments, blanks and lines anywhere, maybe a last comma."""
    values = scalars() if depth == 0 else scalars() | objects(depth - 1)
    names = draw(st.lists(st.sampled_from(["a", "b", "g"]), max_size=3, unique=True))
    parts = [
        f'{draw(SPACES)}"{name}"{draw(SPACES)}:{draw(SPACES)}{draw(values)}{draw(SPACES)}'
        for name in names
    ]
    last = draw(st.sampled_from(["", ","])) if parts else ""
    return "{" + ",".join(parts) + last + draw(SPACES) + "}"


@given(SPACES, objects(), SPACES, st.sampled_from(["\n", "\r\n"]))
def test_what_the_user_wrote_comes_back_byte_for_byte(
    before: str, inside: str, after: str, end: str
) -> None:
    text = (before + inside + after).replace("\n", end)
    document = read(text)
    assume(isinstance(document.get("g", {}), dict))
    changed = put(text, "g", "n", ENTRY)
    assert read(changed) == {**document, "g": {**document.get("g", {}), "n": ENTRY}}
    for each in (changed, put(changed, "g", "n", {"url": "another"})):
        assert take(each, "g", "n", keep_group="g" in document) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"g": {\n"n": 1,\n"n": 2}}', '"n" stands twice, on lines 2 and 3'),
        ('{"g": {"n": 1},\n"g": {}}', '"g" stands twice, on lines 1 and 2'),
        ('{"g": {"n": 1, "n": 2}}', '"n" stands twice, on lines 1 and 1'),
    ],
)
def test_what_stands_twice_is_refused(text: str, said: str) -> None:
    """One of the two went, and the other stayed or came to count."""
    for change in (
        lambda: put(text, "g", "n", ENTRY),
        lambda: take(text, "g", "n", keep_group=True),
        lambda: held(text, "g", "n"),
    ):
        with pytest.raises(OperationError, match=said):
            change()


def test_what_stands_twice_elsewhere_is_the_users_own() -> None:
    text = '{"a": 1, "a": 2, "g": {"b": 1, "b": 2}}'
    assert take(put(text, "g", "n", ENTRY), "g", "n", keep_group=True) == text


def test_comments_stay_where_they_are() -> None:
    changed = put('{\n  "a": 1 // one\n}', "g", "n", {})
    assert changed.endswith(',\n  "a": 1 // one\n}')
    assert read(changed) == {"a": 1, "g": {"n": {}}}


@pytest.mark.parametrize("text", ["", "\n", "// nothing yet\n", "{}", "{ }\n", "\ufeff{}"])
def test_an_empty_file_is_filled(text: str) -> None:
    assert read(put(text, "g", "n", {"url": "u"})) == {"g": {"n": {"url": "u"}}}


def test_line_ends_and_tabs_are_those_of_the_file() -> None:
    changed = put('{\r\n\t"a": 1\r\n}\r\n', "g", "n", {"url": "u"})
    assert "\n" not in changed.replace("\r\n", "")
    assert '\t"g": {\r\n\t\t"n": {\r\n\t\t\t"url": "u"\r\n\t\t}\r\n\t},\r\n' in changed


def test_an_entry_of_ours_is_replaced_where_it_stands() -> None:
    text = '{"g": {"n": {"url": "old"}, "z": 1}}'
    assert list(read(put(text, "g", "n", {"url": "new"}))["g"]) == ["n", "z"]


@pytest.mark.parametrize(
    ("text", "why"),
    [('{\n "a": }', "line 2"), ("[]", "object"), ('{"g": []}', '"g"'), ("[" * 100_000, "JSON")],
)
def test_what_cannot_be_read_is_refused(text: str, why: str) -> None:
    with pytest.raises(OperationError, match=why):
        put(text, "g", "n", ENTRY)


@given(st.text(alphabet='{}[]",:/*\\ \n1a'))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(read(text), dict)
    except OperationError as error:
        assert error.sentence
    assert len(blanked(text)) in (0, len(text))
