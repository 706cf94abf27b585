"""How did a delegated task end, as its agent's last words tell?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestr8_index.serve.hooks.verdict import READ, read_verdict

SUCCESS = [
    "Done: the import is fast.",
    "I've fixed the slow query.",
    "The migration is complete.\n\nDetails:\n- one index, not two\n- no locks\n\nAll tests pass.",
    "Looked at it. It might be slow.\n\nResult: success",
    "**Result: Success**",
]
FAILURE = [
    "I was unable to find the query.",
    "I could not complete the task, as the database is away.",
    "After two hours: I can’t fix this.",
    "All is done.\nResult: failure",
]
PARTIAL = [
    "",
    "   \n",
    "Here is what I found.",
    "Done, but two tests still fail.",
    "The fix is implemented. However, I have not run the tests.",
    "Is it done?",
    "This should be fixed once the cache expires.",
    "Not done.",
    "It isn't finished.",
    "J'ai terminé.",
    "Fixed.\nResult: partial",
]


@pytest.mark.parametrize("said", SUCCESS)
def test_a_plain_word_of_completion_is_a_success(said: str) -> None:
    assert read_verdict(said) == "success"


@pytest.mark.parametrize("said", FAILURE)
def test_a_plain_admission_is_a_failure(said: str) -> None:
    assert read_verdict(said) == "failure"


@pytest.mark.parametrize("said", PARTIAL)
def test_what_is_unclear_is_partial(said: str) -> None:
    assert read_verdict(said) == "partial"


def test_the_last_stated_result_decides() -> None:
    assert read_verdict("Result: failure\nTried again.\nresult: success\n") == "success"


def test_a_result_within_a_sentence_decides_nothing() -> None:
    assert read_verdict("The result: success depends on you.") == "partial"


def test_the_end_of_a_very_long_message_is_read() -> None:
    assert read_verdict("Some words. " * READ + "\nResult: failure") == "failure"


@pytest.mark.parametrize("part", ["\n", " ", "result ", "*", ". ", "I was ", "not", "é\n"])
def test_a_monotonous_message_is_read_at_once(part: str) -> None:
    """No pattern may try again from every place: this would then take minutes."""
    assert read_verdict(part * 1_000_000) == "partial"


@given(st.text())
def test_every_message_has_a_verdict(said: str) -> None:
    assert read_verdict(said) in ("success", "failure", "partial")
