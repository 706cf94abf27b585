"""What does one file say? Bytes become an entry, or a refusal with a reason, a line and a cure."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.parse import MAX_LABELS, MAX_NAME, labels, opening_of, parse

from ..trees import agent, entry_of, parsed, source

FULL = """---
name: Tuner
description: Makes queries fast.
model: opus
category: data
tags: [sql, 7]
keywords: index, plan
capabilities: null
tools: Read, Bash(git add, git commit)
useWhen: [slow, hung]
argument-hint: [table]
---

The body.
"""


def test_every_field_is_read() -> None:
    entry = entry_of(FULL)
    assert (entry.name, entry.stem, entry.plugin) == ("Tuner", "tuner", "p")
    assert (entry.description, entry.model, entry.category) == (
        "Makes queries fast.",
        "opus",
        "data",
    )
    assert (entry.tags, entry.keywords, entry.capabilities) == (("sql", "7"), ("index", "plan"), ())
    assert entry.tools == ("Read", "Bash(git add, git commit)")
    assert (entry.use_when, entry.arguments) == ("slow, hung", "[table]")


def test_a_good_file_is_indexed() -> None:
    read = parsed(FULL)
    assert (read.report.outcome, read.report.reason, read.report.line) == ("indexed", "", None)
    assert (read.report.kind, read.report.name) == ("agent", "Tuner")
    assert read.body.strip() == "The body."


def test_the_digest_is_that_of_the_bytes() -> None:
    assert entry_of(FULL).digest == entry_of(FULL).digest != entry_of(FULL + " ").digest


def test_a_command_is_named_by_its_file_and_has_steps() -> None:
    text = agent("Other", body="1. Plan\n2. Ship")
    entry = entry_of(text, "commands/ship-it.md", "workflow")
    assert (entry.name, entry.steps) == ("ship-it", ("Plan", "Ship"))


@pytest.mark.parametrize("key", ["use_when", "useWhen", "use-when", "when_to_use", "whenToUse"])
def test_when_to_use_is_known_by_many_names(key: str) -> None:
    assert entry_of(f"---\nname: x\n{key}: now\n---\nx").use_when == "now"


# --- bytes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_refused(encoding: str) -> None:
    read = parsed(("\ufeff" + FULL).encode(encoding))
    assert read.entry is None
    assert (read.report.outcome, read.report.line) == ("skipped", 1)
    assert read.report.cure == "Save the file as UTF-8."


def test_a_byte_order_mark_is_removed() -> None:
    read = parsed("\ufeff" + FULL)
    assert read.entry and read.entry.name == "Tuner"
    assert (read.report.outcome, read.report.line) == ("repaired", 1)
    assert "byte order mark" in read.report.reason


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_foreign_line_ends_are_no_repair(end: str) -> None:
    read = parsed(FULL.replace("\n", end))
    assert read.report.outcome == "indexed"
    assert "\r" not in read.body


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    read = parsed(FULL.encode() + b"caf\xe9")
    assert read.body.endswith("caf\ufffd")
    assert (read.report.outcome, read.report.line) == ("repaired", 15)


@pytest.mark.parametrize("mark", ["\0", "\x1b[31m", "\x9b", "\u202e", "\u2066", "\x07"])
def test_control_characters_are_removed_everywhere(mark: str) -> None:
    read = parsed(FULL.replace("Tuner", f"Tu{mark}ner").replace("body", f"bo{mark}dy"))
    assert read.entry and read.entry.name == "Tuner"
    assert read.body.strip() == "The body."
    assert (read.report.line, read.report.cure) == (2, "Remove them.")


def test_control_characters_written_as_escapes_are_removed() -> None:
    read = parsed('---\nmodel: x\ndescription: y\nname: "a\\x1b[31m\\u202eb"\n---\nx')
    assert read.entry and read.entry.name == "ab"
    assert (read.report.line, read.report.cure) == (4, 'name: "ab"')


# --- names -------------------------------------------------------------------------------------


def test_a_name_is_what_the_file_says() -> None:
    assert entry_of(agent("  DevOps   Engineer / Cloud ")).name == "DevOps Engineer / Cloud"


@pytest.mark.parametrize("said", ["", "[a, b]", "{a: b}", "null", '" "'])
def test_without_a_name_the_file_names_the_agent(said: str) -> None:
    read = parsed(f"---\nname: {said}\ndescription: y\n---\nx")
    assert read.entry and read.entry.name == "tuner"
    assert (read.report.reason, read.report.line, read.report.cure) == (
        "no name: taken from the file",
        1,
        "name: tuner",
    )


def test_without_a_name_the_folder_names_the_skill() -> None:
    read = parsed("---\ndescription: y\n---\nx", "skills/charts/SKILL.md", "skill")
    assert read.report.reason == "no name: taken from the folder"


def test_a_long_name_is_cut_where_it_stands() -> None:
    read = parsed(f"---\ndescription: y\nmodel: x\nname: {'n' * 300}\n---\nx")
    assert read.entry and len(read.entry.name) == MAX_NAME
    assert (read.report.outcome, read.report.line) == ("repaired", 4)


# --- descriptions ------------------------------------------------------------------------------


def test_a_literal_line_end_in_a_description_is_a_space() -> None:
    assert entry_of(agent("x", r"One.\n\nTwo.")).description == "One. Two."


def test_a_description_in_parts_is_joined_where_it_stands() -> None:
    read = parsed("---\nname: x\nmodel: y\ndescription: [a, b]\n---\nx")
    assert read.entry and read.entry.description == "a, b"
    assert (read.report.line, read.report.cure) == (4, 'description: "a, b"')


def test_a_long_description_is_cut() -> None:
    read = parsed(agent("x", "word " * 5_000))
    assert read.entry and len(read.entry.description) <= 20_000
    assert read.report.line == 3


def test_without_a_description_the_text_describes() -> None:
    read = parsed("---\nname: x\n---\n# Title #\n\nFirst\nlines.\n\nMore.")
    assert read.entry and read.entry.description == "Title: First lines."
    assert read.report.cure == 'description: "Title: First lines."'


def test_a_command_without_a_header_is_described_by_its_text() -> None:
    read = parsed("# Ship\n\nShip it.\n", "commands/ship.md", "workflow")
    assert read.entry and read.entry.description == "Ship: Ship it."
    assert read.report.outcome == "repaired"


def test_a_name_without_a_text_is_an_entry() -> None:
    read = parsed("---\nname: x\n---\n")
    assert read.entry and read.entry.description == ""
    assert read.report.outcome == "repaired"


def test_an_unreadable_agent_is_known_by_its_file() -> None:
    assert entry_of("---\n: [\n---\nHelps.").name == "tuner"


@pytest.mark.parametrize("text", ["", "\n \n", "---\n---\n", "\ufeff"])
def test_an_empty_file_is_refused(text: str) -> None:
    report = parsed(text).report
    assert (report.outcome, report.is_entry, report.line) == ("skipped", True, 1)


def test_the_opening_is_a_heading_and_a_paragraph() -> None:
    assert opening_of("# One\n# Two\ntext") == "One"
    assert opening_of("plain\n# Later") == "plain"
    assert opening_of("") == ""
    assert len(opening_of("word " * 500)) <= 300


def test_a_hostile_heading_takes_no_time() -> None:
    assert opening_of("# a" + " " * 900_000 + "b").startswith("a")


# --- tentative and hostile files ---------------------------------------------------------------


@pytest.mark.parametrize("text", ["# Guide", "---\nname: x\n---\n", "---\ndescription: x\n---\n"])
def test_a_loose_file_is_an_entry_only_with_name_and_description(text: str) -> None:
    read = parse(source("a.md", tentative=True), text.encode(), "/root")
    assert read.entry is None
    assert not read.report.is_entry


def test_a_loose_file_with_name_and_description_is_an_agent() -> None:
    read = parse(source("a.md", tentative=True), agent("x").encode(), "/root")
    assert read.entry and read.entry.kind == "agent"


def test_a_hostile_file_is_refused_with_its_line() -> None:
    report = parsed("---\nname: x\nmodel: !!python/name:os.system\n---\n").report
    assert (report.outcome, report.line) == ("skipped", 3)
    assert (report.reason[:8], report.cure) == ("hostile:", "Write the value as plain text.")


# --- labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (None, ()),
        (["a", 1, None, "a", ["b", "c"]], ("a", "b, c")),
        ("a, 'b', \"c\",", ("a", "b", "c")),
        ("[a, b]", ("a", "b")),
        ({"a": 1, "b": 2}, ("a", "b")),
        ("Bash(a(b), c), Read", ("Bash(a(b), c)", "Read")),
        ("open (paren, b", ("open (paren", "b")),
        ("two words, one", ("two words", "one")),
    ],
)
def test_labels_are_read_from_whatever_holds_them(said: object, read: tuple[str, ...]) -> None:
    assert labels(said) == read


def test_tools_may_stand_between_blanks() -> None:
    assert labels("Read Write", spaces=True) == ("Read", "Write")
    assert labels("Bash(git add)", spaces=True) == ("Bash(git add)",)


def test_labels_are_bounded() -> None:
    assert len(labels(",".join(map(str, range(500))))) == MAX_LABELS
    assert len(labels(["x" * 5_000])[0]) <= 100


@pytest.mark.parametrize("value", ["," * 900_000, "(" * 900_000, "(," * 400_000, "a(" * 400_000])
def test_hostile_labels_take_no_time(value: str) -> None:
    assert len(labels(value)) <= MAX_LABELS


def test_deep_lists_are_no_text() -> None:
    # a list within itself, or 600 within each other, ended the build in a RecursionError
    deep: list[object] = []
    deep.append(deep)
    assert labels(deep) == ()


# --- properties --------------------------------------------------------------------------------

UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
FIELDS = st.sampled_from(["name", "description", "tags", "tools", "model", "argument-hint", "x"])
VALUES = st.text() | st.sampled_from(
    ["[a, *a]", "&a [b]", "!!int x", "'", '"\\x1b\\u202e"', "|", "*"]
)
HEADERS = st.lists(st.tuples(FIELDS, VALUES)).map(
    lambda pairs: "---\n" + "".join(f"{key}: {value}\n" for key, value in pairs) + "---\n"
)


@given(st.binary() | st.builds(lambda head, body: head.encode() + body, HEADERS, st.binary()))
def test_any_bytes_become_an_entry_or_a_reason(data: bytes) -> None:
    for kind in ("agent", "workflow"):
        read = parse(source(kind=kind), data, "/root")
        assert (read.entry is None) == (read.report.outcome == "skipped")
        assert bool(read.report.reason) == (read.report.outcome != "indexed")


@given(HEADERS, st.text())
def test_no_control_character_comes_through(head: str, body: str) -> None:
    read = parsed(head + body)
    if read.entry:
        shown = "".join((read.entry.name, read.entry.description, *read.entry.labels))
        shown += read.report.reason + read.report.cure
        assert not {unicodedata.category(character) for character in shown} & UNSAFE
        shown.encode()
