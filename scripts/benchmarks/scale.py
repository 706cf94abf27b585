"""Cost and memory of a question as the catalogue grows: synthetic catalogues, asked in process.

An entry's words are runs of words of the tree at --root, so that vocabulary, frequencies and pairs
are those of real text; bodies have 300 characters. Each catalogue is built in a process of its own
and asked in another: what that one weighs is what a server would. So both import the package where
they use it.
"""

import math
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import linear_regression
from typing import Any

from .harness import Run, Times, apart, memory_mb, percentile
from .texts import Writer, questions

BODY, DESCRIPTION = 300, 120  # characters
WARM = 200
GOALS = {10_000: "p50 1 ms", 100_000: "p50 5 ms, 300 MB", 1_000_000: "p50 50 ms"}
GROWING = ("p50_ms", "p95_ms", "index_mb", "disk_mb")


def make(root: str, size: int, folder: Path) -> dict[str, float]:
    """Write a segment of `size` skills straight from memory."""
    return write(entries(root, size), folder)


def write(made: Iterator[Any], folder: Path) -> dict[str, float]:
    """A segment of skills, given as (entry, body) in the order of their qualified names."""
    import gc

    import msgspec

    from orchestr8_index.catalog.segment import write_segment

    gc.disable()
    started = time.perf_counter()
    info = write_segment(folder, "skill", held(made, folder))
    (folder / "info.json").write_bytes(msgspec.json.encode(info))
    size_mb = (folder / "skill.segment").stat().st_size / 1e6
    took = time.perf_counter() - started
    return {"build_s": took, "disk_mb": size_mb, "peak_mb": memory_mb(field="VmHWM")}


def held(made: Iterator[Any], folder: Path) -> Any:
    """What a build has in its hands when it has read all files."""
    from orchestr8_index.catalog.cards import make_card
    from orchestr8_index.catalog.kind_data import Embedder, KindData
    from orchestr8_index.catalog.parse import Parsed
    from orchestr8_index.catalog.spill import Filling
    from orchestr8_index.catalog.word_vectors import Words
    from orchestr8_index.records import FileReport
    from orchestr8_index.text import Terms

    words = Words()
    kind_data = KindData(Filling(folder, words.dimensions), Embedder(words), Terms(1 << 16))
    for entry, body in made:
        report = FileReport("/r", entry.path, "indexed")
        kind_data.put(make_card(b"", (), b"", Parsed(report, entry, body)), entry, body)
    kind_data.flush()
    return kind_data


def entries(root: str, size: int) -> Iterator[Any]:
    """(entry, body), in the order of their qualified names, as a catalogue has them."""
    from orchestr8_index.records import Entry

    writer = Writer(root, seed=size)
    names = sorted((f"plugin-{n % 997}", writer.name(n)) for n in range(size))
    for plugin, name in sorted(names, key=":".join):
        path, about = f"{plugin}/{name}.md", writer.text(DESCRIPTION)
        yield Entry("skill", plugin, name, name, about, 0, path, "0"), writer.text(BODY)


def opened(folder: Path) -> Any:
    """The index of a segment that was written."""
    import msgspec

    from orchestr8_index.catalog.index import Index, Segment
    from orchestr8_index.catalog.sections import Sections
    from orchestr8_index.catalog.snapshot import FORMAT, Manifest, SegmentInfo
    from orchestr8_index.catalog.word_vectors import Words

    info = msgspec.json.decode((folder / "info.json").read_bytes(), type=SegmentInfo)
    sections = Sections(folder / "skill.segment", info.sections)
    segment = Segment("skill", sections, info, Words())
    return Index(Manifest(FORMAT, "", (), "", 0, 0, {}, {"skill": info}, ""), [segment])


def ask(root: str, count: int, folder: Path) -> dict[str, float]:
    """Questions as they come, none twice; without the answers' cache."""
    from orchestr8_index.queries import SkillQuery
    from orchestr8_index.search.answer import answer_skills
    from orchestr8_index.text import Terms

    drawn, terms, spent = mixed(questions(root, count + WARM), root), Terms(), Times()
    before = memory_mb()
    index = opened(folder)
    segment = index.segments["skill"]
    for number, text in enumerate(drawn):
        if number % 20 == 0:  # some ask for an entry by its name
            text = segment.entry(number * 7919 % segment.size).name
        with spent:
            answer_skills(index, SkillQuery(context=text), terms)
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


def main(arguments: list[str]) -> None:
    options = {"sizes": "1000,10000,100000", "questions": 1000}
    with Run(__doc__, arguments, **options) as run:
        sizes, results = [int(size) for size in run.given.sizes.split(",")], []
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                made = apart(make, run.root, size, Path(folder))
                asked = apart(ask, run.root, run.given.questions, Path(folder))
            results.append({**asked, **made})
            run.row(f"{size:,} entries", **results[-1], goal=GOALS.get(size, "none"))
        if len(sizes) > 1:  # the slope of log(cost) over log(entries), by least squares
            logs = {of: [math.log(result[of]) for result in results] for of in GROWING}
            across = [math.log(size) for size in sizes]
            growth = {of: linear_regression(across, logs[of]).slope for of in GROWING}
            run.row("grows with entries to the power of", **growth)
