"""top: what is the server doing right now? A page in the terminal, drawn again every second."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import click
import msgspec

from ..config import Settings
from ..daemon.http import get_health, request
from . import show
from .asking import located
from .options import common
from .paint import echo, echo_json, painted, style

QUESTIONS = 10
HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"
OPEN, CLOSE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
Page = dict[str, Any]


@click.command()
@click.option("--once", is_flag=True, help="One page, and stop; also where output is piped.")
@click.option("--interval", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One page as JSON.")
@common
def top(settings: Settings, once: bool, interval: float, as_json: bool) -> None:
    """Show rates, latency, hit rate, memory, errors and the last questions. Ctrl-C ends it.

    The questions come from the query log in the data directory, which only its owner can read; the
    server does not tell them to anybody.

    \b
    orchestr8-index top
    orchestr8-index top --json | jq .queries_per_second
    """
    looking = Looking(settings)
    if as_json:
        echo_json(msgspec.json.encode(looking.look()).decode())
    elif once or not sys.stdout.isatty():
        echo(drawn(looking.look(), 100))
    else:
        _live(looking, interval)


def _live(looking: Looking, interval: float) -> None:
    click.echo(OPEN, nl=False)
    try:
        while True:
            size = shutil.get_terminal_size()
            lines = painted(drawn(looking.look(), size.columns)).splitlines()[: size.lines - 1]
            click.echo(HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in lines), nl=False)
            click.echo(CLEAR_REST, nl=False)
            time.sleep(interval)
    except KeyboardInterrupt:
        pass
    finally:
        click.echo(CLOSE, nl=False)


@dataclass(slots=True)
class Looking:
    """Two looks make a rate; a first one tells the mean since the server's start."""

    settings: Settings
    _total: float = 0.0
    _errors: float = 0.0
    _at: float = field(default=-1.0)

    def look(self) -> Page:
        """Everything on the page. `status` is `not running` while nobody answers."""
        where = located(self.settings)
        page: Page = {"status": "not running", "port": None, "url": None}
        if where:
            page |= {"port": where.port, "url": where.url}
        try:
            health = get_health(where) if where else None
            told = request(where, "GET", "/metrics", seconds=5)[1] if where and health else None
        except OSError:
            health = told = None
        if health and isinstance(told, dict):
            page = {**page, **_figures(health, told), **self._rates(told)}
        return {**page, "last_questions": last_questions(self.settings)}

    def _rates(self, told: Mapping[str, Any]) -> Page:
        """A server that was started again counts from nothing again."""
        uptime = told["uptime_ms"] / 1000
        total, errors = told["queries"]["total"], sum(told["errors"]["by_code"].values())
        since = self._at if 0 <= self._at <= uptime and total >= self._total else -1.0
        span = max(0.001, uptime - max(0.0, since))
        asked, failed = (self._total, self._errors) if since >= 0 else (0.0, 0.0)
        self._total, self._errors, self._at = total, errors, uptime
        return {
            "queries_per_second": round((total - asked) / span, 2),
            "errors_per_second": round(max(0.0, errors - failed) / span, 2),
        }


def _figures(health: Mapping[str, Any], told: Mapping[str, Any]) -> Page:
    names = ("status", "reasons", "version", "generation", "indexes", "memory_mb", "uptime_ms")
    return {
        **{name: health[name] for name in names},
        "checked_age_s": health["checked_age_s"],
        "hit_rate": told["cache"]["hit_rate"],
        "queries": told["queries"],
        "performance": told["performance"],
        "latency_ms": told.get("latency_ms", {}),
        "errors": told["errors"]["by_code"],
        "database_mb": told["database"]["size_mb"],
    }


def last_questions(settings: Settings) -> list[Page]:
    """The newest first; [] while there is no query log to be read."""
    from ..store.database import NAME, connect_to_read
    from ..store.notes import last_queries

    path = settings.data_dir / NAME
    if not path.exists():
        return []
    try:
        with contextlib.closing(connect_to_read(path)) as reading:
            return last_queries(reading, QUESTIONS)
    except sqlite3.Error:
        return []


def drawn(page: Page, columns: int) -> str:
    lines = [*_head(page)]
    if page["status"] != "not running":
        lines += [*_middle(page), "", *_methods(page)]
    lines += ["", style("last questions", bold=True), *_questions(page, columns)]
    return "\n".join(lines)


def _head(page: Page) -> list[str]:
    if page["status"] == "not running":
        return [style("Not running; waiting for a server of this data directory.", fg="red")]
    colour = {"healthy": "green", "degraded": "yellow"}.get(page["status"], "cyan")
    status = style(page["status"], fg=colour, bold=True)
    up = show.span(page["uptime_ms"] / 1000)
    head = f"Orchestr8 Index {page['version']}  {status}  {page['url']}  up {up}"
    return [head, *(style(f"  ! {reason}", fg="yellow") for reason in page["reasons"])]


def _middle(page: Page) -> list[str]:
    took, errors = page["performance"], page["errors"]
    codes = ", ".join(f"{code}: {count:,}" for code, count in errors.items()) or "none"
    checked = page["checked_age_s"]
    looked = "never" if checked is None else f"{show.span(checked)} ago"
    return [
        f"  questions  {page['queries_per_second']:.1f} /s, {page['queries']['total']:,} in all; "
        f"{page['hit_rate']:.0%} from the cache",
        f"  latency    p50 {took['p50_query_time_ms']:.2f}  p95 {took['p95_query_time_ms']:.2f}  "
        f"p99 {took['p99_query_time_ms']:.2f} ms",
        f"  errors     {page['errors_per_second']:.1f} /s; {codes}",
        f"  memory     {page['memory_mb']:.1f} MB; database {page['database_mb']:.1f} MB",
        f"  index      generation {page['generation']}; {show.counts(page['indexes'])}; "
        f"checked {looked}",
    ]


def _methods(page: Page) -> list[str]:
    head = style(f"{'method':26}{'calls':>10}{'p50 ms':>10}{'p99 ms':>10}", bold=True)
    rows = sorted(page["latency_ms"].items(), key=lambda row: -row[1]["count"])
    return [
        head,
        *(f"{n:26}{t['count']:>10,}{t['p50']:>10.2f}{t['p99']:>10.2f}" for n, t in rows[:8]),
    ]


def _questions(page: Page, columns: int) -> list[str]:
    lines = []
    for asked in page["last_questions"]:
        kind = asked["method"].removeprefix("query").lower()
        first = asked["found"][0] if asked["found"] else "nothing"
        said = f"{asked['at'][11:19]}  {asked['ms']:7.2f} ms {'*' if asked['cached'] else ' '} "
        said += f"{kind:9} {asked['text']} → {first}"
        plain = "".join(letter if letter.isprintable() else " " for letter in said)
        lines.append(plain if len(plain) <= columns else plain[: columns - 1] + "…")
    return lines or ["  none yet"]
