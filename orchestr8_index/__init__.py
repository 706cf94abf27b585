"""Orchestr8 Index: ask a small local server which agent, skill or command does a task."""

__all__ = ["__version__"]

__version__ = "0.1.0"
