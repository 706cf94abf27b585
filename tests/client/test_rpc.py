"""What a call sends, and how a reply is read."""

from __future__ import annotations

import pytest

from orchestr8_index.client.rpc import ErrorObject, error_of, read_reply, write_params
from orchestr8_index.daemon.http import HttpResponse, NoAnswer
from orchestr8_index.errors import InvalidParams, MethodNotFound, RequestError, Starting
from orchestr8_index.methods import SHORT


def test_what_is_not_given_is_not_sent() -> None:
    _, raw = write_params(SHORT["get_pattern"], {"goal": "g", "context": None})
    assert raw == b'{"goal":"g"}'


@pytest.mark.parametrize("value", [object(), {1j}, "\ud800"])
def test_what_is_no_json_is_a_bad_argument(value: object) -> None:
    with pytest.raises(InvalidParams):
        write_params(SHORT["get_pattern"], {"goal": value})


def test_a_result_is_handed_on_as_it_came() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"result":{"a": [1]},"more":true}'
    assert read_reply(HttpResponse(200, body)) == b'{"a": [1]}'


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"result":1}', b"[" * 10_000])
def test_what_is_no_reply_is_no_answer(body: bytes) -> None:
    with pytest.raises(NoAnswer):
        read_reply(HttpResponse(200, body))


def test_errors_become_those_of_the_family() -> None:
    data = {"validation_errors": [{"field": "goal", "message": "required"}]}
    error = error_of(ErrorObject(-32602, "Invalid params.", data))
    assert isinstance(error, InvalidParams) and error.problems == {"goal": "required"}
    assert isinstance(error_of(ErrorObject(-32001, "Soon.")), Starting)
    cured = error_of(ErrorObject(-32601, "No.", {"cure": "Ask another."}))
    assert isinstance(cured, MethodNotFound) and cured.cure == "Ask another."


def test_an_error_that_is_not_known_keeps_its_code() -> None:
    error = error_of(ErrorObject(-32098, "New."))
    assert (type(error), error.code, error.sentence) == (RequestError, -32098, "New.")


@pytest.mark.parametrize("errors", [None, 7, [], [7], [{}]])
def test_invalid_params_without_names_are_read_too(errors: object) -> None:
    error = error_of(ErrorObject(-32602, "Wrong.", {"validation_errors": errors}))
    assert isinstance(error, InvalidParams) and error.problems
