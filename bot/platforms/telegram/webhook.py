"""Receives updates over HTTP, on the server that the bot has for its web chat."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from telegram import Bot, WebhookInfo
from telegram.error import BadRequest, InvalidToken, RetryAfter, TelegramError

from bot.errors import AdapterError, TokenRefused
from bot.platforms.telegram.deliveries import Deliveries
from bot.platforms.telegram.intake import Intake
from bot.platforms.telegram.polling import REFUSED
from bot.platforms.telegram.refusals import is_unknown_method, seconds_to_wait
from bot.platforms.telegram.sources import Network, addresses, is_allowed
from bot.platforms.telegram.spool import Spool
from bot.platforms.telegram.timing import Backoff, Timing
from bot.platforms.telegram.updates import is_update

_log = structlog.get_logger(__name__)

HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"
_CONNECTIONS: Final = 100
"""Deliveries at the same time, the most that Telegram makes (Bot API, `setWebhook`)."""
_WARNINGS: Final = 60.0
"""Seconds between two warnings of strangers; anybody can cause them."""


@dataclass(frozen=True, slots=True)
class Hook:
    """How Telegram delivers.

    Attributes:
        url: where it reaches the server that the routes are added to.
        secret: what it says with each delivery; empty: one is made up at each start.
        sources: networks that deliveries come from; none: from anywhere.
        spool: folder for updates that are acknowledged and not committed yet.
    """

    url: str
    secret: str
    sources: tuple[Network, ...]
    spool: Path


class Webhook:
    """The receiving end.

    Args:
        hook: see there.
        allowed: the kinds of updates that Telegram shall deliver.
        timing: how long to wait for what.
    """

    def __init__(self, hook: Hook, allowed: Sequence[str], timing: Timing) -> None:
        self._url = hook.url
        self._secret = (hook.secret or secrets.token_urlsafe(32)).encode()
        self._sources = hook.sources
        self._spool = Spool(hook.spool)
        self._allowed = allowed
        self._timing = timing
        self._deliveries: Deliveries | None = None
        self._is_set = False
        self._complaint = 0.0
        self._warned = float("-inf")

    def routes(self) -> Sequence[web.RouteDef]:
        """What the server must have. Whoever asks is checked here, and needs no other pass."""
        return [web.post(urlsplit(self._url).path or "/", self._receive)]

    async def run(self, bot: Bot, intake: Intake, ready: Callable[[bool], None]) -> None:
        """Have updates delivered until cancelled, and watch that they are.

        Args:
            bot: initialised client.
            intake: commits updates.
            ready: called with true once Telegram delivers here, with false while nobody knows.

        Raises:
            AdapterError: Telegram does not accept the address, or not the token any more.

        Cancelling: deliveries are refused from here on, so that Telegram keeps them.
        """
        deliveries = Deliveries(bot, intake, self._spool, self._timing)
        try:
            await deliveries.recall()
            self._deliveries = deliveries
            await self._watch(bot, ready)
        finally:
            self._deliveries = None
            await deliveries.close()

    async def _watch(self, bot: Bot, ready: Callable[[bool], None]) -> None:
        backoff, up = Backoff(self._timing), False
        self._is_set, self._complaint = False, time.time()
        while True:
            pause = await self._look(bot, backoff)
            if up is not (pause is None):
                up = pause is None
                ready(up)
            if pause is None:
                backoff.reset()
            await asyncio.sleep(self._timing.watch if pause is None else pause)

    async def _look(self, bot: Bot, backoff: Backoff) -> float | None:
        """Look after the webhook; seconds to pause after trouble, or `None` if all is well."""
        refusal: AdapterError
        try:
            info = await bot.get_webhook_info()
            # Set anew at each start: the secret may be another, and the kinds of updates too.
            if not self._is_set or info.url != self._url:
                await self._set(bot)
            self._report(info)
        except InvalidToken as error:
            refusal = TokenRefused(REFUSED)
            if is_unknown_method(error):
                refusal = AdapterError(
                    "This Bot API server has no webhooks: leave [telegram] webhook_url empty."
                )
        except RetryAfter as error:
            return seconds_to_wait(error)
        except BadRequest as error:
            if self._is_set:
                return self._trouble(error, backoff)
            refusal = AdapterError(
                f"Telegram does not accept [telegram] webhook_url: {error.message}."
            )
        except TelegramError as error:
            return self._trouble(error, backoff)
        else:
            return None
        # Raised out here, the original is not chained: its text may quote the token.
        raise refusal

    def _trouble(self, error: TelegramError, backoff: Backoff) -> float:
        pause = backoff.next()
        _log.warning("telegram cannot be reached", error=str(error), next_try=pause)
        return pause

    async def _set(self, bot: Bot) -> None:
        if self._is_set:
            _log.warning("another program changed the webhook; it is set again")
        await bot.set_webhook(
            self._url,
            max_connections=_CONNECTIONS,
            allowed_updates=self._allowed,
            secret_token=self._secret.decode(),
        )
        self._is_set = True
        _log.info("webhook set")

    def _report(self, info: WebhookInfo) -> None:
        """Log why Telegram could not deliver since the last look."""
        at = info.last_error_date
        if at is not None and at.timestamp() > self._complaint:
            self._complaint = at.timestamp()
            _log.warning(
                "telegram could not deliver",
                error=info.last_error_message,
                waiting=info.pending_update_count,
            )

    async def _receive(self, request: web.Request) -> web.Response:
        if (stranger := self._stranger(request)) is not None:
            return stranger
        try:
            # A body of more than 1 MiB is refused by the server with 413; no update is near that.
            data = await request.json()
        except ValueError:
            data = None
        if not is_update(data):
            return web.Response(status=400)
        if self._deliveries is None or not await self._deliveries.take(data):
            return web.Response(status=503)
        return web.Response()

    def _stranger(self, request: web.Request) -> web.Response | None:
        """The answer to somebody who is not Telegram."""
        forwarded = addresses(request.headers.getall("X-Forwarded-For", []))
        given = request.headers.get(HEADER, "")
        if not is_allowed(self._sources, request.remote, forwarded):
            why, status = "its address is in none of [telegram] webhook_sources", 403
        elif not hmac.compare_digest(given.encode(errors="replace"), self._secret):
            why, status = "without the secret", 401
        else:
            return None
        now = time.monotonic()
        if now - self._warned > _WARNINGS:
            self._warned = now
            _log.warning("somebody else called the webhook", why=why, remote=request.remote)
        return web.Response(status=status)
