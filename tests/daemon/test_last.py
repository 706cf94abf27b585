"""Which trees did the last server serve?"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestr8_index.daemon.claim import claim
from orchestr8_index.daemon.last import NAME, last_roots, remember

from ..serve.asking import settings_of


def test_what_a_server_served_is_remembered_after_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data", tmp_path, port=0)
    pidfile, listening = claim(settings)
    listening.close()
    pidfile.release()
    assert last_roots(settings) == [str(tmp_path)]
    assert (settings.data_dir / NAME).stat().st_mode & 0o777 == 0o600


def test_a_root_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, tmp_path / "gone", tmp_path)
    remember(settings)
    assert last_roots(settings) == [str(tmp_path)]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"roots": 3}', '{"roots": [3, null]}', "\xff"])
def test_nonsense_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_bytes(text.encode("latin-1"))
    assert last_roots(settings_of(tmp_path)) == []


def test_a_disk_that_refuses_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    settings = settings_of(tmp_path / "data", tmp_path)
    remember(settings)
    assert last_roots(settings) == []


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()  # replacing it fails
    remember(settings_of(tmp_path, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
