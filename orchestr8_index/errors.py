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
        ├── StoreTooNew
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
    """The root: `sentence` says what is wrong, `cure` what mends it; `means` stands in the docs."""

    cure = ""
    means = ""

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
    means = "The body is not JSON, not UTF-8, or holds a number out of range."
    cure = "Send one JSON object (or an array of them) in UTF-8."


class InvalidRequest(RequestError):
    code, status = -32600, 400
    means = "The body is JSON, but no JSON-RPC 2.0 call."
    cure = 'Send {"jsonrpc":"2.0","id":1,"method":"…","params":{…}}.'


class MethodNotFound(RequestError):
    code, status = -32601, 404
    means = "There is no method of that name; the cure lists those that are."


class InvalidParams(RequestError):
    """`problems` maps each bad field to what is wrong with it, unknown fields included."""

    code, status = -32602, 400
    means = "Fields are missing, unknown, or hold what they may not hold; each is named."
    cure = "Mend the fields named in validation_errors."

    def __init__(self, problems: dict[str, str]) -> None:
        named = "; ".join(f"{field}: {why}" for field, why in problems.items())
        super().__init__(f"Invalid params: {named}.")
        self.problems = problems

    def data(self) -> dict[str, Any]:
        rows = [{"field": field, "message": why} for field, why in self.problems.items()]
        return {**super().data(), "validation_errors": rows}


class InternalError(RequestError):
    means = "A defect of the server: please report it."
    cure = "The log holds the details under this answer's X-Correlation-ID."


class Starting(RequestError):
    code, status = -32001, 503
    means = "There is no index yet: the first one is being built, or could not be."
    cure = "Ask again in a moment; GET /health says how far the first index is."


class StoreUnavailable(RequestError):
    code, status = -32002, 503
    means = "The store is missing, full, damaged, read-only or of a newer version."
    cure = "Answers go on; GET /health says what is wrong with the store."


class OperationError(Orchestr8Error):
    exit_status = 1


class BadSetting(OperationError):
    exit_status = 2
    means = "An option or a variable of the environment has a value that cannot be used."


class BuildFailed(OperationError):
    """`reading` is the (root, path) to blame, if a file is: the one being read at the end.

    `poison` describes that file; `certain` says that it need not be tried again.
    """

    means = "The trees could not be read into an index; the generation before is kept."
    reading: tuple[str, str] | None = None
    poison: Poison | None = None
    certain: bool = False


class SnapshotUnreadable(OperationError):
    means = "A generation is gone, damaged, or of another version."
    cure = "Run `orchestr8-index reindex`, or start the server: it builds a new one."


class StoreTooNew(OperationError):
    means = "The database was written by a newer version: it is left as it is."
    cure = "Install that version again, or put an older backup in its place with `restore`."


class AlreadyRunning(OperationError):
    means = "A server owns this data directory already."
    cure = "Stop it with `orchestr8-index down`, or choose another --data-dir."


class PortTaken(OperationError):
    means = "Another program has the port; it is named where the system tells."
    cure = "Choose another port with --port or MCP_PORT (--port 0 picks a free one)."


class StartFailed(OperationError):
    means = "The server ended before it served, or did not serve in time."
    cure = "The log in the data directory (logs/mcp.log) holds the details."


class ServerAway(OperationError):
    """Only the server can do it, and it does not answer."""

    cure = "Start it with `orchestr8-index up`; `orchestr8-index status` says how it is."


class OutcomeNotKept(OperationError):
    """Neither the server nor the spool has the outcome: report it again."""
