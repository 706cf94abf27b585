"""Memory and open files after many rebuilds under questions, beside those after three."""

import shutil
import tempfile
from functools import partial
from pathlib import Path

from .fresh import load
from .harness import Run, progress
from .load import Seen
from .servers import Client, Server, beside
from .texts import questions

FIRST = 3


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def main(arguments: list[str]) -> None:
    options = {"rounds": 100, "load": 100.0}
    with Run(__doc__, arguments, **options) as run, tempfile.TemporaryDirectory() as folder:
        tree = Path(shutil.copytree(run.root, f"{folder}/tree", symlinks=True))
        file, seen = min(tree.rglob("agents/*.md")), Seen()
        text = file.read_text("utf-8")
        with Server(tree) as server:
            asking = partial(load, server.port, questions(run.root, 5000), run.given.load, seen)
            with beside(asking):
                for number in range(1, run.given.rounds + 1):
                    file.write_text(f"{text}\nBuilt {number} times.\n", "utf-8")
                    answer = Client(server.port).send("POST", "/reindex")
                    assert answer.status == 200, answer
                    progress(f"{number} of {run.given.rounds}")
                    if number in (FIRST, run.given.rounds):
                        figures = {"memory_MB": server.memory_mb, "open_files": open_files(server)}
                        run.row(f"after {number} rebuilds", **figures)
            seen.tell(run)
