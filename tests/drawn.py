"""How many examples does a costly test draw? A fifth of what the others draw."""

from __future__ import annotations

from hypothesis import settings

COSTLY = settings(max_examples=settings().max_examples // 5)
