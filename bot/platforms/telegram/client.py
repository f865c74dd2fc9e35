"""The Bot API client: the real one of python-telegram-bot, with bounds that suit a bot of ours."""

from __future__ import annotations

import ssl
from typing import Any

import httpx
from telegram import Bot
from telegram.error import TelegramError
from telegram.request import HTTPXRequest

from bot.platforms.telegram.updates import is_update, readable

_READ_TIMEOUT = 30.0
"""Seconds. With the library's 5, `TimedOut` comes although the message was stored (measured)."""
_POLL_MARGIN = 10.0
"""Seconds on top of a long poll after which the connection counts as dead."""
_UPLOAD_TIMEOUT = 120.0
_CONNECTIONS = 256
_POLLS = 2
_IDLE = 30.0
"""Seconds for which a connection that is not used stays open. With httpx's 5, most replies begin
with a new handshake; and httpx loses track of connections that it is just closing for their age
when the request that it does so for is cancelled (httpcore 1.0.9)."""


class UpdatesRequest(HTTPXRequest):
    """Reads updates one by one.

    The library parses all updates of an answer or none; a single one that it cannot read would
    come again for ever, and everything behind it never.
    """

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """As in `BaseRequest`; an update that cannot be read is left with nothing but its id.

        Raises:
            TelegramError: the answer is none of a Bot API server.
        """
        answer: Any = HTTPXRequest.parse_json_payload(payload)
        if not isinstance(answer, dict) or "ok" not in answer:
            raise TelegramError("Invalid server response")
        result = answer.get("result")
        if isinstance(result, list):
            answer["result"] = [readable(update) for update in result if is_update(update)]
        return answer


def trust_for(api_url: str) -> ssl.SSLContext:
    """Whose certificates to believe; blocks for a moment to read them.

    A server without TLS needs none, and the empty context believes nobody.
    """
    if api_url.startswith("https:"):
        return httpx.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def make_bot(token: str, api_url: str, trust: ssl.SSLContext | None = None) -> Bot:
    """A client, not initialised yet.

    Args:
        token: `<digits>:<secret>`.
        api_url: root of the Bot API server, e.g. `https://api.telegram.org`.
        trust: whose certificates to believe; `None` asks `trust_for`.
    """
    root = api_url.rstrip("/")
    trust = trust or trust_for(api_url)
    return Bot(
        token,
        base_url=f"{root}/bot",
        base_file_url=f"{root}/file/bot",
        request=HTTPXRequest(
            read_timeout=_READ_TIMEOUT,
            write_timeout=_READ_TIMEOUT,
            pool_timeout=_READ_TIMEOUT,
            media_write_timeout=_UPLOAD_TIMEOUT,
            httpx_kwargs={"verify": trust, "limits": _limits(_CONNECTIONS)},
        ),
        get_updates_request=UpdatesRequest(
            read_timeout=_POLL_MARGIN,
            httpx_kwargs={"verify": trust, "limits": _limits(_POLLS)},
        ),
    )


def _limits(connections: int) -> httpx.Limits:
    return httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_IDLE
    )
