"""What every benchmark has: options, figures as text or JSON, percentiles, a process of its own."""

import argparse
import contextlib
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Self

REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURE = REPOSITORY / "plugins_fixture"
DIGITS = {"": 3, "MB": 1, "s": 2, "ms": 3, "%": 1, "a second": 0, "tokens": 0}


class Times(list[float]):
    """The milliseconds of each block for which it was entered."""

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.append((time.perf_counter() - self._began) * 1000)


class Run:
    """One run of a benchmark: its options, and its figures printed as they come.

    `defaults` are the options besides --root and --json, with their types: an empty list is an
    option that may be repeated, None a path, False a flag. With --json the figures go to standard
    output as one document at the end, and the lines to standard error.
    """

    def __init__(self, doc: str | None, arguments: Sequence[str], **defaults: Any) -> None:
        raw = argparse.RawDescriptionHelpFormatter
        parser = argparse.ArgumentParser(description=doc, formatter_class=raw)
        for name, default in {"root": str(FIXTURE), **defaults}.items():
            kind = Path if default is None else str if default == [] else type(default)
            about = f"[{default}]" if default else None
            if default is False:
                parser.add_argument(f"--{name}", action="store_true")
                continue
            action = "append" if default == [] else "store"
            parser.add_argument(f"--{name}", type=kind, default=default, action=action, help=about)
        parser.add_argument("--json", action="store_true", help="the figures as one JSON document")
        self.given = parser.parse_args(arguments)
        self.root = self.given.root
        self.rows = [{"name": "benchmark", "value": parser.prog, **vars(self.given)}]

    def __enter__(self) -> Self:
        self.row("machine", describe())
        self.row("root", str(self.root))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.given.json and kind is None:
            print(json.dumps(self.rows, default=str))

    def row(self, name: str, value: Any = None, unit: str = "", **figures: Any) -> None:
        """One line: a value, or named figures. `unit` is the value's and that of all fractions."""
        figures = figures if value is None else {"value": value, **figures}
        self.rows.append({"name": name, "unit": unit, **figures})
        named = [(key.replace("_", " "), each) for key, each in figures.items()]
        parts = [_shown("" if key == "value" else key, each, unit) for key, each in named]
        out = sys.stderr if self.given.json else sys.stdout
        print(f"{name:34} {'  '.join(parts)}", file=out, flush=True)

    def times(self, name: str, spent: Sequence[float], unit: str = "ms") -> None:
        """The size of a sample, its percentiles and its largest value."""
        p50, p95, p99 = (percentile(spent, share) for share in (0.5, 0.95, 0.99))
        self.row(name, unit=unit, count=len(spent), p50=p50, p95=p95, p99=p99, most=max(spent))

    def in_turn(
        self, ways: dict[str, Callable[[int], object]], calls: int, block: int = 1
    ) -> dict[str, Times]:
        """Milliseconds of each way, called with a number, `block` calls one after the other, so
        that the machine's load hits all alike."""
        spent = {name: Times() for name in ways}
        for first in range(1, calls + 1, block):
            for name, way in ways.items():
                for number in range(first, first + block):
                    with spent[name]:
                        way(number)
        for name, values in spent.items():
            self.times(name, values)
        return spent


def _shown(key: str, value: Any, unit: str) -> str:
    fraction = isinstance(value, float)
    text = f"{value:,.{DIGITS.get(unit, 3)}f}" if fraction else str(value)
    text = f"{value:,}" if type(value) is int else text
    return " ".join(filter(None, (key, text, unit if fraction or not key else "")))


def progress(line: str) -> None:
    """A line that the next one overwrites, where a person looks on."""
    if sys.stderr.isatty():
        print(f"\r  {line} ", end="", file=sys.stderr)


def describe() -> str:
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    system, version = platform.system(), platform.python_version()
    return f"{model}, {os.cpu_count()} cores, {system}, Python {version}"


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def memory_mb(process: int | str = "self", field: str = "VmRSS") -> float:
    """Resident memory; with VmHWM the most that it ever was. 0 where the system does not say."""
    with contextlib.suppress(OSError):
        match = re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
        return int(match[1]) / 1024 if match else 0.0
    return 0.0


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """What `work(*given)` returns in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *given).result()
