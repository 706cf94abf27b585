"""The Python client. It asks the server; without one it uses an index in this process and spools
outcomes on disk."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .asynchronous import AsyncOrchestrator
    from .gateway import MCPGatewayClient
    from .held import Held
    from .orchestrator import Orchestrator

__all__ = ["AsyncOrchestrator", "Held", "MCPGatewayClient", "Orchestrator"]
_MODULES = {
    "AsyncOrchestrator": "asynchronous",
    "Held": "held",
    "MCPGatewayClient": "gateway",
    "Orchestrator": "orchestrator",
}


def __getattr__(name: str) -> object:
    """Import a class when it is first used: asyncio alone costs 20 ms."""
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)
