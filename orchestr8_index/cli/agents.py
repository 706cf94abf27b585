"""who, locks, inbox, break, events: the state that agents share, for a person."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from datetime import datetime

import click
import msgspec

from ..config import Settings
from ..records import JsonObject
from ..sharing import plain_text
from ..text import as_utf8
from .asking import shared_events, sharing_server
from .options import emit, of_server
from .paint import echo, echo_json
from .shared import PAGE, agent_option, as_json_option
from .show import ago, amount, local_time


@click.command()
@as_json_option
@of_server
def who(settings: Settings, as_json: bool) -> None:
    """Show the agents of the last week: when each was seen last and with which tool, its locks,
    and how many messages wait for it.

    \b
    orchestr8-index who
    orchestr8-index who --json | jq '.[] | select(.unread > 0).name'
    """
    agents = sharing_server(settings).ask("coordination", {})["agents"]
    emit(agents, as_json, lambda: "\n".join(map(_agent, agents)) or "Nobody was seen yet.")


def _agent(row: JsonObject) -> str:
    waits = f", {amount(row['unread'], 'message')} waiting" if row["unread"] else ""
    role, tool = (f" {each}" if each else "" for each in (row["role"], row["tool"]))
    head = f"{row['name']}{role and f' ({role.strip()})'}: {_ago(row['last'])}{tool and f',{tool}'}"
    return "\n".join([head + waits, *(f"  holds {each}" for each in row["holds"])])


@click.command()
@click.argument("resources", nargs=-1)
@as_json_option
@of_server
def locks(settings: Settings, as_json: bool, resources: tuple[str, ...]) -> None:
    """Show the locks: holder, purpose, end, who waits. RESOURCES: only those that overlap.

    \b
    orchestr8-index locks
    orchestr8-index locks src/ port:3000
    """
    params = {"action": "list", "resources": list(map(as_utf8, resources))}
    rows = sharing_server(settings).ask("lockResources", params)["locks"]
    emit(rows, as_json, lambda: "\n".join(map(_lock, rows)) or "Nothing is held.")


def _lock(row: JsonObject) -> str:
    what = f", for {row['purpose']}" if row["purpose"] else ""
    mode = " (shared)" if row["mode"] == "shared" else ""
    waiting = f"; {', '.join(row['waiting'])} waits" if row["waiting"] else ""
    return (
        f"{row['resource']}{mode}: {row['holder']}{what}, since {_ago(row['since'])},"
        f" until {local_time(row['until'])}{waiting}"
    )


@click.command("break")
@click.argument("resource")
@click.option("--reason", required=True, help="Why; the holder is told.")
@as_json_option
@of_server
def break_lock(settings: Settings, resource: str, reason: str, as_json: bool) -> None:
    """End the locks on RESOURCE, when the holder is gone or hangs. The holder gets the reason.

    \b
    orchestr8-index break src/a.py --reason "that session has crashed"
    """
    params = {"resource": as_utf8(resource), "reason": as_utf8(reason)}
    rows = sharing_server(settings).ask("breakLock", params)["broken"]
    lines = [f"Broken: {row['resource']}, held by {row['name']}." for row in rows]
    emit(rows, as_json, lambda: "\n".join(lines) or f"Nobody holds {resource}.")


@click.command()
@click.option("--take", is_flag=True, help="Take the messages, as the agent itself does.")
@click.option("--ack", multiple=True, metavar="ID", help="A message that is done; repeatable.")
@click.option("--queue", default="", help="Those of a queue.")
@click.option("--wait", type=click.FloatRange(0, 45), default=0.0, help="Seconds to wait for one.")
@click.option("-n", "--limit", type=click.IntRange(1, 50), default=10, show_default=True)
@agent_option
@as_json_option
@of_server
def inbox(
    settings: Settings,
    take: bool,
    ack: tuple[str, ...],
    queue: str,
    wait: float,
    limit: int,
    agent: str,
    as_json: bool,
) -> None:
    """Show the messages that wait for an agent, or in a queue, and leave them there.

    \b
    orchestr8-index inbox --agent tester
    orchestr8-index inbox --agent tester --take --wait 30
    orchestr8-index inbox --queue review
    """
    params = {"peek": not take, "limit": limit, "ack": list(ack), "wait_ms": int(wait * 1000)}
    answer = sharing_server(settings, agent).ask("readInbox", {**params, "queue": queue})
    emit(answer, as_json, lambda: _messages(answer))


def _messages(answer: JsonObject) -> str:
    lines = [_message(each) for each in answer["messages"]]
    more = answer["waiting"] - len(lines)
    if not lines:
        return "No message waits."
    return "\n".join([*lines, *([f"{more} more wait."] if more > 0 else [])])


def _message(row: JsonObject) -> str:
    subject = f" {row['subject']}:" if row["subject"] else ""
    return f"{row['id']}  {_ago(row['at'])}, from {row['from']}:{subject} {row['body']}"


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option("-n", "--limit", type=click.IntRange(0), default=50, show_default=True)
@click.option("--after", type=click.IntRange(0), default=0, help="Those after this revision.")
@click.option("--prefix", default="", help="Those of keys and resources that begin so.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@of_server
def events(
    settings: Settings, follow: bool, limit: int, after: int, prefix: str, as_json: bool
) -> None:
    """Show the events among agents, the newest last. --follow resumes after a break of the server
    with the events missed; Ctrl-C ends it.

    \b
    orchestr8-index events -n 20
    orchestr8-index events -f --prefix task/
    """
    server, newest, rev = sharing_server(settings), deque[JsonObject](maxlen=limit), after
    more = True
    while more:
        params = {"prefix": as_utf8(prefix), "changed_after": rev, "limit": PAGE}
        page = server.ask("readShared", params)
        newest.extend(page["events"])
        rev, more = page["rev"], page.get("more", False)
    for row in newest:
        _print(row, as_json)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            _follow(settings, rev, as_utf8(prefix), as_json)
        echo("", err=True)


def _follow(settings: Settings, rev: int, prefix: str, as_json: bool) -> None:
    for row in shared_events(settings, rev, prefix, _say_away):
        if "rev" in row:
            _print(row, as_json)


def _say_away(gone: bool) -> None:
    """Say on standard error that the server is away or back; missed events follow then."""
    echo("The server is away; waiting for it." if gone else "The server is back.", err=True)


def _print(row: JsonObject, as_json: bool) -> None:
    echo_json(msgspec.json.encode(row).decode()) if as_json else echo(_event(row))


def _event(row: JsonObject) -> str:
    is_caused = row["kind"] in ("release", "delete") and row["cause"]  # of others the request's id
    cause = f" ({row['cause']})" if is_caused else ""
    who, key, text = row["by"], row["key"], ""
    if row["kind"] == "message":
        to = ", ".join(row["value"]["to"])
        text = f"{to and f' to {to}'}  {row['value']['body']}"
    elif row["kind"] == "put":
        text = f"  {plain_text(row['value'])}"
    elif row["kind"] in ("grant", "release") and row["value"]["holder"] != who:
        who, text = row["value"]["holder"], f", by {who}"
    return f"{row['rev']}  {local_time(row['at'])}  {who:16} {row['kind']:7} {key}{text}{cause}"


def _ago(moment: str) -> str:
    return ago(max(0.0, time.time() - datetime.fromisoformat(moment).timestamp()))
