"""An OpenTelemetry span for each call, if MCP_OTEL_ENDPOINT names a collector; else its libraries
are not imported."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import BadSetting

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

SERVICE = "orchestr8-index"
PATH = "/v1/traces"
STOP_MS = 2000


class Trace:
    """Spans have the method, the error's code and whether a cache answered, but no question."""

    def __init__(self, exporter: SpanExporter, batched: bool = True) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        named = Resource.create({"service.name": SERVICE, "service.version": __version__})
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        processor = BatchSpanProcessor if batched else SimpleSpanProcessor
        self._provider.add_span_processor(processor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE, __version__)

    def call(self, method: str, seconds: float, code: int, cache_hit: bool, ident: str) -> None:
        """Export a call that ends now and took `seconds`; `code` is 0 for a success."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        end = time.time_ns()
        attributes: dict[str, Any] = {"rpc.system": "jsonrpc", "rpc.method": method}
        attributes |= {"orchestr8.cache_hit": cache_hit, "orchestr8.correlation_id": ident}
        if code:
            attributes["rpc.jsonrpc.error_code"] = code
        begin = end - int(seconds * 1e9)
        span = self._tracer.start_span(method, None, SpanKind.SERVER, attributes, start_time=begin)
        if code:
            span.set_status(Status(StatusCode.ERROR, str(code)))
        span.end(end)

    def stop(self) -> None:
        """Send waiting spans, for at most two seconds."""
        self._provider.force_flush(STOP_MS)
        self._provider.shutdown()


def make_trace(endpoint: str) -> Trace | None:
    """The tracer, None without an endpoint. Raises BadSetting when the libraries are missing."""
    if not endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        sentence = "MCP_OTEL_ENDPOINT is set, but OpenTelemetry is not installed."
        cure = (
            "Run `pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http`, "
            "or unset MCP_OTEL_ENDPOINT."
        )
        raise BadSetting(sentence, cure) from None
    address = endpoint if endpoint.endswith(PATH) else endpoint.rstrip("/") + PATH
    return Trace(OTLPSpanExporter(endpoint=address, timeout=5))
