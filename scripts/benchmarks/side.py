"""Answers a second beside a constant reply and beside other servers, in interleaved rounds.

`--peer NAME=URL` names any server of the same wire, to be started beforehand with the same tree; it
is asked with queryAgents, too. A ratio is taken within a round, in which all contestants run one
after the other; told are its median over the rounds and, as an interval, the lowest and the highest
(of six rounds these enclose the true median with 97 %). `cpu us` is the server's processor time of
a request, which other load on the machine changes least. `--out FOLDER` gets side.json and, with
matplotlib, side.svg. wrk sends the requests where it is installed, else a sender of our own, which
is slower: its rates of what answers fastest are too low.
"""

import asyncio
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .floor import Floor
from .harness import Run
from .load import closed_loop
from .servers import Client, Server, cpu_s, rpc
from .texts import questions, synthetic

FLOOR = "starlette, constant reply"
MISSES = 60_000  # distinct questions: what one has answered it has in its cache
SCRIPT = Path(__file__).with_name("wrk.lua")
HAS_WRK = shutil.which("wrk") is not None


@dataclass
class Contestant:
    """Asked `bodies`, one line each, at `port`; `pid` 0 where its processor time is not known."""

    name: str
    port: int
    bodies: Path
    pid: int = 0
    asked: int = 0
    rounds: list[dict[str, float]] = field(default_factory=list)

    def run(self, wires: int, seconds: float) -> None:
        before = cpu_s(self.pid)
        seen = (by_wrk if HAS_WRK else by_ourselves)(self, wires, seconds)
        self.asked += int(seen["count"])
        rate = (seen["count"] - seen["wrong"]) / seen["seconds"]
        used = (cpu_s(self.pid) - before) * 1e6 / max(1, seen["count"])
        self.rounds.append({"rate": rate, "cpu_us": used, **seen})

    def median(self, of: str) -> float:
        return statistics.median(each[of] for each in self.rounds)

    def ratio(self, other: "Contestant") -> tuple[float, float, float]:
        """(median, lowest, highest) of this one's rate over the other's, round by round."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        ratios = [mine["rate"] / theirs["rate"] for mine, theirs in pairs]
        return statistics.median(ratios), min(ratios), max(ratios)


def by_wrk(one: Contestant, wires: int, seconds: float) -> dict[str, float]:
    told = subprocess.run(
        ["wrk", "-t1", f"-c{wires}", f"-d{seconds:g}s", "-s", str(SCRIPT)]
        + [f"http://127.0.0.1:{one.port}/", "--", str(one.bodies), str(one.asked)],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(told.stdout.strip().splitlines()[-1]))


def by_ourselves(one: Contestant, wires: int, seconds: float) -> dict[str, float]:
    bodies = islice(cycle(one.bodies.read_bytes().splitlines()), one.asked, None)
    started = time.perf_counter()
    seen = asyncio.run(closed_loop(one.port, bodies, wires, seconds))
    spent = sorted(seen.spent) or [0.0]
    figures = {"count": seen.statuses.total(), "wrong": seen.wrong.total()}
    figures["seconds"] = time.perf_counter() - started
    return {**figures, "p50": spent[len(spent) // 2], "p99": spent[len(spent) * 99 // 100]}


def bodies(path: Path, texts: list[str]) -> Path:
    asked = [rpc("queryAgents", {"context": text}, n) for n, text in enumerate(texts)]
    path.write_bytes(b"\n".join(asked) + b"\n")
    return path


@contextlib.contextmanager
def contestants(run: Run, folder: Path) -> Iterator[list[Contestant]]:
    texts = questions(run.root, MISSES)
    hot, cold = bodies(folder / "hit", texts[-1:]), bodies(folder / "miss", texts[:-1])
    with contextlib.ExitStack() as stack:
        found = []
        for name, kind in ((FLOOR, "starlette"), ("ASGI, constant reply", "raw")):
            floor = stack.enter_context(Floor(kind))
            found.append(Contestant(name, floor.port, hot, floor.process.pid))
        for label, root in trees(run, folder):
            server = stack.enter_context(Server(root))
            entries = sum(server.get("/health")[1]["indexes"][kind] for kind in KINDS)
            run.row(f"entries{label}", entries)
            for what, path in (("hit", hot), ("miss", cold)):
                found.append(Contestant(what + label, server.port, path, server.process.pid))
        for peer in run.given.peer:
            name, _, url = peer.rpartition("=")
            port = urlsplit(url).port or 80
            for what, path in (("hit", hot), ("miss", cold)):
                found.append(Contestant(f"{name or url}: {what}", port, path))
        for one in found:
            check(one)
        yield found


KINDS = ("agents", "skills", "workflows")


def trees(run: Run, folder: Path) -> Iterator[tuple[str, Path | str]]:
    yield "", run.root
    for size in filter(None, run.given.sizes.split(",")):
        synthetic(run.root, int(size), folder / size)
        yield f", {int(size):,} entries", folder / size


def check(one: Contestant) -> None:
    """Whoever answers with an error is fast for nothing. Warms the hit up."""
    body, _, rest = one.bodies.read_bytes().partition(b"\n")
    client = Client(one.port)
    for _ in range(1 if rest else 200):
        answer = client.send("POST", "/", body)
        if answer.status != 200 or "result" not in json.loads(answer.body):
            raise SystemExit(f"{one.name} answers {answer.status}: {answer.body[:200]!r}")
    client.close()


def tell(run: Run, found: list[Contestant]) -> list[dict[str, Any]]:
    rows, floor = [], found[0]
    for one in found:
        middle, low, high = one.ratio(floor)
        wrong = int(sum(each["wrong"] for each in one.rounds))
        figures = {"a_second": round(one.median("rate")), "of_the_floor": middle}
        figures |= {"from": low, "to": high, "p50_ms": one.median("p50")}
        figures |= {"p99_ms": one.median("p99"), "cpu_us": round(one.median("cpu_us"))}
        run.row(one.name, **figures, wrong=wrong)
        rows.append({"name": one.name, **figures, "wrong": wrong, "rounds": one.rounds})
    for peer in run.given.peer:
        name = peer.rpartition("=")[0] or peer
        for what in ("hit", "miss"):
            ours, theirs = (named(found, each) for each in (what, f"{name}: {what}"))
            middle, low, high = ours.ratio(theirs)
            run.row(f"our {what} over {name}'s", ratio=middle, **{"from": low, "to": high})
    return rows


def named(found: list[Contestant], name: str) -> Contestant:
    return next(one for one in found if one.name == name)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars of the rates, with the floor as a line. Nothing without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(7, 0.45 * len(rows) + 0.9))
    axes = figure.add_subplot()
    axes.barh([row["name"] for row in rows], [row["a_second"] for row in rows], color="#4477aa")
    axes.axvline(rows[0]["a_second"], color="#bb5566", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("answers a second, 16 connections")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def main(arguments: list[str]) -> None:
    options = {"peer": [], "sizes": "", "rounds": 6, "seconds": 3.0, "wires": 16, "out": None}
    with Run(__doc__, arguments, **options) as run, tempfile.TemporaryDirectory() as folder:
        with contestants(run, Path(folder)) as found:
            for number in range(run.given.rounds):
                for one in found[number % len(found) :] + found[: number % len(found)]:
                    one.run(run.given.wires, run.given.seconds)
            run.row("sender", "wrk" if HAS_WRK else "our own")
            run.row("load of the machine", os.getloadavg()[0])
            rows = tell(run, found)
        if out := run.given.out:
            out.mkdir(parents=True, exist_ok=True)
            (out / "side.json").write_text(json.dumps([*run.rows, *rows], indent=1, default=str))
            plot(rows, out / "side.svg")
