"""What is the server made of? Built here from Settings; no logic."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import msgspec

from .catalog.generations import Refresh
from .catalog.worker import Builder
from .config import Settings
from .errors import BuildFailed
from .tokens import read_tokenizer


def run_server(settings: Settings, told: Callable[[int], None] = lambda port: None) -> None:
    """Claim, start the build's child, load the rest beside it, serve until told to stop.

    `told` gets the port, as soon as it is ours.
    """
    from .daemon.claim import claim

    os.umask(0o077)
    tokens = read_tokenizer(settings.tokenizer)
    settings = _made_safe(settings)
    pidfile, listening = claim(settings)
    told(listening.getsockname()[1])
    refresh = Refresh(settings, Builder(settings, on_failure=_log_failure))
    refresh.open_last()

    from .serve.cache import AnswerCache
    from .serve.http import make_web
    from .serve.logs import set_up_logs
    from .serve.protocol import Lines
    from .serve.server import serve
    from .serve.state import State
    from .serve.storekeeper import Keeper
    from .serve.trace import make_trace

    log = set_up_logs(settings.data_dir, settings.log_level)
    queries, patterns = AnswerCache(settings.query_life), AnswerCache(settings.pattern_life)
    state = State(settings, refresh, queries, patterns, tokens=tokens, keeper=Keeper(settings))
    refresh.on_swap += [lambda index: queries.clear(), lambda index: patterns.clear()]
    state.signs.listen_to(log)
    state.signs.trace = make_trace(settings.otel_endpoint)
    lines = Lines(settings.limits, state.metrics.failed, state.gate.congestion)
    serve(make_web(state), pidfile, listening, settings.door, lines, state.ending)


def _made_safe(settings: Settings) -> Settings:
    """Raises NotSafe beyond loopback without keys. The command line gets a key of its own."""
    if not settings.door.needs_keys:
        return settings
    from .serve.keys import check_keys, new_token

    check_keys(settings)
    return msgspec.structs.replace(settings, local_key=new_token())


def _log_failure(failure: BuildFailed) -> None:
    said = "; ".join(getattr(failure, "__notes__", ()))
    told = {"reason": str(failure), "reading": failure.reading, "said": said}
    logging.getLogger("orchestr8.build").warning("a build ended early", extra=told)
