"""Logging: one format for our own events and those of libraries, with all secrets removed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from typing import Literal, TextIO

import structlog
from structlog.typing import Processor

from bot.redaction import MIN_SECRET_CHARS, Redactor, keep_out

__all__ = ["CHATTY", "MIN_SECRET_CHARS", "configure", "redactor"]

CHATTY = ("httpx", "httpcore", "aiohttp.access", "alembic", "discord.client")
"""Loggers that write a line for every request or step; only their warnings are useful.

Lines of `httpx` would also hold the Telegram token, which is part of the URL.
"""


def configure(
    level: str = "info",
    format: Literal["auto", "console", "json"] = "auto",  # noqa: A002 - the key's name
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Set logging up for this process; a later call replaces an earlier one.

    Args:
        level: the lowest that is written: `debug`, `info`, `warning`, `error` or `critical`.
        format: `auto` is `console` if `stream` is a terminal, `json` otherwise.
        secrets: texts that never appear in a line or a traceback, nor in anything else that is
            shown or stored, except those shorter than `MIN_SECRET_CHARS`.
        stream: where lines go; standard error by default.
    """
    stream = sys.stderr if stream is None else stream
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *common,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    secrets = frozenset(secrets)
    keep_out(secrets)
    handler = _Handler(stream, redactor(secrets))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=common,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(format, stream),
            ],
        )
    )
    _install(handler, level.upper())


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that puts `[secret]` in place of each secret, however it was escaped."""
    return Redactor(secrets)


class _Handler(logging.StreamHandler[TextIO]):
    """Marks the handler that `configure` installed, and redacts what is about to be written."""

    def __init__(self, stream: TextIO, redact: Callable[[str], str]) -> None:
        super().__init__(stream)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        # Only here is the line complete: fields, traceback and stack.
        return self._redact(super().format(record))


def _renderers(style: str, stream: TextIO) -> list[Processor]:
    if style == "console" or (style == "auto" and stream.isatty()):
        # Rich tracebacks show local variables and wrap lines, which would cut a secret in two.
        return [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str),
    ]


def _install(handler: _Handler, level: str) -> None:
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
