"""Outcomes become decisions, experience and patterns."""
