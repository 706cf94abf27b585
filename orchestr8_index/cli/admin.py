"""Change the store for the command line: by a running server, else directly as its only writer."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec.structs import replace

from ..config import Settings
from ..daemon.supervise import pidfile, running_address
from ..errors import AlreadyRunning, OperationError
from ..records import Decision
from ..reports import ForgetQuery, Report
from ..store.ledger import moment
from ..validate import describe_error, read_params
from .asking import RunningServer
from .options import project_key
from .paint import echo

if TYPE_CHECKING:
    from ..learn.outcomes import Outcomes
    from ..team.learning import LearntEntry

T = TypeVar("T")
SERVED = ("roots", "project", "explicit")  # facts of mcp.pid that the next start needs


def forget_decisions(settings: Settings, given: dict[str, str]) -> int:
    """Remove the decisions that `given` selects; gives their number."""
    if server := _running(settings):
        return int(server.ask("forgetDecisions", given)["forgotten"])
    from ..learn.verify import chooser

    choose, among = chooser(read_params(ForgetQuery, msgspec.json.encode(given)))
    return as_writer(settings, lambda outcomes: outcomes.forget(choose, among))


def import_lines(settings: Settings, lines: Iterable[str]) -> tuple[int, int]:
    """Import decisions from JSON lines; gives (number of new ones, of known ones). Raises
    OperationError with the line that cannot be read."""
    return keep_reports(settings, [report_of(decision) for decision in _decisions(lines)])


def keep_reports(settings: Settings, reports: list[Report]) -> tuple[int, int]:
    """Store reports that have `occurred_at`; gives (number of new ones, of known ones)."""
    if server := _running(settings):
        answers = [server.ask("cacheDecision", _given(each)) for each in reports]
        known = sum(answer["receipt"]["duplicate"] for answer in answers)
        return len(reports) - known, known

    async def take(outcomes: Outcomes) -> tuple[int, int]:
        known = 0
        for each in reports:
            done = await outcomes.report(each, lambda kind, name: name, moment(each.occurred_at))
            known += done.receipt.duplicate
        return len(reports) - known, known

    return as_writer(settings, take)


def entries_of(outcomes: Outcomes) -> list[LearntEntry]:
    """A store's reports, then its stored patterns, as entries of a team's log."""
    from ..learn.outcomes import Reporter
    from ..learn.verify import in_time_order
    from ..team.learning import LearntEntry

    entries = []
    for decision in in_time_order(outcomes):
        report, by = report_of(decision), Reporter(decision.reporter)
        entries.append(LearntEntry("", by, moment(report.occurred_at), report, decision.unknown))
    for plan in (pattern for pattern in outcomes.patterns if pattern.stored):
        stored = (plan.goal, plan.agent_sequence, plan.dependencies, plan.parallel_groups)
        entries.append(LearntEntry("", Reporter(plan.stored_by), pattern=stored))
    return entries


def _running(settings: Settings) -> RunningServer | None:
    """The running server, None without one. Raises OperationError without one of a team, whose
    other servers would not learn of a change in this data directory."""
    if address := running_address(settings):
        return RunningServer(address)
    if settings.database_url:
        cure = "Start one: `orchestr8-index up`."
        raise OperationError("What a team has learnt is changed through a server of it.", cure)
    return None


def _given(report: Report) -> dict[str, Any]:
    return {name: each for name, each in msgspec.to_builtins(report).items() if each is not None}


def _decisions(lines: Iterable[str]) -> list[Decision]:
    try:
        return [_decision(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    except UnicodeDecodeError:
        raise OperationError("The file is not UTF-8.", "Save it as UTF-8; see `export`.") from None


def _decision(number: int, line: str) -> Decision:
    """The decision on a line, checked like a report from the wire. Raises OperationError."""
    cure = "Nothing was imported; correct the line, or remove it."
    try:
        decision = msgspec.json.decode(line, type=Decision)
        report = msgspec.convert(msgspec.to_builtins(report_of(decision)), Report)
        for field, why in report.problems().items():
            raise msgspec.ValidationError(f"{why} - at `$.{field}`")
        moment = _moment(decision.timestamp).astimezone(UTC)
        return replace(decision, timestamp=moment.isoformat(timespec="milliseconds"))
    except (msgspec.DecodeError, RecursionError) as error:
        why = describe_error(error, "it")
    except (ValueError, OverflowError):
        why = "timestamp is no moment like 2026-01-31T12:00:00+00:00"
    raise OperationError(f"Line {number} is not a decision: {why}.", cure)


def report_of(decision: Decision) -> Report:
    """The report of a decision, with `occurred_at`."""
    return Report(
        task_id=decision.task_id,
        task_description=decision.task_description,
        agents_used=list(decision.agents_used),
        result=decision.result,
        duration_ms=decision.duration_ms,
        tokens_saved=decision.tokens_saved,
        resolved_by=decision.resolved_by or None,
        skills_used=list(decision.skills_used),
        workflows_used=list(decision.workflows_used),
        parallel_groups=[list(group) for group in decision.parallel_groups],
        model=decision.model,
        caller=decision.caller,
        occurred_at=max(0.0, _moment(decision.timestamp).timestamp()),
    )


def _moment(timestamp: str) -> datetime:
    """A timestamp as datetime, in UTC without a zone, as in the store. Raises ValueError."""
    moment = datetime.fromisoformat(timestamp)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the server's lock file, so that no server starts. Raises AlreadyRunning."""
    lock = pidfile(settings)
    last = lock.last()
    if not lock.acquire():
        raise AlreadyRunning("A server is starting on this data directory.", "Try again.")
    try:
        lock.write(**{name: last[name] for name in SERVED if name in last})
        yield
    finally:
        lock.release()


def whose(settings: Settings) -> str:
    """A note on which project of the store is used, for standard error; "" for an unknown one."""
    from ..serve.projectlist import read_projects

    project = read_projects(settings.data_dir).get(project_key(settings))
    return f"no server asked; project {project.name}" if project else ""


def as_writer(settings: Settings, work: Callable[[Outcomes], Awaitable[T]]) -> T:
    """Run `work` on the opened store, as its only writer; gives its result. Raises AlreadyRunning,
    and OperationError when the store cannot be written."""
    from ..learn.outcomes import Outcomes
    from ..store.ledger import name_of_project
    from ..store.store import Store
    from ..text import Terms

    if project := whose(settings):
        echo(f"({project})", err=True)
    key = project_key(settings)
    store = Store(settings.data_dir, settings.store_soft_mb, settings.store_hard_mb)

    async def run() -> T:
        store.open()
        name = name_of_project(store.reader, key)
        outcomes = Outcomes(store, Terms(), name)
        outcomes.load()
        store.prepare(outcomes.counts.assign_all)
        store.start()
        try:
            result = await work(outcomes)
            await outcomes.checkpoint()
            return result
        finally:
            await store.stop()

    with alone(settings):
        try:
            return asyncio.run(run())
        except (sqlite3.Error, OSError) as error:
            raise OperationError(f"The store cannot be written: {error}.") from None
