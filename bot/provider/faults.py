"""aiohttp's errors, and those of its helpers, as the bot's own."""

from __future__ import annotations

import asyncio
import sys

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from bot.errors import ProviderError, SpaceUnreachable, StreamLost


def foreign() -> tuple[type[BaseException], ...]:
    """Every exception that a request may raise and that is not ours, for an `except` clause."""
    ours = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)
    # aiohttp-socks raises plain exceptions, and is imported only where it is used. It lets an
    # `IncompleteReadError` through when the proxy hangs up in the middle of the greeting.
    socks = sys.modules.get("aiohttp_socks")
    if socks is None:
        return ours
    theirs = (socks.ProxyError, socks.ProxyConnectionError, socks.ProxyTimeoutError)
    return (*ours, *theirs, asyncio.IncompleteReadError)


def translate(error: BaseException, host: str, *, streaming: bool = False) -> ProviderError:
    """The bot's error for one of `foreign`.

    Args:
        error: what was raised. Its own text is not used: it may hold addresses with secrets.
        host: who was asked, for people.
        streaming: an event stream was being read, so the request itself had been taken.
    """
    if streaming:
        if isinstance(error, TimeoutError):
            return StreamLost("The Space fell silent in the middle of the request.")
        return StreamLost("The connection to the Space broke before the answer was complete.")
    match error:
        case aiohttp.InvalidURL():
            text = f"{host!r} is not an address that can be asked."
        case (
            aiohttp.ClientProxyConnectionError()
            | aiohttp.ClientHttpProxyError()
            | asyncio.IncompleteReadError()
        ):
            text = f"The proxy on the way to {host} does not work."
        case aiohttp.ClientConnectorDNSError():
            text = f"The name {host} is not known."
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            text = f"The encrypted connection to {host} fails."
        case TimeoutError():
            text = f"{host} does not answer in time."
        case _ if type(error).__module__.startswith("aiohttp_socks"):
            text = f"The proxy on the way to {host} does not work."
        case _:
            text = f"{host} cannot be reached."
    return SpaceUnreachable(text)
