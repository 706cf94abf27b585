"""Is the line named on which a header is broken, and not the one where YAML noticed it?"""

from __future__ import annotations

import pytest

from orchestr8_index.catalog.frontmatter import read_header

BROKEN = {
    "a quote left open": ('name: x\ndescription: "open\nmodel: opus\ntools: a', 3),
    "a quote left open on the first line": ("name: 'x\nmodel: opus\ndescription: y", 2),
    "a quote left open on the last line": ('name: x\ndescription: "open', 3),
    "a quote that the next one closes": ('name: x\ndescription: "open\nmodel: "opus"\ntools: a', 3),
    "a quote left open in a list": ('name: x\ntools:\n  - "a\n  - b\nmodel: o', 4),
    "text after a quote": ('name: x\ndescription: "a" b\nmodel: o', 3),
    "a strange escape": ('name: x\ndescription: "a\n  \\d b"\nmodel: o', 4),
    "a bracket left open": ("name: x\ntools: [a, b\nmodel: o", 3),
    "a bracket left open on the last line": ("name: x\ntools: [a, b", 3),
    "a bracket left open over lines": ("name: x\ntools: [a,\n  b\nmodel: o\ncolor: red", 3),
    "a brace left open": ("name: x\nmetadata: {a: b\nmodel: o", 3),
    "one bracket too many": ("name: x\ntools: [a]]\nmodel: o", 3),
    "too many levels": (f"name: x\ntags: {'[' * 200}\nmodel: o", 3),
    "a colon in a value": ("name: x\ndescription: Use: a\nmodel: o", 3),
    "a colon at a value's end": ("name: x\ndescription: Use when:\nmodel: o", 3),
    "a colon in the second line of a value": ("name: x\ndescription: a\n  b: c\nmodel: o", 4),
    "a colon below comments": ("# c\nname: x\n# d\n\ndescription: Use: a", 6),
    "a line without a colon": ("name: x\ndescription y\nmodel: o", 3),
    "a first line without a colon": ("name x\ndescription: y", 2),
    "a last line without a colon": ("name: x\ndescription y", 3),
    "no blank after the colon": ("name: x\ndescription:y\nmodel: o", 3),
    "a text that is not indented": ("name: x\ndescription: |\ntext\nmodel: o", 4),
    "a field that is indented": ("name: x\n  description: y\nmodel: o", 3),
    "an item that is indented less": ("name: x\ntools:\n  - a\n - b\nmodel: o", 5),
    "a tab before a field": ("name: x\n\tdescription: y\nmodel: o", 3),
    "a tab before an item": ("name: x\ntools:\n\t- a\nmodel: o", 4),
    "an item among fields": ("name: x\n- a\nmodel: o", 3),
    "a field among items": ("name: x\ntools:\n  - a\n  b: c\nmodel: o", 5),
    "an item among nested fields": ("name: x\nmetadata:\n  b: c\n  - a\nmodel: o", 5),
    "two brackets": ("name: x\nargument-hint: [a] [b]\nmodel: o", 3),
    "a star": ("name: x\ntools: *\nmodel: o", 3),
    "an alias of nothing": ("name: x\ntools: *foo\nmodel: o", 3),
    "an alias above": ("name: &n x\ncolor: *n\ntools: a: b", 4),
    "a backtick": ("name: x\ndescription: `a`\nmodel: o", 3),
    "a field that stands twice": ("name: a\nmodel: x\nname: b", 4),
    "a line separator above": ('name: x\ndescription: "a\u2028b"\nmodel: o: p', 4),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_the_line_is_that_of_the_mistake(kind: str) -> None:
    block, line = BROKEN[kind]
    assert [at for _, at, _ in read_header(f"---\n{block}\n---\nbody\n").mended] == [line]


def test_the_cure_is_for_the_line_that_is_named() -> None:
    block = 'name: x\ndescription: "open\nmodel: opus\ntools: a'
    ((_, _, cure),) = read_header(f"---\n{block}\n---\n").mended
    assert not cure.startswith(("model", "tools"))


def test_a_cure_is_short_enough_to_paste() -> None:
    ((_, line, cure),) = read_header(f"---\nname: x\ntags: {'[' * 5_000}\n---\n").mended
    assert (line, len(cure) < 100) == (3, True)


def test_a_missing_closing_line_is_told_where_the_header_begins() -> None:
    mended = read_header("<!-- c -->\n---\nname: x\ntools: [a\n\n# Title\n").mended
    assert [line for _, line, _ in mended] == [1, 2, 4]
