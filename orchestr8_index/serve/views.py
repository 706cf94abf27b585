"""The handlers of the methods for the page and the command line. They only read, except
`learn_from`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .. import __version__
from .. import views as answers
from ..catalog import clones
from ..catalog.index import Segment
from ..catalog.map import read_places
from ..catalog.snapshot import read_files
from ..coordinate.clock import iso
from ..errors import StoreUnavailable
from ..learn.credit import credits
from ..learn.receipt import entry_changes
from ..learn.verify import lessons
from ..overview import ServerList, UsageAnswer, UsageQuery
from ..queries import NoParams
from ..records import KINDS, PLURAL, Decision
from ..search.answer import answer_task
from ..store.database import NAME, connect_to_read
from ..store.ledger import count_decisions, newest_decisions
from ..store.notes import read_audit as audit_rows
from ..store.notes import saved_by_day
from ..store.usage import read_usage, summed
from ..text import Terms, cut
from .callers import caller
from .state import State
from .usage import keep_audit, keep_usage

MOST_ROWS = 200
DESCRIPTION = 160  # characters
DAYS = 30
Rows = TypeVar("Rows")


async def try_question(state: State, question: answers.TriedQuestion) -> dict[str, Any]:
    """Answer a question for each kind without caching or logging anything of it."""
    index, task, known = state.index, question.task, (Terms(), state.experience)
    options: dict[str, Any] = {"limit": question.limit, "explain": question.explain}
    answers_of = {kind: answer_task(index, kind, task, *known, **options) for kind in KINDS}
    return {PLURAL[kind]: each.as_result(index.generation) for kind, each in answers_of.items()}


async def list_entries(state: State, wanted: answers.EntryList) -> answers.EntryPage:
    index = state.index
    segment = index.segments[wanted.kind]
    first = segment.position.bisect(wanted.after)
    if first < segment.size and segment.position.at(first) == wanted.after:
        first += 1
    places = read_places(index.folder, [index.segments[kind].size for kind in KINDS])
    own = places[KINDS.index(wanted.kind)]
    last = min(segment.size, first + wanted.limit)
    rows = [_listed(segment, place, own) for place in range(first, last)]
    return answers.EntryPage(
        entries=rows, more=last < segment.size, total=segment.size, generation=index.generation
    )


def _listed(segment: Segment, place: int, places: list[tuple[float, float]]) -> answers.Listed:
    entry = segment.entry(place)
    return answers.Listed(
        kind=segment.kind,
        plugin=entry.plugin,
        name=entry.name,
        description=cut(entry.description, DESCRIPTION),
        model=entry.model,
        path=entry.path,
        also=clones.also(segment, place, lambda _: True),
        user_only=entry.for_people,
        at=places[place] if places else None,
    )


async def list_findings(state: State, wanted: answers.FindingList) -> answers.FindingPage:
    index = state.index
    files = await asyncio.to_thread(read_files, index.folder)
    page = files.findings[wanted.after : wanted.after + wanted.limit]
    shown = [msgspec.structs.replace(finding, root="") for finding in page]
    end, total = wanted.after + len(shown), len(files.findings)
    after = end if end < total else None
    return answers.FindingPage(findings=shown, after=after, total=total, files=index.manifest.files)


async def list_projects(state: State, _: NoParams) -> answers.ProjectList:
    """The projects that the caller's key may use."""
    allowed = (each for each in state.projects.known.values() if caller.get().is_for(each.key))
    known = sorted(allowed, key=lambda each: -each.asked_at)
    own = state.projects.first.settings.project_key
    names = {each.key: each.name for each in known}
    rows = [
        answers.ProjectName(
            name=each.name,
            entries=sum(each.entries.values()),
            learns_from=[names[key] for key in each.learns_from if key in names],
        )
        for each in known
    ]
    return answers.ProjectList(projects=rows, own=next((e.name for e in known if e.key == own), ""))


async def learn_from(state: State, given: answers.Lenders) -> answers.ProjectList:
    await state.projects.set_lenders(state, given.projects, caller.get())
    return await list_projects(state, NoParams())


async def learned(state: State, _: NoParams) -> answers.Lessons:
    all_of = lessons(await state.store.outcomes())
    rows = {name: getattr(all_of, name)[:MOST_ROWS] for name in ("entries", "patterns", "retired")}
    return msgspec.structs.replace(all_of, **rows)


async def list_decisions(state: State, wanted: answers.DecisionList) -> answers.DecisionPage:
    outcomes = await state.store.outcomes()
    reader, project = outcomes.store.reader, outcomes.project
    decisions = newest_decisions(reader, wanted.before, wanted.limit, project)
    total = count_decisions(reader, project)
    return answers.DecisionPage(decisions=[_decided(each) for each in decisions], total=total)


def _decided(decision: Decision) -> answers.Decided:
    points = {entry: points for _, entry, points in credits(decision)}
    return answers.Decided(
        id=decision.id,
        task_id=decision.task_id,
        task=decision.task_description,
        result=decision.result,
        at=decision.timestamp,
        agents=[*decision.agents_used, *decision.skills_used, *decision.workflows_used],
        caller=decision.caller,
        changes=entry_changes(points),
        unknown=list(decision.unknown),
    )


async def weeks(state: State, _: NoParams) -> answers.Weeks:
    outcomes = await state.store.outcomes()
    past = state.settings.data_dir, state.index.folder, outcomes.project
    return await state.replays.weeks(*past, state.stamp(None))


async def delegations(state: State, _: NoParams) -> answers.DelegationList:
    return state.work.shown()


async def series(state: State, wanted: answers.SeriesQuery) -> answers.SeriesAnswer:
    points, saved = state.series[wanted.span], await saved_days(state, DAYS)
    return answers.SeriesAnswer(every=points.every, columns=points.after(wanted.after), saved=saved)


async def read_audit(state: State, wanted: answers.AuditQuery) -> answers.AuditPage:
    """The newest rows of the audit, after writing those in memory."""
    caller.get().must_see_all()
    store = (await state.store.outcomes()).store
    await keep_audit(state)
    return answers.AuditPage(
        rows=[answers.Audited(*row) for row in audit_rows(store.reader, wanted.limit)]
    )


async def get_usage(state: State, wanted: UsageQuery) -> UsageAnswer:
    """The usage, after writing this server's counts; those of others are some seconds behind."""
    caller.get().must_see_all()
    await keep_usage(state)
    if state.settings.database_url:
        rows = await (await state.shared.state()).read(read_usage, wanted.days)
    else:
        await state.store.outcomes()  # raises StoreUnavailable with the reason
        path = state.settings.data_dir / NAME
        rows = await asyncio.to_thread(_read_apart, path, read_usage, wanted.days)
    saved = [msgspec.structs.astuple(day) for day in await saved_days(state, wanted.days)]
    return msgspec.convert(summed(rows, saved), UsageAnswer)


async def saved_days(state: State, days: int) -> list[answers.SavedDay]:
    """The tokens saved according to the project's reports, for each of the last `days`."""
    outcomes = state.store.ready
    if outcomes is None:
        return []
    path = state.settings.data_dir / NAME
    rows = await asyncio.to_thread(_read_apart, path, saved_by_day, days, outcomes.project)
    return [answers.SavedDay(*row) for row in rows]


def _read_apart(path: Path, read: Callable[..., Rows], *arguments: Any) -> Rows:
    """Read on a new connection, for use in a thread: a million decisions take a while."""
    with contextlib.closing(connect_to_read(path)) as reading:
        return read(reading, *arguments)


async def list_servers(state: State, _: NoParams) -> ServerList:
    """All servers of the team; only this one without a team, or while its database is away."""
    caller.get().must_see_all()
    shared = state.shared
    with contextlib.suppress(StoreUnavailable):
        if state.settings.database_url:
            team = await shared.state()
            return ServerList(servers=await team.servers(), own=team.server)  # type: ignore[attr-defined]
    name, uptime = socket.gethostname(), time.monotonic() - state.started
    row: dict[str, Any] = {"server": name, "version": __version__, "here": True, "silent_ms": 0}
    row |= {"started": iso(int((time.time() - uptime) * 1000)), "lag_ms": 0, **state.facts()}
    row["waiters"] = shared.figures.get("waiters", 0)
    local = {} if state.settings.database_url else {"sqlite": "connected"}
    row["stores"] = {**local, **shared.stores}
    return ServerList(servers=[row], own=name)
