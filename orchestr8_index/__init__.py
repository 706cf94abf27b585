"""Orchestr8 Index: ask a small local server which agent, skill or command does a task."""

TYPE_CHECKING = False  # as in typing, which would cost more than all the rest here
if TYPE_CHECKING:
    from .client import AsyncOrchestrator, Orchestrator
    from .errors import (
        BadSetting,
        BuildFailed,
        Forbidden,
        InternalError,
        InvalidParams,
        InvalidRequest,
        McpAway,
        MethodNotFound,
        OperationError,
        Orchestr8Error,
        OutcomeNotKept,
        Overloaded,
        ParseError,
        RequestError,
        ServerAway,
        SnapshotUnreadable,
        Starting,
        StoreUnavailable,
        TooManyRequests,
        Unauthorized,
    )
    from .queries import (
        AgentAnswer,
        AgentRow,
        ContextAnswer,
        EntryAnswer,
        HealthAnswer,
        Row,
        SkillAnswer,
        WorkflowAnswer,
    )
    from .reports import OutcomeAnswer, PatternAnswer, PatternStored

__all__ = [
    "AgentAnswer",
    "AgentRow",
    "AsyncOrchestrator",
    "BadSetting",
    "BuildFailed",
    "ContextAnswer",
    "EntryAnswer",
    "Forbidden",
    "HealthAnswer",
    "InternalError",
    "InvalidParams",
    "InvalidRequest",
    "McpAway",
    "MethodNotFound",
    "OperationError",
    "Orchestr8Error",
    "Orchestrator",
    "OutcomeAnswer",
    "OutcomeNotKept",
    "Overloaded",
    "ParseError",
    "PatternAnswer",
    "PatternStored",
    "RequestError",
    "Row",
    "ServerAway",
    "SkillAnswer",
    "SnapshotUnreadable",
    "Starting",
    "StoreUnavailable",
    "TooManyRequests",
    "Unauthorized",
    "WorkflowAnswer",
    "__version__",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """A public name is loaded when it is first used: an import of the package alone is cheap."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    homes = ("errors", "client") if "Orchestrator" in name else ("errors", "queries", "reports")
    modules = (import_module(f"{__name__}.{home}") for home in homes)
    return next(getattr(module, name) for module in modules if hasattr(module, name))
