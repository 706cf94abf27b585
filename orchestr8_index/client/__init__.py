"""The Python client: a server asked, an index in this process without one, outcomes that wait."""

from .asynchronous import AsyncOrchestrator
from .held import Held
from .orchestrator import Orchestrator

__all__ = ["AsyncOrchestrator", "Held", "Orchestrator"]
