"""Questions and catalogues made of the words of a tree's own files; a seed gives the same again."""

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST_RUN = 12  # words
FOLDERS = ("agents", "skills", "commands")


def questions(root: Path | str, count: int, seed: int = 7) -> list[str]:
    """Distinct questions of 4 to 10 words that stand together in the tree's files."""
    draw, words, found = random.Random(seed), list[str](), dict[str, None]()
    for path in sorted(Path(root).rglob("*.md"))[:2000]:
        words += re.findall(r"[A-Za-z][\w-]+", path.read_text("utf-8", "replace")[:4000])
    for _ in range(100 * count if len(words) > 10 else 0):
        start = draw.randrange(len(words) - 10)
        found[" ".join(words[start : start + draw.randint(4, 10)])[:500]] = None
        if len(found) == count:
            return list(found)
    raise SystemExit(f"{root} has too few words for {count} questions: name a larger --root.")


class Writer:
    """Draws texts as runs of words of a tree: vocabulary, frequencies and pairs of real text."""

    def __init__(self, root: Path | str, seed: int) -> None:
        self._draw, self._words = random.Random(seed), list[str]()
        for path in sorted(Path(root).rglob("*.md")):
            self._words += re.findall(r"[^\W_][\w+#.-]*", path.read_text("utf-8", "replace"))
        if len(self._words) < 1000:
            raise SystemExit(f"{root} has too few words to draw from.")

    def run(self) -> list[str]:
        start = self._draw.randrange(len(self._words) - LONGEST_RUN)
        return self._words[start : start + self._draw.randint(3, LONGEST_RUN)]

    def text(self, length: int) -> str:
        """At most `length` characters."""
        said = ""
        while len(said) < length:
            said += " ".join(self.run()) + " "
        return said[:-1][:length]

    def name(self, number: int) -> str:
        words = [word.lower() for word in self.run()[:2] if word.isalpha()]
        return "-".join([*words, f"{number:x}"])


def synthetic(root: Path | str, entries: int, into: Path) -> None:
    """A tree of entries with descriptions of 90 and bodies of 300 characters, in 200 plugins."""
    writer = Writer(root, seed=7)
    for number in range(entries):
        path = into / f"plugins/p{number % 200:03d}/{FOLDERS[number % 3]}/{writer.name(number)}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        head = f'---\nname: {path.stem}\ndescription: "{writer.text(90)}"\n---\n\n'
        path.write_text(f"{head}{writer.text(300)}\n")


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file; of PATH.gz where there is no PATH."""
    path = path if path.exists() else path.with_name(path.name + ".gz")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())


def golden(root: Path | str) -> list[dict[str, Any]]:
    """The tree's questions with the right entries; none where it has no golden.jsonl."""
    path = Path(root, "golden.jsonl")
    return list(lines(path)) if path.exists() else []
