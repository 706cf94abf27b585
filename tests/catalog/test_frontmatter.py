"""What does the block between the `---` lines say? Strict YAML, and every repair."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.catalog.frontmatter import (
    Header,
    Hostile,
    NotRead,
    load_strict,
    read_fields,
    read_header,
)

EXAMPLES = """---
name: tuner
description: Use this when queries are slow. Examples: <example>
Context: A page hangs.
user: "Why is it slow?"
assistant: "I'll ask the tuner: it knows."
</example>
model: opus
---
body
"""


def header(block: str) -> Header:
    return read_header(f"---\n{block}\n---\nbody\n")


def only_repair(read: Header) -> tuple[str, int | None, str]:
    (mended,) = read.mended
    return mended


def test_strict_yaml_is_taken_as_it_is() -> None:
    read = header("name: tuner\ntags: [a, b]")
    assert read.fields == {"name": "tuner", "tags": ["a", "b"]}
    assert (read.body, read.mended, read.present) == ("body\n", [], True)


def test_scalars_stay_what_the_file_says() -> None:
    read = header("version: 1.10\ndate_added: 2024-01-01\nmode: yes\nauthor: null\ncolor: ~")
    assert read.fields == {
        "version": "1.10",
        "date_added": "2024-01-01",
        "mode": "yes",
        "author": None,
        "color": None,
    }


def test_a_text_without_a_header_is_all_body() -> None:
    read = read_header("# Title\n\n---\nname: x\n---\n")
    assert not read.present
    assert read.body.startswith("# Title")


def test_an_empty_header_has_no_fields() -> None:
    assert read_header("---\n---\nbody").fields == {}
    assert header("# only a comment").mended == []


@pytest.mark.parametrize("block", ["- a\n- b", "just a text"])
def test_a_header_that_is_no_mapping_is_told(block: str) -> None:
    read = header(block)
    assert read.fields == {}
    what, line, _ = only_repair(read)
    assert what.endswith(", not fields")
    assert line == 2


def test_a_header_may_stand_below_comments_and_empty_lines() -> None:
    read = read_header("<!-- made\nby hand -->\n\n---\nname: x\ntools: *\n---\n")
    assert read.fields["name"] == "x"
    assert [line for _, line, _ in read.mended] == [1, 6]


def test_empty_lines_before_a_header_are_no_repair() -> None:
    assert read_header("\n\n---\nname: x\n---\n").mended == []


# --- repairs -----------------------------------------------------------------------------------


def test_examples_at_column_0_belong_to_the_description() -> None:
    read = read_header(EXAMPLES)
    assert read.fields.keys() == {"name", "description", "model"}
    assert read.fields["description"].endswith('"I\'ll ask the tuner: it knows."\n</example>')
    what, line, _ = only_repair(read)
    assert what.startswith("strict YAML fails: ")
    assert line == 3


def test_a_colon_in_a_value_is_mended_by_quotes() -> None:
    read = header("name: x\ndescription: Use it: always\nmodel: opus")
    assert read.fields["description"] == "Use it: always"
    assert only_repair(read)[1:] == (3, 'description: "Use it: always"')


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("argument-hint: [a] [b]", "argument-hint", "[a] [b]"),
        ("tools: *", "tools", "*"),
        ("description: **BOLD** words", "description", "**BOLD** words"),
        ("description: `code` first", "description", "`code` first"),
        ("tools: , Read", "tools", ", Read"),
        ("description: @someone", "description", "@someone"),
        ("description: 50% off: now", "description", "50% off: now"),
        ("description: 'it's here'", "description", "'it's here'"),
        ('description: a "b" \\ c: d', "description", 'a "b" \\ c: d'),
        ('metadata: {"a": ', "metadata", '{"a":'),
    ],
)
def test_a_value_that_yaml_cannot_read_is_text(line: str, key: str, value: str) -> None:
    read = header(f"name: x\n{line}\nmodel: opus")
    assert read.fields == {"name": "x", key: value, "model": "opus"}
    assert only_repair(read)[1] in (3, 4)


def test_a_cure_can_be_pasted() -> None:
    cure = only_repair(header('name: x\ndescription: say "a: b" \\ c: d'))[2]
    assert header(f"name: x\n{cure}").mended == []
    assert header(f"name: x\n{cure}").fields["description"] == 'say "a: b" \\ c: d'


def test_block_scalars_survive_the_repair_of_others() -> None:
    read = header("description: |\n  one\n  two\nargument-hint: [a] [b]")
    assert read.fields["description"] == "one\ntwo\n"


def test_a_list_survives_the_line_reader() -> None:
    read = header("tools:\n  - Read\n  - 'Write'\ndescription: <example>\nuser: \"a\" b: c\n: :")
    assert read.fields["tools"] == ["Read", "Write"]


def test_a_block_scalar_survives_the_line_reader() -> None:
    read = header('description: >\n  one\n  two\ntools: [\nuser: x\n"broken')
    assert read.fields["description"] == "one\ntwo"


def test_a_quoted_value_loses_its_quotes_in_the_line_reader() -> None:
    read = header('name: "x"\ndescription: "half\ntools: [\n- x')
    assert (read.fields["name"], read.fields["description"]) == ("x", "half")


def test_a_missing_closing_line_is_told() -> None:
    read = read_header("---\nname: x\ndescription: y\n\n# Title\ntext\n")
    assert read.fields == {"name": "x", "description": "y"}
    assert read.body == "\n# Title\ntext\n"
    assert only_repair(read) == (
        "the closing --- is missing",
        1,
        "Put a line with --- after the last field.",
    )


def test_a_rule_in_the_body_does_not_close_the_header() -> None:
    read = read_header("---\nname: x\n\n# Title\ntext: y\n\n---\nmore\n")
    assert read.fields == {"name": "x"}
    assert read.body.startswith("\n# Title")


def test_a_file_that_ends_within_its_header_is_read() -> None:
    assert read_header("---\nname: x").fields == {"name": "x"}


def test_dots_close_a_header() -> None:
    assert read_header("---\nname: x\n...\nbody").body == "body"


def test_a_field_that_stands_twice_is_told() -> None:
    read = header("name: a\nmodel: x\nname: b")
    assert read.fields["name"] == "b"
    assert only_repair(read) == ("name stands 2 times, the last one counts", 4, "Keep one.")


def test_a_description_keeps_what_yaml_takes_for_a_comment() -> None:
    read = header("name: x\ndescription: Fix issue #3 and #4")
    assert read.fields["description"] == "Fix issue #3 and #4"
    assert only_repair(read)[1:] == (3, 'description: "Fix issue #3 and #4"')


def test_a_comment_after_another_field_is_a_comment() -> None:
    assert header("model: opus # the best").fields == {"model": "opus"}


# --- hostile headers ---------------------------------------------------------------------------

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "\n".join(
    f"{after}: &{after} [{','.join(['*' + before] * 9)}]"
    for before, after in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("block", "reason", "line"),
    [
        (f"name: x\n{BOMB}", "aliases that expand", 2),
        ("name: x\ntags: &t [a, *t]", "alias inside of its own anchor", 3),
        ("name: x\nmodel: !!python/object/apply:os.system ['true']", "a tag asks for", 3),
        ("name: x\nmodel: !!python/name:os.system", "a tag asks for", 3),
        ("description: a: b\nmodel: !!python/name:os.system", "a tag asks for", 3),
    ],
)
def test_a_hostile_header_is_refused(block: str, reason: str, line: int) -> None:
    with pytest.raises(Hostile, match=reason) as refused:
        header(block)
    assert refused.value.line == line


def test_the_line_of_a_hostile_value_counts_what_stands_before_the_header() -> None:
    with pytest.raises(Hostile) as refused:
        read_header("<!-- one -->\n\n---\nname: x\nmodel: !!python/name:os.system\n---\n")
    assert refused.value.line == 5


def test_a_few_aliases_are_fine() -> None:
    assert header("tags: &t [a, b]\nkeywords: *t").fields["keywords"] == ["a", "b"]


@pytest.mark.parametrize(
    "value", ["[" * 5_000, "{a: " * 5_000, "\n  " + "- " * 50_000 + "x", "\n  " + "? " * 50_000]
)
def test_nesting_is_bounded(value: str) -> None:
    # libyaml recurses: some ten thousand levels ended the process
    read = header(f"name: x\ntags: {value}")
    assert read.fields["name"] == "x"
    assert "nest too deep" in read.mended[0][0]


@pytest.mark.parametrize("shape", ["- ", "? ", "a: "])
@pytest.mark.parametrize("extra", ["", "\nmodel: a & *b"])
def test_nesting_by_indentation_is_survived(shape: str, extra: str) -> None:
    steps = "\n".join(" " * (2 * depth + 2) + shape for depth in range(700))
    assert header(f"name: x\ntags:\n{steps}{extra}").fields["name"] == "x"


@pytest.mark.parametrize(
    "tag", ["bool", "int", "float", "timestamp", "binary", "null", "set", "omap", "str", "x"]
)
@pytest.mark.parametrize("value", ["maybe", "''", "[a]", "{a: b}", "99999-99-99"])
def test_an_explicit_tag_harms_nobody(tag: str, value: str) -> None:
    # PyYAML's own constructors end `!!bool maybe` in a KeyError, `!!int ''` in an IndexError
    assert header(f"name: x\nmodel: !!{tag} {value}").fields["name"] == "x"


@pytest.mark.parametrize(
    "text",
    [
        "<!---->" * 60 + "x",
        "---\n" + "".join(f"k{n}: b\n" for n in range(5_000)) * 2 + "---\n",
        "---\n" + "-" * 50_000 + "x\n---\n",
        "---\nname" + " " * 50_000 + "\n---\n",
        "---\nname: a\n" + " \n" * 50_000,
    ],
)
def test_reading_takes_linear_time(text: str) -> None:
    # sixty comments in a row once took longer than a life
    assert isinstance(read_header(text), Header)


TOKENS = [
    "---",
    "\n",
    "\n",
    " ",
    "  ",
    "- ",
    "? ",
    ": ",
    ":",
    "name",
    "description",
    "tools",
    "key",
]
TOKENS += [
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a",
    "*a",
    "!!int",
    "!!bool",
    "!!set",
    "!x",
    "|",
    ">",
    "'",
    '"',
]
TOKENS += [
    "#",
    " #",
    "%",
    "@",
    "`",
    "<<",
    "=",
    "\\",
    "\\ud800",
    "\t",
    "...",
    "~",
    "é",
    "\u2028",
    "x",
]


@given(st.lists(st.sampled_from(TOKENS)).map("".join))
def test_whatever_looks_like_yaml_is_read_or_refused(block: str) -> None:
    for text in (block, f"---\n{block}", f"---\nname: x\n{block}\n---\n"):
        try:
            read = read_header(text)
        except Hostile as refused:
            assert 1 < refused.line <= text.count("\n") + 2
        else:
            assert all(isinstance(key, str) for key in read.fields)


def test_a_key_that_is_no_text_stands_in_a_header_that_needs_mending() -> None:
    header = read_header("---\nname: tuner\ndescription: Tunes: queries\n? \n---\nText.")
    assert header.fields["description"] == "Tunes: queries"


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for each in (text, f"---\n{text}\n---\n"):
        try:
            read_header(each)
        except Hostile as refused:
            assert str(refused).startswith("hostile: ")


def test_strict_reading_is_open_to_others() -> None:
    assert load_strict("a: 1") == {"a": "1"}


@pytest.mark.parametrize(
    "text",
    [
        "  ---\n  name: lamp\n  description: Lights it.\n  ---\nBody\n",
        "---yaml\nname: lamp\ndescription: Lights it.\n---\nBody\n",
    ],
)
def test_a_header_that_a_model_put_a_little_aside_is_read(text: str) -> None:
    header = read_header(text)
    assert header.fields == {"name": "lamp", "description": "Lights it."}
    assert header.body.strip() == "Body" and len(header.mended) == 1


def test_toml_that_nests_without_end_is_read_by_nobody_and_ends_no_build() -> None:
    nested = f"a = {'[' * 3000}{']' * 3000}"
    with pytest.raises(NotRead):
        read_fields(".toml", f'prompt = "x"\n{nested}')
    said, _, _ = only_repair(read := read_header(f"+++\n{nested}\n+++\nText."))
    assert read.body == "Text." and "cannot be read" in said
