"""Does a person hear what the decoder found wrong, whatever it is?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestr8_index.errors import InvalidParams
from orchestr8_index.queries import AgentQuery
from orchestr8_index.reports import PatternStore, Report
from orchestr8_index.sharing import WriteShared
from orchestr8_index.validate import describe_error, read_params


@pytest.mark.parametrize(
    ("kind", "raw", "said"),
    [
        (Report, b"{", "is not whole JSON"),
        (Report, b"nonsense", "is not whole JSON"),
        (Report, b"[]", "must be an object, not a list"),
        (Report, b"{}", "lacks task_id"),
        (Report, b'{"task_id": 5}', "task_id must be a text, not a whole number"),
        (Report, b'{"task_id": ""}', "task_id must not be empty"),
        (Report, b'{"tokens_saved": 0.5}', "tokens_saved must be a whole number, not a number"),
        (Report, b'{"duration_ms": -1}', "duration_ms must be at least 0"),
        (Report, b'{"duration_ms": 1e999}', "duration_ms holds a number that is out of range"),
        (Report, b'{"result": "well"}', "result cannot be 'well'"),
        (PatternStore, b'{"agent_sequence": []}', "agent_sequence must not be empty"),
        (Report, b'{"agents_used": [1]}', "agents_used[0] must be a text, not a whole number"),
        (AgentQuery, b'{"colour": 1}', "has a field colour, which is unknown"),
        (AgentQuery, b'{"explain": 1}', "explain must be true or false, not a whole number"),
        (PatternStore, b'{"dependencies": {"a": 1}}', "dependencies must be a list, not"),
    ],
)
def test_the_decoders_words_become_a_sentence(kind: Any, raw: bytes, said: str) -> None:
    with pytest.raises(msgspec.DecodeError) as error:
        msgspec.json.decode(raw, type=kind)
    assert describe_error(error.value).startswith(said)
    assert "`" not in describe_error(error.value)


def test_what_is_not_known_is_passed_on() -> None:
    assert describe_error(msgspec.ValidationError("Strange - at `$.a`")) == "a: Strange"


def test_a_good_value_of_any_shape_is_not_blamed_for_another_field() -> None:
    with pytest.raises(InvalidParams) as refused:
        read_params(WriteShared, b'{"ops":[{"key":"x","value":{"a":1}}],"colour":1}')
    assert refused.value.problems == {"colour": "unknown field"}
