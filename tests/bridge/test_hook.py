"""Are the events of other hosts' hooks those of Claude Code, and the answers theirs?"""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestr8_index.bridge import hook
from orchestr8_index.bridge.hook import answered, translated
from orchestr8_index.environment import ServerPlace

DENIAL = {"permissionDecision": "deny", "permissionDecisionReason": "It is claimed."}
CONTEXT = {"hookEventName": "x", "additionalContext": "Matches: …"}
EDIT = {"file_path": "/x/a.py"}


@pytest.mark.parametrize(
    ("host", "event", "said", "name"),
    [
        ("gemini", "", {"hook_event_name": "BeforeAgent", "prompt": "p"}, "UserPromptSubmit"),
        (
            "cursor",
            "",
            {"hook_event_name": "beforeSubmitPrompt", "prompt": "p"},
            "UserPromptSubmit",
        ),
        ("copilot", "", {"prompt": "p", "cwd": "/x"}, "UserPromptSubmit"),
        ("copilot", "sessionEnd", {"reason": "complete"}, "SessionEnd"),
        ("vscode", "", {"hook_event_name": "UserPromptSubmit", "prompt": "p"}, "UserPromptSubmit"),
    ],
)
def test_an_event_is_told_by_the_name_of_claude_code(
    host: str, event: str, said: dict[str, Any], name: str
) -> None:
    payload = translated(host, event, said)
    assert payload and payload["hook_event_name"] == name


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("gemini", {"hook_event_name": "BeforeTool", "tool_name": "replace", "tool_input": EDIT}),
        ("copilot", {"toolName": "edit", "toolArgs": json.dumps({"path": "/x/a.py"})}),
        ("vscode", {"hook_event_name": "PreToolUse", "tool_name": "editFiles", "tool_input": EDIT}),
    ],
)
def test_an_edit_is_told_with_its_file(host: str, said: dict[str, Any]) -> None:
    payload = translated(host, "", said)
    assert payload and payload["hook_event_name"] == "PreToolUse"
    assert (payload["tool_name"], payload["tool_input"]["file_path"]) == ("Edit", "/x/a.py")


def test_a_subagent_of_cursor_that_ended_is_a_delegated_task() -> None:
    said = {"hook_event_name": "subagentStop", "subagent_type": "tester", "task": "test it"}
    payload = translated("cursor", "", {**said, "status": "completed", "summary": "Done."})
    assert payload and payload["hook_event_name"] == "PostToolUse"
    assert payload["tool_input"] == {"prompt": "test it", "subagent_type": "tester"}
    failed = translated("cursor", "", {**said, "status": "error"})
    assert failed and failed["hook_event_name"] == "PostToolUseFailure"


def test_an_event_without_use_is_not_passed_on() -> None:
    assert translated("gemini", "", {"hook_event_name": "BeforeModel"}) is None


@pytest.mark.parametrize(
    ("host", "field"),
    [("gemini", "decision"), ("cursor", "permission"), ("copilot", "permissionDecision")],
)
def test_a_denial_is_said_in_the_host_s_words(host: str, field: str) -> None:
    told = answered(host, "BeforeTool", {"hookSpecificOutput": DENIAL})
    assert told[field] == "deny" and "It is claimed." in told.values()


@pytest.mark.parametrize("host", ["gemini", "cursor", "copilot", "vscode"])
def test_a_context_reaches_the_host(host: str) -> None:
    assert "Matches: …" in json.dumps(
        answered(host, "BeforeAgent", {"hookSpecificOutput": CONTEXT}), ensure_ascii=False
    )


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"hook_event_name": "BeforeAgent"}'])
def test_whatever_fails_the_answer_is_empty_and_the_exit_good(
    body: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hook, "locate", lambda *_: None)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(body)))
    assert hook.main(["gemini"]) == 0
    assert capsys.readouterr().out == "{}\n"


def test_an_event_goes_to_the_server_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ServerPlace] = []
    monkeypatch.setattr(hook, "locate", lambda place, _: asked.append(place))
    event = b'{"hook_event_name": "BeforeAgent", "prompt": "p"}'
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(event)))
    assert hook.main(["gemini", "--port", "4711", "--data-dir", str(tmp_path)]) == 0
    assert [(place.port, place.data_dir) for place in asked] == [(4711, tmp_path)]


@pytest.mark.parametrize(
    "words",
    [[], ["nobody"], ["gemini", "--help"], ["a", "b", "c"], ["gemini", "--root", "x"]],
)
def test_other_arguments_are_for_the_command_line(words: list[str]) -> None:
    assert hook.main(words) is None
