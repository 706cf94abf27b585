"""Shared values, locks, messages and sessions for agents that work on one repository."""
