"""What has `tune` made for the user's own catalogue?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from orchestr8_index.catalog.index import Index, open_newest
from orchestr8_index.catalog.snapshot import Generations
from orchestr8_index.catalog.word_vectors import NAMES, Words, write_words
from orchestr8_index.config import digest_of_roots
from orchestr8_index.search.confidence import confidence
from orchestr8_index.search.confidence_fit import COEFFICIENTS, SHIPPED_FIT, Fit
from orchestr8_index.search.rank import rank
from orchestr8_index.search.tuned import CONFIDENCE, FOLDER, VECTORS, open_fit, open_words
from orchestr8_index.text import Terms

from ..trees import MakeTree, agent, build_tree

SHIPPED = Words()
FILES = {f"agents/{n}.md": agent(n, s) for n, s in [("a", "postgres query"), ("b", "python")]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / FOLDER).mkdir(parents=True)
    return tmp_path / "data" / FOLDER


def write_vectors(path: Path) -> str:
    """Other vectors than the shipped ones: the same words, all signs turned."""
    sections: dict[str, object] = {n: SHIPPED._sections.read(n) for n in NAMES}
    sections["vectors"] = bytes((256 - b) % 256 for b in SHIPPED.everything()[1])
    sections |= {n: memoryview(getattr(SHIPPED, n)) for n in ("share", "naming", "frequency")}
    return write_words(path, SHIPPED.dimensions, sections)


def test_without_anything_tuned_what_ships_is_used(tmp_path: Path) -> None:
    assert open_words(tmp_path).digest == SHIPPED.digest
    assert open_fit(tmp_path, SHIPPED) is SHIPPED_FIT


def test_tuned_vectors_are_used_by_build_and_reader(
    folder: Path, make_tree: MakeTree, tmp_path: Path
) -> None:
    digest = write_vectors(folder / VECTORS)
    index = build_tree(make_tree(FILES), data_dir=tmp_path / "data").index
    assert index.manifest.words == digest != SHIPPED.digest
    assert index.segments["agent"].words.digest == digest


def test_a_snapshot_of_other_vectors_is_not_served(
    folder: Path, make_tree: MakeTree, tmp_path: Path
) -> None:
    root = make_tree(FILES)
    build_tree(root, data_dir=tmp_path / "data")
    write_vectors(folder / VECTORS)
    roots = digest_of_roots((str(root),))
    assert open_newest(Generations(tmp_path / "data", roots)) is None


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"nothing of the kind",
        lambda data: data[:1000],
        lambda data: data[5000:],
        lambda data: data[:9000] + b"X" + data[9001:],
        lambda data: data.replace(b"\xa7version\x01", b"\xa7version\x09"),
        lambda data: b"",
    ],
)
def test_damaged_vectors_are_passed_over_with_a_warning(
    folder: Path, harm: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    write_vectors(folder / VECTORS)
    data = (folder / VECTORS).read_bytes()
    assert harm(data) != data
    (folder / VECTORS).write_bytes(harm(data))
    assert open_words(folder.parent).digest == SHIPPED.digest
    assert "tuned word vectors are passed over" in caplog.text


def test_a_tuned_confidence_is_used(
    folder: Path, make_index: Callable[..., Index], terms: Terms
) -> None:
    fit = Fit(9.0, dict.fromkeys(COEFFICIENTS, 0.0), 0.01, SHIPPED.digest)
    (folder / CONFIDENCE).write_bytes(msgspec.json.encode(fit))
    segment = make_index(FILES).segments["agent"]
    assert segment.fit == fit
    assert confidence(segment, rank(segment, "postgres", terms)) > 0.999


@pytest.mark.parametrize(
    "wrong",
    [
        b"nothing of the kind",
        b"{}",
        msgspec.json.encode(Fit(words="other vectors")),
        msgspec.json.encode(Fit(words=SHIPPED.digest, version=9)),
        msgspec.json.encode(Fit(1.0, {"other": 1.0}, words=SHIPPED.digest)),
        msgspec.json.encode(Fit(abstain_below=2.0, words=SHIPPED.digest)),
    ],
)
def test_a_confidence_for_something_else_is_passed_over(
    folder: Path, wrong: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / CONFIDENCE).write_bytes(wrong)
    assert open_fit(folder.parent, SHIPPED) is SHIPPED_FIT
    assert "passed over" in caplog.text


def test_no_coefficient_makes_more_than_a_probability() -> None:
    seen = dict.fromkeys(COEFFICIENTS, 1e9)
    assert 0 <= Fit(-1e9).probability(seen) <= 1
    assert SHIPPED_FIT.probability(seen) == 1
