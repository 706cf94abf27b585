"""The errors of the whole package, each a sentence and a cure.

    Orchestr8Error                    code     status
    ├── RequestError
    │   ├── ParseError                -32700   400
    │   ├── InvalidRequest            -32600   400
    │   │   ├── NoSuchAddress         -32600   404
    │   │   ├── VerbRefused           -32600   405    Allow; the others also end the connection:
    │   │   ├── Misdirected           -32600   421
    │   │   ├── ForeignOrigin         -32600   403
    │   │   ├── BodyTooLarge          -32600   413
    │   │   ├── HeadTooLarge          -32600   431
    │   │   ├── EncodingRefused       -32600   415
    │   │   └── TooSlow               -32600   408
    │   ├── MethodNotFound            -32601   404
    │   ├── InvalidParams             -32602   400   data.validation_errors
    │   ├── InternalError             -32603   500
    │   ├── Starting                  -32001   503
    │   ├── StoreUnavailable          -32002   503
    │   ├── TooManyRequests           -32029   429   Retry-After
    │   ├── Unauthorized              -32030   401   WWW-Authenticate
    │   ├── Forbidden                 -32031   403
    │   │   └── ForeignSession        -32031   404
    │   ├── Overloaded                -32032   503   Retry-After
    │   ├── McpAway                   -32033   503
    │   ├── NoSuchProject             -32034   404
    │   ├── Conflict                  -32040   409
    │   ├── StaleToken                -32041   409
    │   ├── Busy                      -32042   423
    │   ├── WouldDeadlock             -32043   409
    │   ├── Compacted                 -32044   410
    │   └── NoSuchSession             -32045   404
    └── OperationError                exit status 1 on the command line
        ├── BadSetting                exit status 2
        ├── BuildFailed
        ├── SnapshotUnreadable
        ├── StoreTooNew
        ├── AlreadyRunning
        ├── PortTaken
        ├── StartFailed
        ├── ServerAway
        ├── OutcomeNotKept
        ├── NotSafe
        └── NotOurs

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

    def body(self) -> dict[str, Any]:
        """The error as JSON-RPC has it, whatever carries it."""
        body: dict[str, Any] = {"code": self.code, "message": self.sentence}
        return {**body, "data": data} if (data := self.data()) else body

    def headers(self) -> dict[str, str]:
        """The HTTP headers of an answer that is this error alone."""
        return {}


class ParseError(RequestError):
    code, status = -32700, 400
    means = "The body is not JSON, not UTF-8, or holds a number out of range."
    cure = "Send one JSON object (or an array of them) in UTF-8."


class InvalidRequest(RequestError):
    code, status = -32600, 400
    means = "The body is JSON, but no JSON-RPC 2.0 call."
    cure = 'Send {"jsonrpc":"2.0","id":1,"method":"…","params":{…}}.'


class NoSuchAddress(InvalidRequest):
    status = 404
    means = "There is nothing at that address; the cure lists those that are."
    cure = ""


class VerbRefused(InvalidRequest):
    status = 405
    means = "That address does not take that verb; the cure lists those that it takes."
    cure = ""


class Refused(InvalidRequest):
    """A request that is refused before it is read; the connection ends with the answer."""

    means = "The request is refused before it is read; the connection ends with the answer."

    def headers(self) -> dict[str, str]:
        return {"connection": "close"}


class Misdirected(Refused):
    status = 421
    means = "The request asks for a host that this server does not answer to."
    cure = "Ask for localhost or 127.0.0.1, or start the server with --allow-host NAME."


class ForeignOrigin(Refused):
    status = 403
    means = "A web page of another origin (scheme, host or port) asks, or makes a browser ask."
    cure = "Ask from a program, or start the server with --allow-origin of that page."


class BodyTooLarge(Refused):
    status = 413
    means = "The body is over the limit, as announced or as it came."
    cure = "Send less at once."


class HeadTooLarge(Refused):
    status = 431
    means = "The headers are too many or too long."
    cure = "Send fewer and shorter headers, or raise MCP_MAX_HEAD or MCP_MAX_HEADERS."


class EncodingRefused(Refused):
    status = 415
    means = "The body is compressed, or a web page sent it without the type application/json."
    cure = "Send the body as it is, without Content-Encoding."


class TooSlow(Refused):
    status = 408
    means = "The head or the body of the request did not come in time."
    cure = "Send the request in one piece."


class MethodNotFound(RequestError):
    code, status = -32601, 404
    means = "There is no method of that name; the cure lists those that are."


class InvalidParams(RequestError):
    """`problems` maps each bad field to what is wrong with it, unknown fields included; `words` are
    a sentence and a cure of its own."""

    code, status = -32602, 400
    means = "Fields are missing, unknown, or hold what they may not hold; each is named."
    cure = "Mend the fields that it names, and ask again."

    def __init__(self, problems: dict[str, str], *words: str) -> None:
        named = "; ".join(f"{field}: {why}" for field, why in problems.items())
        super().__init__(*(words or [f"Invalid params: {named}."]))
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
    is_passing = False


class TooManyRequests(RequestError):
    """`seconds` until the caller may ask again."""

    code, status = -32029, 429
    means = "One caller asks more often than its rate allows, or goes on guessing keys."
    cure = "Wait as long as Retry-After says; MCP_RATE is the limit per second."

    def __init__(self, sentence: str, seconds: int = 1) -> None:
        super().__init__(sentence)
        self.seconds = seconds

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.seconds)}


class Unauthorized(RequestError):
    code, status = -32030, 401
    means = "A key is needed and none was sent, or it is not known."
    cure = "Send `Authorization: Bearer KEY`; `orchestr8-index key add NAME` makes one."

    def headers(self) -> dict[str, str]:
        return {"www-authenticate": "Bearer"}


class Forbidden(RequestError):
    code, status = -32031, 403
    means = "The key's scope does not include this."
    cure = "Use a key with that scope: `orchestr8-index key add NAME --scope SCOPE`."


class ForeignSession(Forbidden):
    """MCP's own word for a session that is not there any more: the client begins a new one."""

    status = 404
    means = "The MCP session was begun with another key, or is not there any more."
    cure = "Begin a new session with that key."


class Overloaded(RequestError):
    code, status = -32032, 503
    means = "More is asked than can be answered now: requests, connections or memory."
    cure = "Ask again in a second."

    def headers(self) -> dict[str, str]:
        return {"retry-after": "1"}


class McpAway(RequestError):
    code, status = -32033, 503
    means = "MCP is not served now: it starts, stops, or cannot be loaded."
    cure = "Ask again in a moment."


class NoSuchProject(RequestError):
    code, status = -32034, 404
    means = "The server, or this key, has no project of that name; only own programs name folders."
    cure = "`orchestr8-index projects` lists the names."


class WithFacts:
    """A refusal among agents: `facts` are the fields of its data beside the cure."""

    cure = ""

    def __init__(self, sentence: str, cure: str | None = None, **facts: Any) -> None:
        super().__init__(sentence, cure)  # type: ignore[call-arg]
        self.facts = facts

    def data(self) -> dict[str, Any]:
        return {**({"cure": self.cure} if self.cure else {}), **self.facts}


class Conflict(WithFacts, RequestError):
    code, status = -32040, 409
    means = "The value is not at the revision that `if_rev` names: somebody wrote it since."
    cure = "Read it again, and write with its present revision."


class StaleToken(WithFacts, RequestError):
    code, status = -32041, 409
    means = "The token's lease has ended, or was broken; nothing was written."
    cure = "Acquire the lock again, and read anew what it protects."


class Busy(WithFacts, RequestError):
    code, status = -32042, 423
    means = "Others hold the resource, or wait for it longer; each is named."
    cure = 'Do something else first, or acquire with on_busy "wait" or "notify".'


class WouldDeadlock(WithFacts, RequestError):
    code, status = -32043, 409
    means = "Waiting would never end: each of the named agents waits for the next."
    cure = "Release what you hold, then acquire all that you need as one set."


class Compacted(WithFacts, RequestError):
    code, status = -32044, 410
    means = "The log does not reach back to that revision."
    cure = "Read the present values, then go on from the revision that comes with them."


class NoSuchSession(WithFacts, RequestError):
    code, status = -32045, 404
    means = "There is no session of that id; similar ids are named."
    cure = "List the sessions, or create it."


class OperationError(Orchestr8Error):
    """An operation of the command line or the client failed; no request is answered with it."""

    exit_status = 1


class MCPGatewayError(OperationError):
    """`status` is that of HTTP, 0 where nobody answered; `answer` what came with it."""

    means = "The gateway refused a task's file, or did not answer."

    status = 0

    def __init__(self, sentence: str, cure: str | None = None, **answer: Any) -> None:
        super().__init__(sentence, cure)
        self.status, self.answer = answer.pop("status", 0), answer


class BadSetting(OperationError):
    exit_status = 2
    means = "An option or a variable of the environment has a value that cannot be used."


class BuildFailed(OperationError):
    """`reading` is the (root, path) to blame, if a file is: the one being read at the end.

    `poison` describes that file; `certain` says that it need not be tried again. `told`: the
    build itself reported what is wrong.
    """

    means = "The trees could not be read into an index; the generation before is kept."
    reading: tuple[str, str] | None = None
    poison: Poison | None = None
    certain: bool = False
    told: bool = False


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
    means = "Another program has the port."
    cure = (
        "Choose another port with --port or MCP_PORT (0 picks a free one); `lsof -i :PORT` tells "
        "who has it."
    )


class StartFailed(OperationError):
    means = "The server ended before it served, or did not serve in time."
    cure = "The log in the data directory (logs/mcp.log) holds the details."


class ServerAway(OperationError):
    means = "Only the server can do it, and it does not answer."
    cure = "Start it with `orchestr8-index up`; `orchestr8-index status` says how it is."


class OutcomeNotKept(OperationError):
    means = "Neither the server nor the spool has the outcome: report it again."


class NotSafe(OperationError):
    means = "What was asked for would let anybody in."
    cure = "Make a key with `orchestr8-index key add NAME --scope admin`, or leave out --host."


class NotOurs(OperationError):
    means = "A process or file that is not proven to be this user's own: it is left alone."
    cure = "See who has that file (`fuser -v FILE`), or choose another --data-dir."
