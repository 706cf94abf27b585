"""What do past transcripts tell?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestr8_index.serve.hooks.delegations import task_id
from orchestr8_index.serve.hooks.history import History, read_history

KNOWN = {"reviewer": "guard:reviewer", "writer": "studio:writer"}
SESSION, PROMPT = "s-1", "review the login and write down what you saw"


def line(kind: str, *parts: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
    content = parts[0] if parts and isinstance(parts[0], str) else list(parts)
    return {
        "type": kind,
        "uuid": f"u-{len(json.dumps(parts))}",
        "sessionId": SESSION,
        "cwd": "/work",
        "timestamp": "2026-03-01T10:00:00.000Z",
        "message": {"role": kind, "content": content},
        **more,
    }


def asked(call: str, agent: str) -> dict[str, Any]:
    given = {"description": "Look", "prompt": "Look closely.", "subagent_type": agent}
    return {"type": "tool_use", "id": call, "name": "Task", "input": given}


def answered(call: str, said: str = "Done.", **more: Any) -> dict[str, Any]:
    text = [{"type": "text", "text": said}]
    return {"type": "tool_result", "tool_use_id": call, "content": text, **more}


def one(call: str, agent: str, said: str = "Done.", **more: Any) -> list[dict[str, Any]]:
    return [line("assistant", asked(call, agent)), line("user", answered(call, said), **more)]


def read(tmp_path: Path, *lines: Any, within: Any = lambda folder: True) -> History:
    folder = tmp_path / "projects" / "-work"
    folder.mkdir(parents=True)
    text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines)
    (folder / "a.jsonl").write_text(text, "utf-8")
    return read_history(tmp_path, lambda name: KNOWN.get(name, ""), within)


def test_a_delegation_is_a_task_of_its_agent_with_its_result(tmp_path: Path) -> None:
    (report,) = read(tmp_path, *one("c1", "reviewer")).reports
    assert (report.agents_used, report.result) == (["guard:reviewer"], "success")
    assert report.task_description == "Look: Look closely." and report.occurred_at


def test_its_id_is_that_of_the_hook(tmp_path: Path) -> None:
    result = {"status": "completed", "agentId": "a-9", "content": []}
    (report,) = read(tmp_path, *one("c1", "reviewer", toolUseResult=result)).reports
    assert report.task_id == task_id(SESSION, "a-9")


def test_the_same_transcript_gives_the_same_ids(tmp_path: Path) -> None:
    lines = [line("user", PROMPT), *one("c1", "reviewer"), *one("c2", "writer")]
    first, again = read(tmp_path / "1", *lines), read(tmp_path / "2", *lines)
    assert [r.task_id for r in first.reports] == [r.task_id for r in again.reports]
    assert len({r.task_id for r in first.reports}) == 3


def test_agents_of_one_prompt_are_a_plan(tmp_path: Path) -> None:
    both = [line("assistant", asked("c1", "reviewer"), asked("c2", "writer"))]
    ends = [line("user", answered("c1")), line("user", answered("c2"))]
    (plan,) = [
        report
        for report in read(tmp_path, line("user", PROMPT), *both, *ends).reports
        if report.parallel_groups
    ]
    assert plan.task_description == PROMPT
    assert plan.parallel_groups == [["guard:reviewer", "studio:writer"]]


def test_failures_and_interruptions_are_told_apart(tmp_path: Path) -> None:
    failed = line("user", answered("c1", "The tool broke.", is_error=True))
    stopped = line("user", answered("c2", "[Request interrupted by user]", is_error=True))
    lines = [line("assistant", asked("c1", "reviewer"), asked("c2", "writer")), failed, stopped]
    assert [r.result for r in read(tmp_path, *lines).reports] == ["failure", "partial"]


def test_an_agent_that_the_index_does_not_have_is_counted_apart(tmp_path: Path) -> None:
    found = read(tmp_path, *one("c1", "general-purpose"))
    assert not found.reports and found.unknown == {"general-purpose": 1}


def test_lines_that_cannot_be_read_are_told_and_the_rest_counts(tmp_path: Path) -> None:
    found = read(tmp_path, "{broken", *one("c1", "reviewer"), "[1, 2]")
    assert found.bad == {"a.jsonl": 2} and len(found.reports) == 1


def test_bytes_that_are_no_text_are_told_too(tmp_path: Path) -> None:
    """They stand in a part that is looked at last."""
    read(tmp_path, *one("c1", "reviewer", "STRANGE"))
    file = tmp_path / "projects/-work/a.jsonl"
    file.write_bytes(file.read_bytes().replace(b"STRANGE", b"\xff"))
    assert read_history(tmp_path, KNOWN.__getitem__, bool).bad == {"a.jsonl": 1}


def test_what_agents_of_agents_did_and_other_folders_are_left_out(tmp_path: Path) -> None:
    aside = [dict(each, isSidechain=True) for each in one("c1", "reviewer")]
    assert not read(tmp_path / "1", *aside).reports
    assert not read(tmp_path / "2", *one("c1", "reviewer"), within=lambda folder: False).reports


def test_a_folder_without_transcripts_tells_nothing(tmp_path: Path) -> None:
    found = read_history(tmp_path, lambda name: "", lambda folder: True)
    assert (found.files, found.reports) == (0, [])
