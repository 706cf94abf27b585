"""How do cost and memory grow with the catalogue? Synthetic catalogues, asked in process.

scripts/bench scale [--root DIR] [--sizes 1000,10000,100000] [--questions 1000] [--json]

An entry's words are runs of words of the tree at --root, so that vocabulary, frequencies and pairs
are those of real text; bodies have 300 characters. Each catalogue is built in a process of its own
and asked in another: what that one weighs is what a server would.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from machine import describe, percentile, questions

FIXTURE = Path(__file__).resolve().parents[2] / "plugins_fixture"
BODY, DESCRIPTION = 300, 120  # characters
SIZES = "1000,10000,100000"
LONGEST_RUN = 12  # words
GOALS_MS = {10_000: 1.0, 100_000: 5.0, 1_000_000: 50.0}
GOAL_MB = {100_000: 300.0}
WARM = 200


class Writer:
    """Draws texts from the words of a tree, runs of them as they stand there."""

    def __init__(self, root: str, seed: int) -> None:
        self._draw, self._words = random.Random(seed), list[str]()
        for path in sorted(Path(root).rglob("*.md")):
            self._words += re.findall(r"[^\W_][\w+#.-]*", path.read_text("utf-8", "replace"))
        if len(self._words) < 1000:
            raise SystemExit(f"{root} has too few words to draw from.")

    def run(self) -> list[str]:
        start = self._draw.randrange(len(self._words) - LONGEST_RUN)
        return self._words[start : start + self._draw.randint(3, LONGEST_RUN)]

    def text(self, length: int) -> str:
        said: list[str] = []
        size = 0
        while size < length:
            run = self.run()
            said += run
            size += sum(map(len, run)) + len(run)
        return " ".join(said)[:length]

    def name(self, number: int) -> str:
        words = [word.lower() for word in self.run()[:2] if word.isalpha()]
        return "-".join([*words, f"{number:x}"])


# --- the three processes -----------------------------------------------------------------------


def make(root: str, size: int, folder: Path) -> dict[str, Any]:
    """Write a segment of `size` skills straight from memory."""
    import gc

    import msgspec

    from orchestr8_index.catalog.segment import write_segment

    gc.disable()
    started = time.perf_counter()
    info = write_segment(folder, "skill", held(root, size, folder))
    (folder / "info.json").write_bytes(msgspec.json.encode(info))
    bytes_ = (folder / "skill.segment").stat().st_size
    return {"build_s": time.perf_counter() - started, "disk_mb": bytes_ / 1e6, "peak_mb": peak_mb()}


def held(root: str, size: int, folder: Path) -> Any:
    """What a build has in its hands when it has read all files."""
    from orchestr8_index.catalog.cards import make_card
    from orchestr8_index.catalog.entry_vectors import Embedder
    from orchestr8_index.catalog.kind_data import Holding
    from orchestr8_index.catalog.parse import Parsed
    from orchestr8_index.catalog.spill import Filling
    from orchestr8_index.catalog.word_vectors import Words
    from orchestr8_index.records import FileReport
    from orchestr8_index.text import Terms

    words = Words()
    holding = Holding(Filling(folder, words.dimensions), Embedder(words), Terms(1 << 16))
    for entry, body in rows(root, size):
        report = FileReport("/r", entry.path, "indexed")
        holding.put(make_card(b"", (), b"", Parsed(report, entry, body)), entry, body)
    holding.flush()
    return holding


def rows(root: str, size: int) -> Iterator[Any]:
    """In the order of their qualified names, as a catalogue has them."""
    from orchestr8_index.records import Entry

    writer = Writer(root, seed=size)
    names = sorted((f"plugin-{n % 997}", writer.name(n)) for n in range(size))
    for plugin, name in sorted(names, key=":".join):
        entry = Entry(
            "skill", plugin, name, name, writer.text(DESCRIPTION), 0, f"{plugin}/{name}.md", "0"
        )
        yield entry, writer.text(BODY)


def ask(root: str, count: int, folder: Path) -> dict[str, Any]:
    """Questions as they come, none twice; without the answers' cache."""
    import msgspec

    from orchestr8_index.catalog.index import Index, Segment
    from orchestr8_index.catalog.sections import Sections
    from orchestr8_index.catalog.snapshot import FORMAT, Manifest, SegmentInfo
    from orchestr8_index.catalog.word_vectors import Words
    from orchestr8_index.queries import SkillQuery
    from orchestr8_index.search.answer import answer_skills
    from orchestr8_index.text import Terms

    drawn, terms = mixed(questions(root, count + WARM), root), Terms()
    before = memory_mb()
    info = msgspec.json.decode((folder / "info.json").read_bytes(), type=SegmentInfo)
    sections = Sections(folder / "skill.segment", info.sections)
    segment = Segment("skill", sections, info, Words())
    index = Index(Manifest(FORMAT, "", (), "", 0, 0, {}, {"skill": info}, ""), [segment])
    spent = []
    for number, text in enumerate(drawn):
        if number % 20 == 0:  # some ask for an entry by its name
            text = segment.entry(number * 7919 % segment.size).name
        started = time.perf_counter()
        answer_skills(index, SkillQuery(context=text), terms)
        spent.append((time.perf_counter() - started) * 1000)
    p50, p95 = (percentile(spent[WARM:], share) for share in (0.5, 0.95))
    return {"p50_ms": p50, "p95_ms": p95, "rss_mb": memory_mb(), "index_mb": memory_mb() - before}


def mixed(texts: list[str], root: str) -> list[str]:
    """One in five long, as with a context; one in ten with a slip of the pen."""
    writer = Writer(root, seed=3)
    for number in range(len(texts)):
        if number % 5 == 1:
            texts[number] += " " + writer.text(250)
        if number % 10 == 2:
            texts[number] = re.sub(r"(\w{5})(\w)(\w)", r"\1\3\2", texts[number], count=1)
    return texts


def child(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr or f"The child ended with {done.returncode}.")
    return dict(json.loads(done.stdout))


def memory_mb(name: str = "VmRSS") -> float:
    match = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(match[1]) / 1024 if match else 0.0


def peak_mb() -> float:
    return memory_mb("VmHWM")


# --- the report --------------------------------------------------------------------------------


def measure(root: str, size: int, count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        made = child("--make", str(size), "--root", root, "--folder", folder)
        asked = child("--ask", str(count), "--root", root, "--folder", folder)
    return {"entries": size, **asked, **made}


def exponent(results: list[dict[str, Any]], of: str) -> float:
    """The slope of log(cost) over log(entries), by least squares."""
    points = [(math.log(result["entries"]), math.log(result[of])) for result in results]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def line(result: dict[str, Any]) -> str:
    size = result["entries"]
    goals = [f"p50 ≤ {GOALS_MS[size]:g} ms"] if size in GOALS_MS else []
    goals += [f"≤ {GOAL_MB[size]:g} MB"] if size in GOAL_MB else []
    return (
        f"{size:>9,}  {result['p50_ms']:8.2f} {result['p95_ms']:8.2f} {result['rss_mb']:9.1f}"
        f" {result['disk_mb']:9.1f} {result['build_s']:9.1f} {result['peak_mb']:9.0f}"
        f"   {', '.join(goals)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", default=str(FIXTURE), help="the tree whose words are drawn")
    parser.add_argument("--sizes", default=SIZES, help=f"entries, by comma [{SIZES}]")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--json", action="store_true", dest="as_json")
    for hidden in ("--make", "--ask"):
        parser.add_argument(hidden, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make is not None:
        return print(json.dumps(make(given.root, given.make, given.folder)))
    if given.ask is not None:
        return print(json.dumps(ask(given.root, given.ask, given.folder)))
    report(given)
    return None


def report(given: argparse.Namespace) -> None:
    sizes = [int(size) for size in given.sizes.split(",")]
    if not given.as_json:
        print(f"machine  {describe()}\nwords of {given.root}; {given.questions:,} questions each")
        print(" entries    p50 ms   p95 ms    RSS MB   disk MB   build s   peak MB   goal")
    results = []
    for size in sizes:
        results.append(measure(given.root, size, given.questions))
        if not given.as_json:
            print(line(results[-1]), flush=True)
    growth = {of: exponent(results, of) for of in ("p50_ms", "p95_ms", "index_mb", "disk_mb")}
    if given.as_json:
        print(json.dumps({"results": results, "exponents": growth}))
    else:
        said = ", ".join(f"{of} {value:.2f}" for of, value in growth.items())
        print(f"cost grows with entries to the power of: {said}")


if __name__ == "__main__":
    main()
