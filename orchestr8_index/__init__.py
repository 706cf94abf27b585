"""Orchestr8 Index: ask a small local server which agent, skill or command does a task.

Public are the two clients and what their locks give, every error, and the structs that their
methods return.
"""

TYPE_CHECKING = False  # as in typing, which would cost more than all the rest here
if TYPE_CHECKING:
    from .client import AsyncOrchestrator as AsyncOrchestrator
    from .client import Held as Held
    from .client import MCPGatewayClient as MCPGatewayClient
    from .client import Orchestrator as Orchestrator
    from .errors import *  # noqa: F403
    from .queries import *  # noqa: F403
    from .reports import *  # noqa: F403

__version__ = "0.1.0"
_CLIENTS = ("AsyncOrchestrator", "Held", "MCPGatewayClient", "Orchestrator")
_HOMES = ("errors", "queries", "reports")


def __getattr__(name: str) -> object:
    """A public name is loaded when it is first used: an import of the package alone is cheap."""
    if name == "__all__":
        return __dir__()
    if name in _CLIENTS:
        from . import client

        return getattr(client, name)
    for home in _HOMES if name[:1].isupper() else ():
        if name in (classes := _classes(home)):
            return classes[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    classes = [name for home in _HOMES for name in _classes(home)]
    return sorted([*classes, *_CLIENTS, "__version__"], key=str.lower)


def _classes(home: str) -> dict[str, type]:
    """The classes of one of our modules, without the params of methods."""
    from importlib import import_module

    module = import_module(f"{__name__}.{home}")
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__.startswith(module.__name__)
        if not hasattr(value, "problems")
    }
