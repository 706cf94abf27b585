"""The clients' methods with their types: one signature serves the blocking and the asyncio client.

Each passes its arguments to `_call` under the method's short name in the table (`methods.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

from ..queries import (
    AgentAnswer,
    ContextAnswer,
    EntryAnswer,
    HealthAnswer,
    HostName,
    SkillAnswer,
    Standing,
    WorkflowAnswer,
)
from ..records import Kind, Result
from ..reports import Forgotten, OutcomeAnswer, PatternAnswer, PatternStored

P = ParamSpec("P")
T = TypeVar("T")
Given = Mapping[str, Any]

if TYPE_CHECKING:

    class client_method(Generic[P, T]):
        """For type checkers: a method of a Blocking client returns its result, one of an Awaited
        client an awaitable of it."""

        def __init__(self, method: Callable[Concatenate[Any, P], T]) -> None: ...
        @overload
        def __get__(self, client: Blocking, owner: Any = ...) -> Callable[P, T]: ...
        @overload
        def __get__(self, client: Awaited, owner: Any = ...) -> Callable[P, Awaitable[T]]: ...
        def __get__(self, client: Any, owner: Any = ...) -> Any: ...
else:

    def client_method(method):
        return method


class Methods:
    """The methods of the table; a subclass defines `_call`, which carries one out."""

    def _call(self, short: str, given: Given) -> T:  # type: ignore[type-var]
        """Call a method with its arguments by name; `self` among them and None are left out."""
        raise NotImplementedError

    @client_method
    def query_agents(
        self,
        context: str | None = None,
        *,
        capability: str | None = None,
        role: str | None = None,
        limit: int | None = None,
        detail: Literal["short", "full"] | None = None,
        explain: bool | None = None,
        min_confidence: float | None = None,
        plugins: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        tools: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
        user_only: bool | None = None,
        host: HostName | None = None,
    ) -> AgentAnswer:
        """The agents that play this role, have this capability, or fit this context."""
        return self._call("query_agents", locals())

    @client_method
    def query_skills(
        self,
        context: str,
        *,
        limit: int | None = None,
        detail: Literal["short", "full"] | None = None,
        explain: bool | None = None,
        min_confidence: float | None = None,
        plugins: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        tools: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
        user_only: bool | None = None,
        host: HostName | None = None,
    ) -> SkillAnswer:
        """The skills that fit this context."""
        return self._call("query_skills", locals())

    @client_method
    def query_workflows(
        self,
        goal: str,
        *,
        limit: int | None = None,
        detail: Literal["short", "full"] | None = None,
        explain: bool | None = None,
        min_confidence: float | None = None,
        plugins: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        tools: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
        user_only: bool | None = None,
        host: HostName | None = None,
    ) -> WorkflowAnswer:
        """The commands that reach this goal."""
        return self._call("query_workflows", locals())

    @client_method
    def get_pattern(self, goal: str, *, context: str | None = None) -> PatternAnswer | None:
        """The sequence of agents that worked for goals like this one; None without the server."""
        return self._call("get_pattern", locals())

    @client_method
    def find_patterns(
        self, goal: str, *, min_similarity: float | None = None, limit: int | None = None
    ) -> list[PatternAnswer]:
        """The patterns whose goal is similar enough, best first; [] without the server."""
        return self._call("find_patterns", locals())

    @client_method
    def store_pattern(
        self,
        goal: str,
        agent_sequence: Iterable[str],
        *,
        dependencies: Mapping[str, Iterable[str]] | None = None,
        parallel_groups: Iterable[Iterable[str]] | None = None,
    ) -> PatternStored:
        """Store a sequence of agents for a kind of goal. Raises ServerAway without the server."""
        return self._call("store_pattern", locals())

    @client_method
    def report_outcome(
        self,
        task_id: str,
        task_description: str,
        agents_used: Iterable[str],
        result: Result,
        *,
        duration_ms: float | None = None,
        tokens_saved: int | None = None,
        resolved_by: str | None = None,
        skills_used: Iterable[str] | None = None,
        workflows_used: Iterable[str] | None = None,
        parallel_groups: Iterable[Iterable[str]] | None = None,
        model: str | None = None,
        caller: str | None = None,
        receipt: Literal["short", "full"] | None = None,
        occurred_at: float | None = None,
    ) -> OutcomeAnswer:
        """Report how a task ended. It returns once that is on the server's disk, or in the spool
        on this machine's. Raises OutcomeNotKept when neither was possible."""
        return self._call("report_outcome", locals())

    @client_method
    def forget(
        self,
        *,
        task_id: str | None = None,
        before: str | None = None,
        agent: str | None = None,
        by: str | None = None,
    ) -> Forgotten:
        """Remove the decisions that one of these selects, and their effects. Raises ServerAway."""
        return self._call("forget", locals())

    @client_method
    def get_entry(
        self,
        kind: Kind,
        plugin: str,
        name: str,
        *,
        max_tokens: int | None = None,
        user_only: bool | None = None,
        host: HostName | None = None,
    ) -> EntryAnswer:
        """The text of one entry, cut to a token budget."""
        return self._call("get_entry", locals())

    @client_method
    def get_context(
        self,
        task: str,
        *,
        max_tokens: int | None = None,
        kinds: Iterable[Kind] | None = None,
        user_only: bool | None = None,
        host: HostName | None = None,
    ) -> ContextAnswer:
        """The context for a task, within a token budget: rows, the past pattern, passages."""
        return self._call("get_context", locals())

    @client_method
    def explain(self, task: str, *, kind: Kind | None = None, name: str | None = None) -> Standing:
        """Why the entry of this name (by default the first hit) has its rank for the task."""
        return self._call("explain", locals())

    @client_method
    def health(self) -> HealthAnswer:
        """The server's health; `status` is `away` when it does not answer."""
        return self._call("health", locals())

    @client_method
    def metrics(self) -> dict[str, Any]:
        """The server's counters. Raises ServerAway."""
        return self._call("metrics", locals())

    @client_method
    def discover(self) -> dict[str, Any]:
        """The OpenRPC document of the server's methods. Raises ServerAway."""
        return self._call("discover", locals())


class Blocking:
    """Marks the blocking client for `client_method`."""


class Awaited:
    """Marks the asyncio client for `client_method`."""
