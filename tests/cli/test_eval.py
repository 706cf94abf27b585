"""Do golden questions work as a gate?"""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import ROOT, Run


def write(path: Path, *lines: object) -> str:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts))
    return str(path)


def question(query: str, *expect: str, kind: str = "agent") -> dict[str, object]:
    return {"query": query, "expect": list(expect), "kind": kind}


SURE = question("openapi contract for a new webhook endpoint", "api-designer")
WRONG = question("openapi contract for an endpoint", "game-balancer")


def test_the_fixture_passes_its_own_gate(run: Run) -> None:
    said = run("eval", "--root", ROOT, "--min-hit1", "0.9", "--json")
    assert said.status == 0
    assert said.json["score"]["hit1"] >= 0.9 and said.json["score"]["questions"] >= 60


def test_below_the_wanted_share_the_status_is_1(run: Run, tmp_path: Path) -> None:
    golden = write(tmp_path / "g.jsonl", SURE, WRONG)
    said = run("eval", golden, "--root", ROOT, "--min-hit1", "0.9")
    assert said.status == 1
    assert "Hit@1 is 0.500" in said.err


def test_a_miss_names_the_description_to_change(run: Run, tmp_path: Path) -> None:
    golden = write(tmp_path / "g.jsonl", WRONG)
    (miss,) = run("eval", golden, "--root", ROOT, "--json").json["score"]["misses"]
    assert miss["path"].endswith("game-balancer.md") and "openapi" in miss["lacking"]


def test_an_entry_that_is_not_in_the_index_is_told_apart(run: Run, tmp_path: Path) -> None:
    golden = write(tmp_path / "g.jsonl", question("slow postgres query", "nobody"))
    assert "wanted nobody, not in the index; first is" in run("eval", golden, "--root", ROOT).out


def test_the_next_run_says_what_changed(run: Run, tmp_path: Path) -> None:
    golden = write(tmp_path / "g.jsonl", WRONG)
    run("eval", golden, "--root", ROOT)
    write(tmp_path / "g.jsonl", question(str(WRONG["query"]), "api-designer"))
    change = run("eval", golden, "--root", ROOT, "--json").json["change"]
    assert change == {"gained": [WRONG["query"]], "lost": [], "hit1_before": 0.0}


def test_a_line_that_cannot_be_read_is_named(run: Run, tmp_path: Path) -> None:
    golden = write(tmp_path / "g.jsonl", SURE, '{"query": 3}')
    said = run("eval", golden, "--root", ROOT)
    assert said.status == 1
    assert "g.jsonl:2: query must be a text, not a whole number. Write it as {" in said.err


def test_a_missing_file_says_what_to_do(run: Run, tmp_path: Path) -> None:
    said = run("eval", str(tmp_path / "none.jsonl"), "--root", ROOT)
    assert said.status == 1
    assert "none.jsonl does not exist" in said.err and "--suggest" in said.err
    assert "Errno" not in said.err


def test_a_tree_without_questions_says_what_to_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    said = run("eval", "--root", str(tmp_path))
    assert (said.status, "There are no questions: " in said.err) == (1, True)
    assert "eval --suggest > golden.jsonl" in said.err


def test_questions_in_another_encoding_are_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "g.jsonl").write_bytes(b"\xff")
    said = run("eval", str(tmp_path / "g.jsonl"), "--root", ROOT)
    assert (said.status, "Save it as UTF-8" in said.err) == (1, True)


def test_a_file_of_no_questions_is_no_score(run: Run, tmp_path: Path) -> None:
    """It was one of 0, as if all had been answered wrong."""
    (tmp_path / "none.jsonl").write_text("\n")
    said = run("eval", str(tmp_path / "none.jsonl"), "--root", ROOT)
    assert said.status == 1 and "none.jsonl has no line. `orchestr8-index eval" in said.err


def test_where_nothing_can_be_suggested_the_form_of_a_question_is(run: Run) -> None:
    Path("tree/agents").mkdir(parents=True)
    Path("tree/agents/a.md").write_text("---\nname: a\ndescription: b\n---\n")
    said = run("eval", "--suggest", "--root", "tree")
    assert said.out == "" and 'Write it as {"query": ' in said.err and "own words" not in said.err


def test_suggestions_are_questions(run: Run, tmp_path: Path) -> None:
    body = '---\nname: doctor\ndescription: Pods.\n---\n- "My pods restart at night"\n'
    (tmp_path / "tree" / "agents").mkdir(parents=True)
    (tmp_path / "tree" / "agents" / "doctor.md").write_text(body)
    said = run("eval", "--suggest", "--root", str(tmp_path / "tree"))
    wanted = {"query": "My pods restart at night", "expect": ["tree:doctor"], "kind": "agent"}
    assert json.loads(said.out) == wanted


def test_explain_says_why_and_what_is_lacking(run: Run) -> None:
    text = "openapi contract for an endpoint"
    told = run("explain", text, "game-balancer", "--root", ROOT, "--json").json
    assert told["first"].endswith(":api-designer") and "openapi" in told["lacking"]


def test_without_a_name_the_first_is_explained(run: Run) -> None:
    first = run("query", "openapi contract", "--kind", "agent", "--root", ROOT, "--json").json
    said = run("explain", "openapi contract", "--root", ROOT, "--json").json
    assert said["place"] == 1
    assert said["entry"].endswith(f":{first['agents']['agents'][0]['name']}")


def test_the_lines_of_an_explanation_add_up(run: Run) -> None:
    told = run("explain", "openapi endpoint", "api-designer", "--root", ROOT, "--json").json
    assert told["place"] == 1
    assert abs(sum(line["points"] for line in told["lines"]) - told["score"]) < 1e-6


def test_explaining_a_name_that_is_not_there_says_so(run: Run) -> None:
    said = run("explain", "openapi", "nobody-at-all", "--root", ROOT)
    assert said.status == 1 and "Error: There is no agent nobody-at-all. A query" in said.err
    said = run("explain", "openapi", "api-desinger", "--root", ROOT)
    assert said.err.endswith(
        "There is no agent api-desinger. Did you mean build-and-ship:api-designer?\n"
    )


def test_a_name_of_another_kind_is_said_to_be_that(run: Run) -> None:
    for command in (["explain", "x", "release-notes"], ["entry", "any:release-notes"]):
        said = run(*command, "--root", ROOT).err
        assert "There is no agent " in said
        assert said.endswith("Did you mean the skill studio:release-notes?\n")


def test_explaining_what_nobody_does_names_the_words(run: Run) -> None:
    said = run("explain", "qwfpgj zzyzx", "--root", ROOT)
    assert (said.status, said.out) == (0, "No agent matches: none has qwfpgj, zzyzx.\n")


def test_the_running_server_explains(online: Run) -> None:
    said = online("explain", "openapi contract")
    assert said.status == 0 and said.err.startswith("(from the server on")
