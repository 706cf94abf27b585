"""How is a build run from outside? A child is started, listened to, and buried if it dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from orchestr8_index.catalog.build_lines import BuildLine
from orchestr8_index.catalog.index import Index, open_index
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.catalog.worker import Builder
from orchestr8_index.errors import BuildFailed

from ..processes import alive
from ..trees import Files, MakeTree, agent
from .children import GOOD, HANGING, KILLED, RAISING, command, harmed, settings_of

TREE: Files = {
    "agents/a.md": agent("alpha"),
    "agents/killer.md": agent("killer"),
    "agents/z.md": agent("zeta"),
}
MakeBuilder = Callable[[Sequence[str]], Builder]
HANG = (60.0, 0.7)  # seconds: patience with a busy machine, but not where the child does hang


@pytest.fixture
def builder(make_tree: MakeTree, tmp_path: Path) -> MakeBuilder:
    """A builder of a tree with a file called killer.md, for a child of this command."""
    settings = settings_of(make_tree(TREE), tmp_path / "data")
    return lambda command: Builder(settings, command=command, hang_seconds=HANG[command is HANGING])


def generations(builder: Builder) -> Generations:
    return Generations(builder.settings.data_dir, builder.settings.roots_digest)


def opened(builder: Builder, line: BuildLine) -> Index:
    return open_index(generations(builder), line.generation)


def test_a_child_builds_a_generation(builder: MakeBuilder) -> None:
    made = builder(GOOD)
    assert opened(made, made.run()).manifest.counts["agent"] == 3


def test_the_shipped_command_builds_too(make_tree: MakeTree, tmp_path: Path) -> None:
    made = Builder(settings_of(make_tree(TREE), tmp_path / "data"))
    lines: list[BuildLine] = []
    made.on_line = lines.append
    assert made.run().generation == 1
    assert (lines[0].total, lines[-1].generation) == (3, 1)


TASKS = "/proc/self/task"
THREADS = "print(json.dumps({'error': f'{len(os.listdir(TASKS))} in all'})); exit(1)"


@pytest.mark.skipif(not os.path.isdir(TASKS), reason="needs /proc")
def test_a_child_has_one_thread(builder: MakeBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of numpy's algebra waited for each other ten times as long as they worked."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with pytest.raises(BuildFailed, match=" 1 in all"):
        builder(command(f"import json, numpy, os; TASKS = {TASKS!r}; {THREADS}")).run()


@pytest.mark.parametrize(
    ("child", "reason", "tries"),
    [
        (KILLED, "hostile: the build was ended by signal 9 while reading it, twice", 2),
        (RAISING, "hostile: the build ended with status 1 while reading it, twice", 2),
        (HANGING, "hostile: the build hung on it for 0.7 s", 1),
    ],
    ids=["killed", "raising", "hanging"],
)
def test_a_file_that_ends_the_build_is_left_out(
    builder: MakeBuilder, child: Sequence[str], reason: str, tries: int
) -> None:
    made = builder(child)
    failures: list[BuildFailed] = []
    made.on_failure = failures.append
    index = opened(made, made.run())
    files = {report.path: report for report in generations(made).files(index.generation).files}
    assert (files["agents/killer.md"].outcome, files["agents/killer.md"].reason) == (
        "skipped",
        reason,
    )
    assert index.manifest.counts["agent"] == 2
    assert [failure.reading for failure in failures] == [
        (made.settings.roots[0], "agents/killer.md")
    ] * tries


def test_a_poisoned_file_is_remembered_in_the_generation(builder: MakeBuilder) -> None:
    made = builder(KILLED)
    index = opened(made, made.run())
    assert [poison.path for poison in index.manifest.poison] == ["agents/killer.md"]
    again = builder(KILLED)
    again.poison = index.manifest.poison
    again.on_failure = lambda failure: pytest.fail(str(failure))
    assert again.run().generation == 2


def test_a_builds_folder_is_removed_with_it(builder: MakeBuilder) -> None:
    made = builder(KILLED)
    made.run()
    assert [path.name for path in generations(made).folder.iterdir()] == ["000001"]


def test_the_last_words_are_noted(builder: MakeBuilder) -> None:
    made = builder(RAISING)
    failures: list[BuildFailed] = []
    made.on_failure = failures.append
    made.run()
    assert "RuntimeError: boom" in failures[0].__notes__[0]


def test_noise_on_the_line_is_passed(builder: MakeBuilder) -> None:
    # a site's chatter, or a line cut by a signal, ended the server's watch in a DecodeError
    made = builder(command("print('hello', flush=True); sys.exit(build.main())"))
    assert made.run().generation == 1


def test_a_line_cut_by_a_signal_is_passed(builder: MakeBuilder) -> None:
    cut = "sys.stdout.write('{\"do'); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    made = builder(harmed(cut))
    assert opened(made, made.run()).manifest.counts["agent"] == 2


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("sys.exit(3)", "The build ended with status 3."),
        ("import os; os.abort()", "The build was ended by signal 6."),
        ("sys.stdin.close(); sys.exit(3)", "The build ended with status 3."),
    ],
)
def test_a_build_that_dies_for_another_reason_fails(
    builder: MakeBuilder, code: str, sentence: str
) -> None:
    with pytest.raises(BuildFailed) as failed:
        builder(command(code)).run()
    assert failed.value.sentence == sentence
    assert failed.value.reading is None


def test_a_data_directory_that_is_a_file_fails_with_a_cure(builder: MakeBuilder) -> None:
    made = builder(GOOD)
    made.settings.data_dir.write_text("a file")
    with pytest.raises(BuildFailed, match="could not be built: .*--data-dir"):
        made.run()


def test_a_full_disk_has_its_own_cure(builder: MakeBuilder) -> None:
    code = "build._say(build.BuildLine(error='No space left on device (x)')); sys.exit(1)"
    with pytest.raises(BuildFailed, match="Free space on the disk"):
        builder(command(code)).run()


def test_a_child_that_cannot_start_fails(builder: MakeBuilder) -> None:
    with pytest.raises(BuildFailed, match="cannot be started: No such file"):
        builder(("/nonexistent/python",)).run()


def test_too_many_hostile_files_end_the_attempts(
    make_tree: MakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestr8_index.catalog.worker.MAX_ATTEMPTS", 3)
    root = make_tree({f"agents/{n}killer.md": agent(f"k{n}") for n in range(4)})
    made = Builder(settings_of(root, tmp_path / "data"), command=KILLED)
    with pytest.raises(BuildFailed, match="too many files"):
        made.run()


def test_a_stopped_builder_does_not_try_again(builder: MakeBuilder) -> None:
    made = builder(HANGING)
    made.hang_seconds = 60
    made.on_line = lambda line: made.stop() if line.total else None
    with pytest.raises(BuildFailed, match="signal 9"):
        made.run()


def test_stopping_what_has_ended_is_fine(builder: MakeBuilder) -> None:
    made = builder(GOOD)
    made.stop()
    made.run()
    made.stop()


def pid(made: Builder) -> int:
    """Of the child that waits."""
    assert made._spare and made._spare._process
    return made._spare._process.pid


def test_a_child_that_waits_is_the_next_one(builder: MakeBuilder) -> None:
    made = builder(GOOD)
    made.prepare()
    waiting = made._spare
    made.prepare()
    assert made._spare is waiting
    child = made.start("another")
    assert child is waiting
    assert opened(made, child.wait()).manifest.counts["agent"] == 3


def test_a_child_that_waited_in_vain_is_dismissed(builder: MakeBuilder) -> None:
    made = builder(GOOD)
    made.prepare()
    waiting = pid(made)
    made.dismiss()
    assert not alive(waiting)
    made.dismiss()


def test_a_child_that_died_waiting_is_replaced(builder: MakeBuilder) -> None:
    made = builder(GOOD)
    made.prepare()
    waiting = made._spare
    assert waiting and waiting._process
    os.kill(pid(made), signal.SIGKILL)
    waiting._process.wait()
    assert made.run("another").generation == 1


def test_a_stopped_builder_keeps_no_child(builder: MakeBuilder) -> None:
    made = builder(GOOD)
    made.prepare()
    waiting = pid(made)
    made.stop()
    assert not alive(waiting)
    made.prepare()
    assert made._spare is None


def test_a_child_that_is_never_asked_ends_with_its_server(builder: MakeBuilder) -> None:
    made = builder(GOOD)
    made.prepare()
    assert made._spare and made._spare._process and made._spare._process.stdin
    made._spare._process.stdin.close()
    assert made._spare._process.wait(20) == 0
    made.dismiss()


def test_a_delta_that_dies_is_followed_by_a_full_build(builder: MakeBuilder) -> None:
    # what the last generation knew may be what killed it
    dies = "from orchestr8_index.catalog import reuse; "
    made = builder(command(dies + "reuse.read_previous = None; sys.exit(build.main())"))
    assert made.run("").generation == 1
    failures: list[BuildFailed] = []
    made.on_failure = failures.append
    assert made.run("another").generation == 2
    assert len(failures) == 1
