"""Orchestr8 Index: ask a small local server which agent, skill or command does a task."""

TYPE_CHECKING = False  # as in typing, which would cost more than all the rest here
if TYPE_CHECKING:
    from .client import AsyncOrchestrator, Orchestrator

__all__ = ["AsyncOrchestrator", "Orchestrator", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """The clients are loaded when they are named: who imports the package pays for neither."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.client"), name)
