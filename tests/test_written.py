"""Is an everyday word a name here? By case and by company."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.text import Terms, names_marked, raw_words


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("Go service leaks", "golang"),
        ("a worker in Go", "golang"),
        ("go-expert", "golang"),
        ("write it in go", "golang"),
        ("slow Make builds", "make"),
        ("make-fixer", "make"),
        ("our IT department", "it"),
        ("it-support", "it"),
        ("frames on the CAN bus", "can"),
        ("a D compiler", "dlang"),
    ],
)
def test_a_name_counts(terms: Terms, text: str, term: str) -> None:
    assert term in terms(text)


@pytest.mark.parametrize(
    "text",
    [
        "go over this",
        "Go ahead",
        "let it go",
        "go-to-market",
        "Make sure of it",
        "make it so",
        "does it support that",
        "Can you",
        "HELP IT IS BROKEN",
        "cargo make-up",
    ],
)
def test_an_everyday_word_does_not(terms: Terms, text: str) -> None:
    assert not {"golang", "make", "it", "can", "dlang"}.intersection(terms(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [(".NET 8", "dotnet 8"), ("C#", "csharp"), ("C++", "cpp"), ("Node.js", "nodejs")],
)
def test_a_name_with_marks_is_the_same_as_a_word(terms: Terms, one: str, other: str) -> None:
    assert terms(one) == terms(other)


@pytest.mark.parametrize("package", ["java.net", "javax.net"])
def test_a_package_of_java_is_not_dotnet(terms: Terms, package: str) -> None:
    known = set(terms("ASP.NET")).intersection(terms("Json.NET"))
    assert known and not known.intersection(terms(f"a timeout in {package}.SocketException"))


def test_traditional_and_simplified_are_one(terms: Terms) -> None:
    assert terms("資料庫設計") == terms("资料库设计")


@given(st.text(alphabet="GoMakeITCAND .,-xyz"))
def test_marking_again_changes_nothing(text: str) -> None:
    once = names_marked(text, raw_words(text))
    assert raw_words(once) == raw_words(text)
