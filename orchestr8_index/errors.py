"""What can go wrong, and what does its reader do about it?

    Orchestr8Error                    code     status
    ├── RequestError
    │   ├── ParseError                -32700   400
    │   ├── InvalidRequest            -32600   400
    │   ├── MethodNotFound            -32601   404
    │   ├── InvalidParams             -32602   400   data.validation_errors
    │   ├── InternalError             -32603   500
    │   ├── Starting                  -32001   503
    │   └── StoreUnavailable          -32002   503
    └── OperationError                exit status 1 on the command line
        ├── BadSetting                exit status 2
        ├── BuildFailed
        ├── SnapshotUnreadable
        ├── AlreadyRunning
        ├── PortTaken
        ├── StartFailed
        ├── ServerAway
        └── OutcomeNotKept

Every error is one sentence and a cure. A sentence never holds a traceback or, on the wire, a path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .records import Poison


class Orchestr8Error(Exception):
    """The root: `sentence` says what is wrong, `cure` what mends it."""

    cure = ""

    def __init__(self, sentence: str, cure: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.cure = self.cure if cure is None else cure

    def __str__(self) -> str:
        return f"{self.sentence} {self.cure}".strip()


class RequestError(Orchestr8Error):
    """An answer on the wire: `code` is JSON-RPC's, `status` HTTP's for a single call."""

    code = -32603
    status = 500

    def data(self) -> dict[str, Any]:
        return {"cure": self.cure} if self.cure else {}


class ParseError(RequestError):
    code, status = -32700, 400
    cure = "Send one JSON object (or an array of them) in UTF-8."


class InvalidRequest(RequestError):
    code, status = -32600, 400
    cure = 'Send {"jsonrpc":"2.0","id":1,"method":"…","params":{…}}.'


class MethodNotFound(RequestError):
    code, status = -32601, 404


class InvalidParams(RequestError):
    """`problems` maps each bad field to what is wrong with it, unknown fields included."""

    code, status = -32602, 400
    cure = "Mend the fields named in validation_errors."

    def __init__(self, problems: dict[str, str]) -> None:
        named = "; ".join(f"{field}: {why}" for field, why in problems.items())
        super().__init__(f"Invalid params: {named}.")
        self.problems = problems

    def data(self) -> dict[str, Any]:
        rows = [{"field": field, "message": why} for field, why in self.problems.items()]
        return {**super().data(), "validation_errors": rows}


class InternalError(RequestError):
    cure = "The log holds the details under this answer's X-Correlation-ID."


class Starting(RequestError):
    code, status = -32001, 503
    cure = "Ask again in a moment; GET /health says how far the first index is."


class StoreUnavailable(RequestError):
    code, status = -32002, 503
    cure = "Answers go on; GET /health says what is wrong with the store."


class OperationError(Orchestr8Error):
    exit_status = 1


class BadSetting(OperationError):
    exit_status = 2


class BuildFailed(OperationError):
    """`reading` is the (root, path) to blame, if a file is: the one being read at the end.

    `poison` describes that file; `certain` says that it need not be tried again. `told`: the
    build said itself what is wrong.
    """

    reading: tuple[str, str] | None = None
    poison: Poison | None = None
    certain: bool = False
    told: bool = False


class SnapshotUnreadable(OperationError):
    cure = "Run `orchestr8-index reindex`, or start the server: it builds a new one."


class AlreadyRunning(OperationError):
    pass


class PortTaken(OperationError):
    cure = "Choose another port with --port or MCP_PORT (--port 0 picks a free one)."


class StartFailed(OperationError):
    cure = "The log in the data directory (logs/mcp.log) holds the details."


class ServerAway(OperationError):
    """Only the server can do it, and it does not answer."""

    cure = "Start it with `orchestr8-index up`; `orchestr8-index status` says how it is."


class OutcomeNotKept(OperationError):
    """Neither the server nor the spool has the outcome: report it again."""
