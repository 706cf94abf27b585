"""From bytes to bytes: what is echoed, what is refused and with which code, what is cached."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from orchestr8_index.catalog.index import Index
from orchestr8_index.config import Limits
from orchestr8_index.methods import METHODS
from orchestr8_index.queries import NoParams
from orchestr8_index.serve import calls
from orchestr8_index.serve.cache import AnswerCache
from orchestr8_index.serve.handlers import HANDLERS
from orchestr8_index.serve.rpc import Response
from orchestr8_index.serve.state import State
from orchestr8_index.table import Method

from ..trees import Files, agent
from .asking import call, reply

DATA = b'{"jsonrpc":"2.0","method":"getHealth","id":%s}'
IDS = [b"1", b"1.5", b"-1", b"1E5", b'"a"', b'""', b'"\\u00e9\\n"', b"null"]
IDS += [b"123456789012345678901234567890", '"ü"'.encode()]

MAX_BATCH = Limits().max_batch


def code(answer: Response) -> tuple[int, int]:
    """HTTP's status and JSON-RPC's code."""
    return answer.status, msgspec.json.decode(answer.body)["error"]["code"]


async def fail(_: State, params: NoParams) -> None:
    raise KeyError("a secret")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "fail", Method("fail", "fail", NoParams, None, "Fails."))
    monkeypatch.setitem(HANDLERS, "fail", fail)


# --- ids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ident", IDS)
def test_an_id_is_echoed_byte_for_byte(state: State, ident: bytes) -> None:
    assert reply(state, DATA % ident).body.startswith(b'{"jsonrpc":"2.0","id":%s,' % ident)


@pytest.mark.parametrize("ident", IDS)
def test_an_error_echoes_the_id_too(state: State, ident: bytes) -> None:
    body = reply(state, DATA.replace(b"getHealth", b"nope") % ident).body
    assert body.startswith(b'{"jsonrpc":"2.0","id":%s,"error"' % ident)


@pytest.mark.parametrize("ident", [b"true", b"false", b"[]", b"{}", b"[1]"])
def test_an_id_that_is_no_id_is_refused_with_null(state: State, ident: bytes) -> None:
    answer = reply(state, DATA % ident)
    assert code(answer) == (400, -32600)
    assert msgspec.json.decode(answer.body)["id"] is None


def test_an_id_of_null_is_a_call_not_a_notification(state: State) -> None:
    assert reply(state, DATA % b"null").status == 200


def test_a_failing_notification_gets_no_answer(state: State, failing: None) -> None:
    answer = reply(state, b'{"jsonrpc":"2.0","method":"fail"}')
    assert (answer.status, answer.body, answer.methods) == (204, b"", "fail")


# --- bodies that are refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"\xff",
        b"{'a': 1}",
        DATA % b"NaN",
        DATA % b"-Infinity",
        DATA % b"01",
        DATA % b'"\\ud800"',
        DATA % b'"\xff"',
        DATA % b'"a\x00b"',
        DATA % b"1" + b" x",
        b'{"jsonrpc":"2.0","id":1,"method":"getHealth","unread":"\xff"}',
        b'[{"jsonrpc":"2.0","id":1,"method":"getHealth"},"\xff"]',
        b'[{"jsonrpc":"2.0","id":NaN}]',
    ],
)
def test_what_is_not_json_is_a_parse_error(state: State, body: bytes) -> None:
    assert code(reply(state, body)) == (400, -32700)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"jsonrpc":"2.0","id":'])
def test_deep_nesting_is_a_parse_error(state: State, opening: bytes) -> None:
    assert code(reply(state, opening * 100_000)) == (400, -32700)
    closing = b"]" if opening == b"[" else b"1" + b"}"
    assert code(reply(state, opening * 100_000 + closing * 100_000)) == (400, -32700)


@pytest.mark.parametrize("number", [b"1e400", b"9" * 5000])
@pytest.mark.parametrize("frame", [b"%s", b"[%s]"])
def test_a_number_out_of_range_is_named(state: State, number: bytes, frame: bytes) -> None:
    """It was told that "a call is a JSON object", which it was."""
    answer = reply(state, frame % (DATA % number))
    assert code(answer) == (400, -32700)
    assert b"number that is out of range" in answer.body


@pytest.mark.parametrize("body", [b"5", b'"text"', b"null", b"true"])
def test_what_is_not_an_object_is_an_invalid_request(state: State, body: bytes) -> None:
    assert code(reply(state, body)) == (400, -32600)


@pytest.mark.parametrize(
    "body",
    [
        {"id": 1, "method": "getHealth"},
        {"jsonrpc": "1.0", "id": 1, "method": "getHealth"},
        {"jsonrpc": 2.0, "id": 1, "method": "getHealth"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "method": None},
        {"jsonrpc": "2.0", "id": 1, "method": ["getHealth"]},
        {"jsonrpc": "2.0"},
        {"method": "getHealth"},
    ],
)
def test_a_call_needs_its_version_and_a_method(state: State, body: dict[str, Any]) -> None:
    assert code(reply(state, body)) == (400, -32600)


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"nope","method":"getHealth"}',
        b'{"jsonrpc":"2.0","id":1,"method":"querySkills","params":{"context":"a","context":"b"}}',
        b'[{"jsonrpc":"2.0","id":1,"method":"getHealth","\\u0069d":2}]',
    ],
)
def test_duplicate_keys_are_refused(state: State, body: bytes) -> None:
    """Readers disagree about which one counts."""
    assert code(reply(state, body)) == (400, -32700)


def test_members_that_nobody_knows_are_ignored(state: State) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"getHealth","meta":{"a":[1]}}'
    assert reply(state, body).status == 200


def test_leading_white_space_does_not_hide_a_batch(state: State) -> None:
    assert reply(state, b"\n [" + DATA % b"1" + b"]").body.startswith(b"[")


# --- codes -------------------------------------------------------------------------------------


def test_an_unknown_method_names_those_that_exist(state: State) -> None:
    answer = reply(state, DATA.replace(b"getHealth", b"nope") % b"1")
    assert code(answer) == (404, -32601)
    assert all(name.encode() in answer.body for name in METHODS)


@pytest.mark.parametrize("params", [b"[]", b'["release notes"]', b"null", b"5", b'"text"'])
def test_params_that_are_no_object_are_invalid(state: State, params: bytes) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"querySkills","params":%s}'
    assert code(reply(state, body % params)) == (400, -32602)


def test_before_the_first_generation_queries_get_starting(starting: State) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "querySkills", "params": {"context": "x"}}
    assert code(reply(starting, body)) == (503, -32001)


def test_health_is_answered_before_the_first_generation(starting: State) -> None:
    assert call(starting, "getHealth")["result"]["status"] == "starting"


def test_a_defect_is_an_internal_error_that_tells_nothing(
    state: State, failing: None, caplog: pytest.LogCaptureFixture
) -> None:
    answer = reply(state, b'{"jsonrpc":"2.0","id":1,"method":"fail"}')
    assert code(answer) == (500, -32603)
    assert b"secret" not in answer.body and b"KeyError" not in answer.body
    assert "a secret" in caplog.text


def test_every_error_is_counted(state: State, failing: None) -> None:
    for body in (b"x", b"5", DATA.replace(b"getHealth", b"nope") % b"1", b"[]"):
        reply(state, body)
    reply(state, b'{"jsonrpc":"2.0","id":1,"method":"fail"}')
    assert state.metrics.errors == {-32700: 1, -32600: 2, -32601: 1, -32603: 1}


def test_a_query_is_not_logged_at_info_level(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        call(state, "querySkills", context="xylophone", nonsense="zebra")
    assert "xylophone" not in caplog.text


# --- batches -----------------------------------------------------------------------------------


def test_a_full_batch_is_answered_in_order(state: State) -> None:
    batch = [{"jsonrpc": "2.0", "id": n, "method": "getHealth"} for n in range(MAX_BATCH)]
    answers = msgspec.json.decode(reply(state, batch).body)
    assert [answer["id"] for answer in answers] == list(range(MAX_BATCH))


def test_a_batch_over_the_limit_is_refused_whole(state: State) -> None:
    batch = [{"jsonrpc": "2.0", "id": n, "method": "getHealth"} for n in range(MAX_BATCH + 1)]
    answer = reply(state, batch)
    assert code(answer) == (400, -32600)
    assert state.metrics.requests == {}


def test_a_batch_names_its_methods_for_the_log(state: State) -> None:
    batch = [{"jsonrpc": "2.0", "id": 1, "method": name} for name in ("getHealth", "getMetrics")]
    assert reply(state, batch).methods == "getHealth,getMetrics"


# --- the cache ---------------------------------------------------------------------------------


def hit(state: State, params: str) -> bool:
    """Whether the answer to these params says that it came from the cache."""
    body = f'{{"jsonrpc":"2.0","id":1,"method":"querySkills","params":{params}}}'
    found: bool = msgspec.json.decode(reply(state, body.encode()).body)["result"]["cache_hit"]
    return found


def test_the_second_ask_is_a_hit(state: State) -> None:
    params = '{"context":"release notes"}'
    assert [hit(state, params) for _ in range(3)] == [False, True, True]


@pytest.mark.parametrize(
    "same",
    [
        '{ "context" :\n"release notes",  "limit":5 }',
        '{"limit":5,"context":"release notes"}',
        '{"context":"release\\u0020notes"}',
        '{"context":"release notes","explain":false,"plugins":[]}',
    ],
)
def test_spelling_and_order_do_not_make_another_question(state: State, same: str) -> None:
    hit(state, '{"context":"release notes"}')
    assert hit(state, same)


@pytest.mark.parametrize(
    "other",
    ['{"context":"release note"}', '{"context":"release notes","limit":4}'],
)
def test_another_question_is_no_hit(state: State, other: str) -> None:
    hit(state, '{"context":"release notes"}')
    assert not hit(state, other)


def test_methods_do_not_share_answers(state: State) -> None:
    call(state, "querySkills", context="release notes")
    assert not call(state, "queryAgents", context="release notes")["result"]["cache_hit"]


def test_but_for_cache_hit_the_bytes_are_the_same(state: State) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "querySkills", "params": {"context": "release"}}
    first, second = reply(state, body).body, reply(state, body).body
    assert first.replace(b'"cache_hit":false', b'"cache_hit":true') == second


def test_long_params_do_not_swell_the_cache(state: State) -> None:
    """Only the answers' bytes are bounded; the params of 256 questions could hold 40 MB."""
    call(state, "querySkills", context="x", plugins=["p" * 200] * 50)
    ((_, (_, params, *_)),) = state.query_cache._answers
    assert len(params) == 16


def test_a_new_generation_never_serves_an_old_answer(
    state: State, make_index: Callable[[Files], Index]
) -> None:
    old = call(state, "queryAgents", context="review")["result"]
    index = make_index({"agents/new.md": agent("newcomer", "review review review")})
    index.generation = old["generation"] + 1
    state.refresh.index = index
    new = call(state, "queryAgents", context="review")["result"]
    assert (new["cache_hit"], new["agents"][0]["name"]) == (False, "newcomer")


def test_a_pattern_method_uses_the_pattern_cache(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = msgspec.structs.replace(METHODS["querySkills"], cache="pattern")
    monkeypatch.setattr(calls, "METHODS", {"querySkills": method})
    call(state, "querySkills", context="release notes")
    assert (len(state.query_cache), len(state.pattern_cache)) == (0, 1)


def test_an_answer_ends_with_its_life(state: State) -> None:
    now = [0.0]
    state.query_cache = AnswerCache(300, clock=lambda: now[0])
    hit(state, '{"context":"release notes"}')
    now[0] = 301.0
    assert not hit(state, '{"context":"release notes"}')
