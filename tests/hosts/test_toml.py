"""Does a table come and go without any other byte moving?"""

from __future__ import annotations

import tomllib

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.errors import OperationError
from orchestr8_index.hosts.toml import put, read, take

GROUP, NAME = "mcp_servers", "orchestr8"
ENTRY = {"url": "http://127.0.0.1:3700/mcp"}
PIECES = [
    '# my settings\nmodel = "o4"\n',
    "[profiles.fast]\nnumbers = [\n  1, # one\n  2,\n]\n",
    '[mcp_servers.other]\ncommand = "x"\nargs = ["a\\u00fc"]\n',
    "[[rules]]\nname = 'a'\n\n[[rules]]\nname = 'b'\n",
    'text = """\n[mcp_servers.orchestr8]\nnot a table\n"""\n',
    "\n\n# the end\n",
]


@given(st.permutations(PIECES[1:]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_what_is_put_goes_as_it_came(rest: list[str], last_end: bool, end: str) -> None:
    first = [piece for piece in rest if piece.startswith("text")]
    others = [piece for piece in rest if piece not in first]
    text = "".join([PIECES[0], *first, *others]).replace("\n", end)
    text = text if last_end else text.rstrip() + end
    changed = put(text, GROUP, NAME, ENTRY)
    assert changed.startswith(text)
    assert tomllib.loads(changed)[GROUP][NAME] == ENTRY
    assert take(changed, GROUP, NAME, keep_group=False) == text


def test_an_empty_file_gets_the_table_alone() -> None:
    assert put("", GROUP, NAME, ENTRY) == f'[mcp_servers.orchestr8]\nurl = "{ENTRY["url"]}"\n'


def test_a_file_without_a_last_line_end_gets_one() -> None:
    assert put("a = 1", GROUP, NAME, ENTRY).startswith("a = 1\n\n[mcp_servers.orchestr8]\n")


def test_a_table_of_ours_is_replaced() -> None:
    text = put("a = 1\n", GROUP, NAME, {"url": "old"})
    assert put(text, GROUP, NAME, ENTRY) == put("a = 1\n", GROUP, NAME, ENTRY)


def test_what_the_user_added_below_goes_with_the_table() -> None:
    text = put("", GROUP, NAME, ENTRY) + "\n# mine\nenabled = true\n\n[other]\na = 1\n"
    assert tomllib.loads(take(text, GROUP, NAME, keep_group=False)) == {"other": {"a": 1}}


def test_tables_below_ours_go_too() -> None:
    text = put("", GROUP, NAME, ENTRY) + '[mcp_servers.orchestr8.env]\nA = "1"\n'
    assert read(take(text, GROUP, NAME, keep_group=False)) == {}


def test_strings_may_hold_anything() -> None:
    entry = {"command": 'a "b" \\ \x7f ü', "args": ["mcp", "\n"]}
    assert read(put("", GROUP, NAME, entry))[GROUP][NAME] == entry


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a = 1\nb =\n", "line 2"),
        ("mcp_servers = 1\n", "table"),
    ],
)
def test_what_cannot_be_changed_is_refused(text: str, why: str) -> None:
    with pytest.raises(OperationError, match=why):
        put(text, GROUP, NAME, ENTRY)


@pytest.mark.parametrize(
    "text",
    [
        "a = 1\nmcp_servers = {}\n",
        'mcp_servers = {x = {url = "u"}}\nb = 2\n',
        'mcp_servers.x.url = "u" # mine\nb = nan\n',
        "[mcp_servers]\n[z]\na = 1.50\n",
        "[mcp_servers.x]\na = 1\n[b]\n[mcp_servers.y]\na = 1\n",
        "\ufeffa = 1\n",
        "# nothing yet\n",
    ],
)
def test_servers_may_be_written_in_any_form(text: str) -> None:
    changed = put(text, GROUP, NAME, ENTRY)
    assert read(changed) == {**read(text), GROUP: {**read(text).get(GROUP, {}), NAME: ENTRY}}
    assert take(changed, GROUP, NAME, keep_group=True) == text


@pytest.mark.parametrize(
    "ours",
    [
        'mcp_servers = {orchestr8 = {url = "old"}}\n',
        'mcp_servers.orchestr8.url = "old"\n',
        "[mcp_servers.'orchestr8']\nurl = 'old'\n[b]\n[mcp_servers.orchestr8.env]\nx = 1\n",
    ],
)
def test_an_entry_of_another_form_is_replaced_and_taken_out(ours: str) -> None:
    text = f"a = 1\n{ours}"
    assert read(put(text, GROUP, NAME, ENTRY))[GROUP] == {NAME: ENTRY}
    assert not read(take(text, GROUP, NAME, keep_group=True)).get(GROUP)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_comments_behind_ours_stay(end: str) -> None:
    mine = "# of the next one\n[b]\nx = 1 # kept\n".replace("\n", end)
    text = put("a = 1" + end, GROUP, NAME, ENTRY) + end + mine
    assert take(text, GROUP, NAME, keep_group=False) == f"a = 1{end}{end}{mine}"
    assert mine in put(text, GROUP, NAME, {"url": "new"})


def test_what_would_change_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """tomlkit is asked to change one table, and believed only after its text was read again."""
    monkeypatch.setattr(tomlkit, "dumps", lambda document: "other = 1\n")
    with pytest.raises(OperationError, match="line 2: .* cannot be changed: write each server as"):
        take('a = 1\nmcp_servers = {orchestr8 = {url = "u"}}\n', GROUP, NAME, keep_group=True)
