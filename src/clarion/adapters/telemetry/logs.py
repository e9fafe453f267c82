"""JSON logs on stderr, one line an event, with the role and nothing personal."""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog
from structlog.dev import plain_traceback
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

# Local variables hold addresses, bodies and keys: a traceback shows where, never what.
_TRACEBACKS: Final = ExceptionRenderer(ExceptionDictTransformer(show_locals=False, max_frames=20))
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(role: str, level: str, *, pretty: bool = False) -> None:
    """Set up this process's logs: JSON lines, or coloured text where `pretty` (a person at a terminal)."""
    renderer = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)
        if pretty
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if pretty else [_TRACEBACKS]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    # Libraries log through the standard library: only what is wrong with them is worth a line.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
