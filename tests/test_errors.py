"""What does each error carry? Codes, statuses, sentences and cures."""

from __future__ import annotations

import pytest

from orchestr8_index import errors
from orchestr8_index.errors import BadSetting, InvalidParams, RequestError, Starting

CODES = {
    "ParseError": (-32700, 400),
    "InvalidRequest": (-32600, 400),
    "MethodNotFound": (-32601, 404),
    "InvalidParams": (-32602, 400),
    "InternalError": (-32603, 500),
    "Starting": (-32001, 503),
}


@pytest.mark.parametrize("name", CODES)
def test_request_errors_have_the_codes_of_the_wire(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, RequestError)
    assert (error.code, error.status) == CODES[name]


def test_every_request_error_is_listed_here() -> None:
    assert CODES.keys() <= {error.__name__ for error in RequestError.__subclasses__()}


def test_an_error_reads_as_a_sentence_and_a_cure() -> None:
    assert str(BadSetting("The port is 0.", "Name another.")) == "The port is 0. Name another."
    assert str(BadSetting("The port is 0.")) == "The port is 0."


def test_an_error_may_come_with_a_cure_of_its_own() -> None:
    assert Starting("Not yet.").cure == Starting.cure
    assert Starting("Not yet.", "Wait.").data() == {"cure": "Wait."}
    assert Starting("Not yet.", "").data() == {}


def test_invalid_params_name_every_field() -> None:
    error = InvalidParams({"limit": "is over 20", "colour": "is unknown"})
    assert str(error).startswith("Invalid params: limit: is over 20; colour: is unknown.")
    assert error.data()["validation_errors"] == [
        {"field": "limit", "message": "is over 20"},
        {"field": "colour", "message": "is unknown"},
    ]


def test_wrong_settings_are_wrong_usage() -> None:
    assert BadSetting("No.").exit_status == 2
    assert errors.BuildFailed("No.").exit_status == 1
