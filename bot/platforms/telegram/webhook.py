"""Updates that Telegram brings: each is committed before it is acknowledged.

Telegram brings the updates of one chat one after the other, each once the one before was
acknowledged, and repeats what was not. So an album cannot be waited for: its first item that is for
the bot begins the turn, and every further one begins it again with all that is there.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from telegram import Bot, Message, Update, WebhookInfo
from telegram.error import BadRequest, InvalidToken, TelegramError

from bot.errors import AdapterError, StorageError, TokenRefused
from bot.platforms.telegram.intake import BROKEN, Intake
from bot.platforms.telegram.lines import Lines
from bot.platforms.telegram.polling import REFUSED
from bot.platforms.telegram.timing import Backoff, Timing
from bot.platforms.telegram.updates import is_update, lines_of, readable

_log = structlog.get_logger(__name__)

HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"
_CONNECTIONS: Final = 100
"""Deliveries at the same time, the most that Telegram makes (Bot API, `setWebhook`)."""
_REMEMBERED: Final = 1000
"""Committed updates that are known again when their acknowledgement was lost."""
_ALBUMS: Final = 256


@dataclass(slots=True)
class _Album:
    """The items of an album that came so far, by message id.

    Attributes:
        begun: it was committed with fewer items.
    """

    items: dict[int, Message] = field(default_factory=dict)
    begun: bool = False


class Webhook:
    """Receives updates over HTTP.

    Args:
        url: where Telegram reaches the server that `routes` are added to.
        secret: what Telegram says with each delivery; empty: one is made up.
        allowed: the kinds of updates that Telegram shall deliver.
        timing: see there.
    """

    def __init__(self, url: str, secret: str, allowed: Sequence[str], timing: Timing) -> None:
        self._url = url
        self._secret = secret or secrets.token_urlsafe(32)
        self._allowed = allowed
        self._timing = timing
        self._lines = Lines()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._done: deque[int] = deque(maxlen=_REMEMBERED)
        self._albums: OrderedDict[str, _Album] = OrderedDict()
        self._serving: tuple[Bot, Intake] | None = None
        self._complaint = 0.0

    def routes(self) -> Sequence[web.RouteDef]:
        """What the server must have; whoever asks is checked here."""
        return [web.post(urlsplit(self._url).path, self._receive)]

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
        self._serving = (bot, intake)
        backoff, up = Backoff(self._timing), False
        try:
            while True:
                well = await self._is_well(bot)
                if well is not up:
                    up = well
                    ready(up)
                if well:
                    backoff.reset()
                await asyncio.sleep(self._timing.watch if well else backoff.next())
        finally:
            self._serving = None
            await self._lines.close()

    async def _is_well(self, bot: Bot) -> bool:
        """Look after the webhook; false if Telegram cannot be reached."""
        refused = False
        try:
            info = await bot.get_webhook_info()
            # Set anew at each start: the secret may be another, and the kinds of updates too.
            if info.url != self._url or self._complaint == 0.0:
                await self._set(bot, info)
            self._report(info)
        except InvalidToken:
            refused = True
        except BadRequest as error:
            raise AdapterError(
                f"Telegram does not accept [telegram] webhook_url: {error.message}."
            ) from error
        except TelegramError as error:
            _log.warning("telegram cannot be reached", error=str(error))
            return False
        if refused:
            # Raised out here, the original is not chained: its text may quote the token.
            raise TokenRefused(REFUSED)
        return True

    async def _set(self, bot: Bot, info: WebhookInfo) -> None:
        if self._complaint and info.url != self._url:
            _log.warning("another program changed the webhook; it is set again")
        await bot.set_webhook(
            self._url,
            max_connections=_CONNECTIONS,
            allowed_updates=self._allowed,
            secret_token=self._secret,
        )
        self._complaint = self._complaint or 1.0

    def _report(self, info: WebhookInfo) -> None:
        """Log why Telegram could not deliver, each time once."""
        at = info.last_error_date
        if at is not None and at.timestamp() > self._complaint:
            known, self._complaint = self._complaint > 1.0, at.timestamp()
            level = _log.warning if known or info.pending_update_count else _log.info
            level(
                "telegram could not deliver",
                error=info.last_error_message,
                waiting=info.pending_update_count,
            )

    async def _receive(self, request: web.Request) -> web.Response:
        given = request.headers.get(HEADER, "")
        if not hmac.compare_digest(given.encode(errors="replace"), self._secret.encode()):
            _log.warning("webhook called without its secret", remote=request.remote)
            return web.Response(status=401)
        try:
            data = await request.json()
        except ValueError:
            data = None
        if not is_update(data):
            return web.Response(status=400)
        return web.Response(status=200 if await self._is_committed(data) else 503)

    async def _is_committed(self, data: dict[str, Any]) -> bool:
        """Commit an update, unless it is known; false if Telegram shall bring it again."""
        update_id: int = data["update_id"]
        if update_id in self._done:
            return True
        task = self._running.get(update_id)
        if task is None:
            if self._serving is None:
                return False
            bot, intake = self._serving
            update = Update.de_json(readable(data), bot)
            job = partial(self._commit, intake, update)
            task = self._running[update_id] = self._lines.add(lines_of(update), job)
            task.add_done_callback(lambda _: self._running.pop(update_id, None))
        # When Telegram hangs up, it is committed all the same, and known when it comes again.
        await asyncio.wait([task])
        if task.cancelled() or isinstance(task.exception(), StorageError):
            return False
        task.result()
        return True

    async def _commit(self, intake: Intake, update: Update) -> None:
        try:
            message = update.message
            if message is not None and message.media_group_id is not None:
                await self._grow(intake, message.media_group_id, message)
            else:
                await intake.take(update)
        except StorageError as error:
            _log.error("update cannot be stored", error=str(error))
            raise
        except BROKEN:
            _log.exception("update skipped", update=update.update_id)
        self._done.append(update.update_id)

    async def _grow(self, intake: Intake, group: str, message: Message) -> None:
        album = self._albums.setdefault(group, _Album())
        album.items[message.message_id] = message
        items = [album.items[each] for each in sorted(album.items)]
        if album.begun:
            await intake.grown(items)
        else:
            album.begun = await intake.messages(items)
        if len(self._albums) > _ALBUMS:
            self._albums.popitem(last=False)
