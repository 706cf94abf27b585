"""Does a terminal obey us alone?"""

from __future__ import annotations

import click

from orchestr8_index.cli.paint import painted, style


def test_our_styles_are_kept_and_those_of_strangers_are_not() -> None:
    hostile = "a\x1b[8mb\x1b]0;title\x07c\u202ed"
    text = f"{style(hostile, fg='red')} {hostile}"
    assert painted(text).startswith("\x1b[31ma") and painted(text).count("\x1b") == 2
    assert "\u202e" not in painted(text) and "8m" not in painted(text)


def test_without_colours_a_style_is_its_text() -> None:
    assert (
        click.unstyle(style("x", bold=True)) == click.unstyle(painted(style("x", bold=True))) == "x"
    )
