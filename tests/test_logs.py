"""Logs: one format for everybody, and never a secret."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from bot import logs

TOKEN = "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> io.StringIO:
    """Where the lines of a test go."""
    return io.StringIO()


@pytest.fixture(autouse=True)
def _afterwards() -> Iterator[None]:
    """Leave logging as it was: it belongs to the whole process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs.CHATTY}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """The lines written as JSON."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_own_and_foreign_events_look_alike(stream: io.StringIO) -> None:
    """A library's line has the same fields as one of ours, the turn's id among them."""
    logs.configure("info", "json", stream=stream)
    with structlog.contextvars.bound_contextvars(turn="abc"):
        structlog.get_logger("bot.x").info("turn accepted", platform="web")
        logging.getLogger("discord.gateway").info("Shard ID %s has connected", 7)
    ours, theirs = lines(stream)
    assert ours["event"] == "turn accepted"
    assert ours["platform"] == "web"
    assert theirs["event"] == "Shard ID 7 has connected"
    assert (theirs["logger"], theirs["level"]) == ("discord.gateway", "info")
    assert ours["turn"] == theirs["turn"] == "abc"
    assert ours.keys() == {*theirs, "platform"}


def test_level_holds_for_both(stream: io.StringIO) -> None:
    """What is below the level is not written, whoever says it."""
    logs.configure("warning", "json", stream=stream)
    structlog.get_logger("bot.x").info("quiet")
    logging.getLogger("discord").info("quiet")
    structlog.get_logger("bot.x").warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_auto_is_console_on_a_terminal(stream: io.StringIO) -> None:
    """`auto` writes for people on a terminal and for machines elsewhere."""
    terminal = Terminal()
    logs.configure("info", "auto", stream=terminal)
    structlog.get_logger("bot.x").info("hello", who="you")
    logs.configure("info", "auto", stream=stream)
    structlog.get_logger("bot.x").info("hello", who="you")
    assert "hello" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")
    assert lines(stream)[0]["who"] == "you"


def test_second_call_replaces_the_first(stream: io.StringIO) -> None:
    """No line is written twice, and foreign handlers stay."""
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    first = io.StringIO()
    logs.configure("info", "json", stream=first)
    logs.configure("info", "json", stream=stream)
    structlog.get_logger("bot.x").info("once")
    assert first.getvalue() == ""
    assert len(lines(stream)) == 1
    assert other in logging.getLogger().handlers


def fail() -> None:
    """Raise an error that holds the token, with a cause that holds it too."""
    try:
        os.environ[TOKEN]
    except LookupError as error:
        raise RuntimeError(f"cannot reach https://h/bot{TOKEN}/getMe") from error


def chatter() -> None:
    """Write the token in every way that it could get into a log."""
    log = structlog.get_logger("bot.x")
    log.info("login with %s", TOKEN, token=TOKEN, nested={"deep": [TOKEN]})
    log.info("page", url="https://api.example/bot" + quote(TOKEN, safe="") + "/getMe")
    logging.getLogger("discord.http").info("GET %s", f"https://h/bot{TOKEN}/getMe")
    logging.getLogger("httpx").warning("HTTP Request: POST https://h/bot%s/sendMessage", TOKEN)
    with structlog.contextvars.bound_contextvars(context=TOKEN):
        log.info("bound")
    try:
        fail()
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("telegram").exception("failed", stack_info=True)


@pytest.mark.parametrize("style", ["json", "console"])
@pytest.mark.parametrize("terminal", [False, True])
def test_secret_never_appears(style: Any, terminal: bool) -> None:
    """Not in events, fields, addresses, contexts, tracebacks or lines of libraries."""
    quiet, plain = (Terminal(), Terminal()) if terminal else (io.StringIO(), io.StringIO())
    logs.configure("debug", style, stream=plain)
    chatter()
    logs.configure("debug", style, secrets=[TOKEN], stream=quiet)
    chatter()
    secret = TOKEN.partition(":")[2]
    assert plain.getvalue().count(secret) >= 10, "the test says the token often enough"
    assert secret not in quiet.getvalue()
    assert quiet.getvalue().count("[secret]") == plain.getvalue().count(secret)
    assert "RuntimeError" in quiet.getvalue()
    assert "KeyError" in quiet.getvalue()


def test_request_lines_of_httpx_are_silent(stream: io.StringIO) -> None:
    """The line per request, which holds the token's address, is not written at all."""
    logs.configure("debug", "json", stream=stream)
    logging.getLogger("httpx").info("HTTP Request: POST https://h/botTOKEN/getUpdates")
    assert stream.getvalue() == ""


@given(st.text(min_size=logs.MIN_SECRET_CHARS))
def test_any_secret_is_found_however_it_is_escaped(secret: str) -> None:
    """Quotes, backslashes and letters of any script do not help a secret through."""
    redact = logs.redactor([secret])
    for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert redact(f"<{form}>") == "<[secret]>"


def test_secret_within_a_secret() -> None:
    """Of two secrets the longer one goes first, so that nothing of it is left over."""
    redact = logs.redactor(["pass", "http://user:pass@host", ""])
    assert redact("by http://user:pass@host, not pass") == "by [secret], not [secret]"
    assert redact("ordinary words") == "ordinary words"
