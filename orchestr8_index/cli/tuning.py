"""tune: vectors and a confidence of the user's own, if they are measurably better."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from ..config import REPOSITORY, Settings, inherited_environment
from ..errors import OperationError
from ..records import KINDS, Kind
from .options import common, with_roots_of_server

MOST_OUTCOMES = 2000  # the latest
_START = (
    "import sys; sys.path.append(sys.argv[1]);"
    "from orchestr8_index.search.tune import main; sys.exit(main())"
)
COMMAND = (sys.executable, "-P", "-c", _START, str(REPOSITORY))


@click.command()
@click.argument("golden", required=False, type=click.Path(dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Judge, but keep nothing.")
@click.option("--undo", is_flag=True, help="Go back to what ships.")
@click.option("--json", "as_json", is_flag=True, help="All measurements as JSON.")
@common
def tune(settings: Settings, golden: str | None, dry_run: bool, undo: bool, as_json: bool) -> None:
    """Fit vectors and confidence to your catalogue, and keep them only if they gain.

    Judged on your golden questions (golden.jsonl of the first root) and past successes, each held
    out in turn. Needs scikit-learn. Nothing does this by itself.

    \b
    orchestr8-index tune --dry-run
    orchestr8-index tune golden.jsonl
    orchestr8-index tune --undo
    """
    settings = with_roots_of_server(settings)
    if undo:
        _undo(settings, as_json)
        return
    if find_spec("sklearn") is None:
        cure = "Install it: pip install scikit-learn."
        raise OperationError("Tuning needs scikit-learn.", cure)
    questions = _golden(settings, golden) + _successes(settings)
    request = {"roots": settings.roots, "data_dir": str(settings.data_dir), "dry_run": dry_run}
    request |= {"questions": questions, "limits": settings.reading}
    result = _run(request, _told_step)
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
    else:
        click.echo(shown(result))
    if result["kept"] and not dry_run:
        _renew(settings)


# --- what is asked -----------------------------------------------------------------------------


def _golden(settings: Settings, golden: str | None) -> list[dict[str, Any]]:
    from .golden import read_questions

    path = Path(golden) if golden else Path(settings.roots[0], "golden.jsonl")
    if golden is None and not path.exists():
        return []
    read = read_questions(path)
    return [_question(q.query, q.expect, q.kind, golden=True) for q in read]


def _successes(settings: Settings) -> list[dict[str, Any]]:
    """Past tasks with the entries that did them, the latest first."""
    from ..learn.credit import WON, credits
    from ..learn.verify import in_time_order
    from ..store.database import NAME
    from .learnt import reading

    if not (settings.data_dir / NAME).exists():
        return []
    found = []
    with reading(settings) as outcomes:
        for decision in in_time_order(outcomes):
            won: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
            for kind, entry, points in credits(decision):
                if points == WON:
                    won[kind].append(entry)
            text = decision.task_description
            found += [_question(text, won[kind], kind, golden=False) for kind in KINDS if won[kind]]
    return found[-MOST_OUTCOMES:][::-1]


def _question(text: str, expect: list[str], kind: Kind, golden: bool) -> dict[str, Any]:
    return {"text": text[:500], "expect": expect, "kind": kind, "golden": golden}


# --- the child ---------------------------------------------------------------------------------


def _run(request: dict[str, Any], told: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as stderr:
        child = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=inherited_environment(),
        )
        try:
            return _result(child, request, stderr, told)
        finally:  # Ctrl-C, too
            child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()


def _result(
    child: subprocess.Popen[bytes],
    request: dict[str, Any],
    stderr: IO[bytes],
    told: Callable[[str], None],
) -> dict[str, Any]:
    assert child.stdin and child.stdout
    with child.stdin as stdin:
        stdin.write(msgspec.json.encode(request))
    last: dict[str, Any] = {}
    for line in child.stdout:
        last = msgspec.json.decode(line)
        if "step" in last:
            told(last["step"])
    if child.wait() == 0 and "result" in last:
        return dict(last["result"])
    stderr.seek(0)
    words = stderr.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
    why = last.get("error") or (
        words[-1] if words else f"its process ended with {child.returncode}"
    )
    raise OperationError(f"Tuning failed: {why}.", "Nothing was changed.")


# --- what is shown -----------------------------------------------------------------------------


def _told_step(step: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K  measuring {step} …", nl=False, err=True)


def shown(result: dict[str, Any]) -> str:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    lines = [f"{result['questions']} questions, each held out in turn"]
    if result["unknown"]:
        lines.append(f"({result['unknown']} are said twice, or name no entry of this catalogue)")
    lines += [_trial(trial) for trial in result["trials"]]
    return "\n".join([*lines, result["verdict"]])


def _trial(trial: dict[str, Any]) -> str:
    before, after = trial["before"], trial["after"]
    names = {"hit1": "Hit@1", "r5": "R@5", "mrr": "MRR", "ndcg": "nDCG"}
    if trial["part"] == "confidence":
        names = {"ece": "calibration error", "loss": "log loss"}
    figures = ", ".join(
        f"{said} {before[name]:.3f} → {after[name]:.3f}" for name, said in names.items()
    )
    compared = f"better {trial['better']}, worse {trial['worse']}, by chance {trial['p']:.3f}"
    head = f"{'+' if trial['gains'] else ' '} {trial['part']}, {trial['name']}"
    return f"{click.style(head, bold=trial['gains'])}\n    {figures}; {compared}"


# --- there and back ----------------------------------------------------------------------------


def _undo(settings: Settings, as_json: bool) -> None:
    from ..search.tuned import FOLDER

    folder = settings.data_dir / FOLDER
    undone = folder.exists()
    if undone:
        shutil.rmtree(folder)
        _renew(settings)
    told = "What ships is used again." if undone else "Nothing was tuned here."
    click.echo(msgspec.json.encode({"undone": undone}).decode() if as_json else told)


def _renew(settings: Settings) -> None:
    """The running server, or else the next one, answers with what lies there now."""
    from ..daemon.probe import request
    from ..daemon.supervise import running_address
    from .local import build_now

    where = running_address(settings)
    if where is None:
        build_now(settings, lambda line: None, always=True)
        return
    try:
        _, told = request(where, "POST", "/reindex", seconds=3600)
    except OSError as error:
        told = {"message": str(error)}
    if not isinstance(told, dict) or not told.get("success"):
        raise OperationError("The server did not take it up.", "Run `orchestr8-index reindex`.")
