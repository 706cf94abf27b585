"""How does Python code ask? One request core, two thin senders, and what to do without a server."""

from .orchestrator import AsyncOrchestrator, Orchestrator

__all__ = ["AsyncOrchestrator", "Orchestrator"]
