"""Markdown files become entries and a searchable snapshot; the index reads it."""
