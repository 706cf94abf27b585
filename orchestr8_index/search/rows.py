"""How much of an entry does a row show? Short (about 60 tokens), or everything on request."""

from __future__ import annotations

from ..places import DEFAULT_HOST, call_of, hosts_of, is_known_to
from ..queries import AgentRow, Choice, HostName, Row
from ..records import Entry
from ..text import cut

SHORT_DESCRIPTION = 100
SHORT_LIST = 5
SHORT_STEP = 40


def row_of(entry: Entry, score: float, choice: Choice) -> Row:
    """An entry as a row of an answer, short or full as it was asked for."""
    full = choice.detail == "full"
    row = _KINDS[entry.kind](entry, score, None if full else SHORT_LIST)
    row.description = entry.description if full else cut(entry.description, SHORT_DESCRIPTION)
    if full:
        row.path, row.digest = entry.path, entry.digest
        row.tags, row.tools, row.use_when = list(entry.tags), list(entry.tools), entry.use_when
        row.model, row.category, row.keywords = entry.model, entry.category, list(entry.keywords)
    _set_call(row, entry, choice.host)
    return row


def _set_call(row: Row, entry: Entry, host: HostName | None) -> None:
    """Set `call`, by the asking host or without one by any that knows the entry; `hosts`, where the
    asking host does not know it; and `user_only`."""
    known = is_known_to(entry, host or DEFAULT_HOST)
    hosts = hosts_of(entry)
    call = call_of(entry, (host or DEFAULT_HOST) if known else hosts[0])
    row.call = call if call != entry.name and (known or host is None) else ""
    row.hosts = [] if known else list(hosts)
    row.user_only = entry.for_people


def _agent(entry: Entry, score: float, most: int | None) -> Row:
    return AgentRow(
        name=entry.name,
        plugin=entry.plugin,
        score=round(score, 4),
        model=entry.model,
        capabilities=list(entry.capabilities[:most]),
    )


def _skill(entry: Entry, score: float, most: int | None) -> Row:
    return Row(
        name=entry.name,
        plugin=entry.plugin,
        score=round(score, 4),
        category=entry.category,
        keywords=list((entry.keywords or entry.tags)[:most]),
    )


def _workflow(entry: Entry, score: float, most: int | None) -> Row:
    steps = entry.steps[:most]
    return Row(
        name=entry.name,
        plugin=entry.plugin,
        score=round(score, 4),
        arguments=entry.arguments if most is None else cut(entry.arguments, SHORT_DESCRIPTION),
        steps=list(steps) if most is None else [cut(step, SHORT_STEP) for step in steps],
        agents=list(entry.agents[:most]),
    )


_KINDS = {"agent": _agent, "skill": _skill, "workflow": _workflow}
