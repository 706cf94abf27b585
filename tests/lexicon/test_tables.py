"""Are the lines of a table read, and the bad ones named?"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr8_index.lexicon.tables import SHIPPED, Tables, faults, tables
from orchestr8_index.text import STOP


def read(tmp_path: Path, text: str) -> Tables:
    path = tmp_path / "lexicon.tsv"
    path.write_text(text, "utf-8")
    return Tables([path])


def test_no_shipped_line_is_bad() -> None:
    assert Tables().bad == []


def test_no_shipped_key_is_a_stop_word() -> None:
    assert not STOP.intersection(tables().terms)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_table_says_its_form_at_the_head(path: Path) -> None:
    assert path.read_text("utf-8").startswith("# ")


def test_each_kind_is_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "[short]\nzq, Zed Nine\tzebra\n[product]\nacme\tanvils\n[set]\nbad\tbroken torn\n"
        "[symptom]\n@bad anvil|hammer\trepair\n[error]\n*fault, acme /acme-\\d+/\tanvils\n"
        "[joined]\nanvil smith\tanvilsmith\n[spelling]\nanville\tanvil\n",
    )
    assert found.bad == []
    assert found.terms == {
        "zq": ("short", "zebra"),
        "Zed Nine": ("short", "zebra"),
        "acme": ("product", "anvils"),
    }
    assert [each.words for each in found.symptoms["broken"]] == ["repair"]
    assert found.shapes["acme"] == found.ends["fault"]
    assert found.joined == {"anvil smith": "anvilsmith"}
    assert found.apart == {"anvilsmith": "anvil smith"}
    assert found.spelling == {"anville": "anvil"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("zq zebra", "a tab"),
        ("zq\t", "a tab"),
        ("[nothing]", "no section"),
        ("one two three four five\tx", "one to 4 words"),
        ("[symptom]\n@nowhere slow\tx", "no set"),
        ("[error]\nacme /(a+)+/\tx", "repetitions"),
        ("[error]\nacme /(/\tx", "the pattern is wrong"),
        ("[error]\n*er\tx", "too short"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_the_others_are_read(
    tmp_path: Path, line: str, why: str
) -> None:
    found = read(tmp_path, f"# head\nzz\tfine\n{line}\n")
    assert [bad.number for bad in found.bad] == [3 + line.count("\n")]
    assert why in str(found.bad[0])
    assert found.terms["zz"] == ("short", "fine")


def test_a_users_line_replaces_a_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.tsv"
    path.write_text("tf\ttensorflow\n", "utf-8")
    assert tables(path).terms["tf"] == ("short", "tensorflow")
    assert tables().terms["tf"] != ("short", "tensorflow")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.tsv"
    path.write_bytes(b"\xff\xfe\x00")
    assert [bad.number for bad in faults(path)] == [0]
    assert faults(tmp_path / "none.tsv") == []
