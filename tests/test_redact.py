"""Does a planted secret ever come out of the redactor?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.redact import GONE, redact, redacted
from orchestr8_index.serve.keys import PREFIX, new_token

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nqqq=\n-----END RSA PRIVATE KEY-----"
PLANTED = {
    "Authorization: Bearer abc.DEF-123_x": "abc.DEF-123_x",
    "bearer o8_Zm9vYmFyYmF6": "o8_Zm9vYmFyYmF6",
    "authorization: hunter2secret": "hunter2secret",
    "openai sk-proj-Ab3dEf6hIj9kLmNoPqRs": "Ab3dEf6hIj9kLmNoPqRs",
    "a key without a digit o8_abcdefghij-ABCDEFGHIJ_klm": "ABCDEFGHIJ",
    "?id_o8_abcdefghijABCDEFGHIJklm": "ABCDEFGHIJ",
    "key o8_0123456789abcdefghij": "0123456789abcdefghij",
    "push with ghp_0123456789abcdefABCDEF0123456789abcd": "0123456789abcdef",
    "github_pat_11AAAAAAA0_abcdefghijklmnop": "abcdefghijklmnop",
    "slack xoxb-1234567890-abcdefghij": "1234567890-abc",
    "aws AKIAIOSFODNN7EXAMPLE": "IOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "wJalrXUtnFEMI",
    "google AIzaSyA1234567890abcdefghijklmnopqrstu": "SyA1234567890",
    f"pem {KEY} end": "MIIEow",
    "cut off -----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r": "b3BlbnNzaC1r",
    "GET /x?key=s3cr3t&n=1": "s3cr3t",
    "GET /x?n=1&api_key=abc%20def": "abc%20def",
    "GET /x?access_token=zzz": "zzz",
    "postgres://me:pa55word@db/x": "pa55word",
    "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig-NAture": "eyJzdWIiOiIxMjM0In0",
    '{"password": "correct-horse-4-battery"}': "correct-horse-4-battery",
    "cannot read /home/alice/tree/a.md": "alice",
    "cannot read /Users/alice/tree/a.md": "alice",
    r"cannot read C:\Users\alice\a.md": "alice",
    "FileNotFoundError: '/root/.claude/x'": "/root",
}


@pytest.mark.parametrize("text", PLANTED)
def test_a_planted_secret_is_gone(text: str) -> None:
    assert PLANTED[text] not in redact(text)


def test_a_key_of_ours_is_gone_whatever_letters_it_has() -> None:
    for _ in range(200):
        key = new_token()
        assert key.removeprefix(PREFIX)[:8] not in redact(f"refused {key}, as unknown")


@pytest.mark.parametrize("text", PLANTED)
def test_it_is_gone_from_inside_a_line(text: str) -> None:
    told = str(redacted({"message": "x", "deep": [{"said": (text, 1)}]}))
    assert PLANTED[text] not in told


def test_the_rest_of_the_text_stays() -> None:
    assert redact("GET /x?key=s3cr3t&n=1") == f"GET /x?key={GONE}&n=1"
    assert redact("read /home/alice/tree/a.md twice") == "read ~/tree/a.md twice"


@pytest.mark.parametrize(
    "text",
    [
        "queryAgents",
        "the token bucket is empty",
        "a new generation serves",
        "sk-learn pipelines and task-runners",
        "tokens_used 128",
        "/rooted/tree",
        "error code=-32603",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("name", ["api_key", "Authorization", "password", "client_secret", "token"])
def test_a_field_named_as_a_secret_is_one(name: str) -> None:
    assert redacted({name: "short", "port": 3700}) == {name: GONE, "port": 3700}


def test_numbers_and_nothing_stay_as_they_are() -> None:
    assert redacted({"ms": 0.5, "hit": True, "none": None, "n": 3}) == {
        "ms": 0.5,
        "hit": True,
        "none": None,
        "n": 3,
    }


@given(st.recursive(st.text() | st.integers() | st.binary(), st.lists, max_leaves=20))
def test_whatever_comes_it_gives_something_back(value: object) -> None:
    redacted({"value": value})


@given(st.text("/:=&? \nABkey-_.", max_size=400))
def test_what_was_redacted_once_stays(text: str) -> None:
    assert redact(redact(text)) == redact(text)
