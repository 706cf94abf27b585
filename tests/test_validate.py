"""Does a person hear what the decoder found wrong, whatever it is?"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from orchestr8_index.errors import InvalidParams
from orchestr8_index.queries import AgentQuery, ContextQuery, SkillQuery, WorkflowQuery
from orchestr8_index.reports import PatternGoal, PatternStore, Report
from orchestr8_index.sharing import WriteShared
from orchestr8_index.validate import SPELLINGS, describe_error, read_params


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
        (WriteShared, b'{"ops": [{"key": "a b"}]}', "ops[0].key may have A-Z, a-z, 0-9 and : _ ."),
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
    said = "unknown field; the fields are ops, fence, request_id"
    assert refused.value.problems == {"colour": said}


@pytest.mark.parametrize("name", SPELLINGS)
def test_what_is_to_be_done_may_be_spelt_in_four_ways(name: str) -> None:
    for kind in (SkillQuery, WorkflowQuery, ContextQuery, AgentQuery):
        params = read_params(kind, msgspec.json.encode({name: "mend it"}))
        assert getattr(params, kind.TASK) == "mend it"


def test_two_spellings_that_differ_are_refused_and_two_that_agree_are_not() -> None:
    with pytest.raises(InvalidParams) as refused:
        read_params(SkillQuery, b'{"task": "a", "goal": "b"}')
    assert "give one" in next(iter(refused.value.problems.values()))
    assert read_params(SkillQuery, b'{"context": "a", "goal": "a"}').context == "a"


def test_the_context_of_a_pattern_stays_itself() -> None:
    params = read_params(PatternGoal, b'{"task": "a", "context": "b"}')
    assert (params.goal, params.context) == ("a", "b")


def test_a_spelling_that_is_wrong_is_blamed_under_its_own_name() -> None:
    with pytest.raises(InvalidParams) as refused:
        read_params(SkillQuery, b'{"task": ""}')
    assert refused.value.problems == {"task": "must not be empty"}
