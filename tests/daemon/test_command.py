"""The command by which a server is started again keeps its settings."""

from __future__ import annotations

from pathlib import Path

import msgspec

from orchestr8_index.config import Door
from orchestr8_index.daemon.supervise import arguments_of

from ..serve.asking import settings_of


def test_trees_port_and_data_directory_are_named(tmp_path: Path) -> None:
    root = tmp_path / 'my "trees" 100%'
    said = arguments_of(settings_of(tmp_path / "d", root, port=4711))
    places = ["--port", "4711", "--data-dir", str(tmp_path / "d")]
    assert said[:6] == ["--root", str(root), *places]


def test_a_server_that_others_may_reach_keeps_its_options(tmp_path: Path) -> None:
    door = Door("0.0.0.0", ("tools.example",), ("https://a",), True, "/c.pem", "/k.pem")
    settings = msgspec.structs.replace(settings_of(tmp_path, tmp_path), door=door)
    said = " ".join(arguments_of(settings))
    named = "--host 0.0.0.0 --allow-host tools.example --allow-origin https://a --require-keys"
    assert said.endswith(f"{named} --tls-cert /c.pem --tls-key /k.pem")
