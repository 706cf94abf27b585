"""Does the document of the routes say what there is?"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from starlette.types import ASGIApp

from orchestr8_index.methods import METHODS

from .asking import ask


@pytest.fixture
def told(app: ASGIApp) -> dict[str, Any]:
    found: dict[str, Any] = ask(app, "GET", "/openapi.json").json()
    return found


def test_every_route_stands_in_it_and_answers_as_it_says(
    app: ASGIApp, told: dict[str, Any]
) -> None:
    assert {"/", "/health", "/metrics", "/reindex", "/openapi.json"} <= told["paths"].keys()
    for path, operations in told["paths"].items():
        for method in operations:
            assert ask(app, method.upper(), path).status_code != 405, path
        assert ask(app, "DELETE", path).status_code in (200, 405) or path == "/mcp"


def test_every_method_stands_in_it_with_its_params(told: dict[str, Any]) -> None:
    calls = told["paths"]["/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    named = {call["title"]: call for call in calls["oneOf"] if "title" in call}
    assert named.keys() == METHODS.keys()
    for name, call in named.items():
        schema = told["components"]["schemas"][METHODS[name].params.__name__]
        assert set(schema["properties"]) == set(METHODS[name].params.__struct_fields__)
        assert call["description"] == METHODS[name].sentence


def test_every_reference_leads_somewhere(told: dict[str, Any]) -> None:
    named = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told))
    assert set(named) <= told["components"]["schemas"].keys()
