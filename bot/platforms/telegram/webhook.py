"""Receives updates over HTTP, on the server that the bot has for its web chat.

`Webhook` has them delivered and checks who delivers; `Deliveries` commits them, so that each can be
acknowledged; `UpdateJournal` keeps those that are acknowledged before they can be committed.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from telegram import Bot, Message, Update, WebhookInfo
from telegram.error import BadRequest, InvalidToken, TelegramError

from bot.errors import AdapterError, StorageError, TokenRefused
from bot.platforms.telegram.errors import REFUSED, is_unknown_method, pause_after
from bot.platforms.telegram.handlers import Handlers
from bot.platforms.telegram.updates import (
    Album,
    Albums,
    Timing,
    UpdateQueue,
    is_update,
    parse_update,
)
from bot.support import Backoff, skipped_when_broken, write_durably

_log = structlog.get_logger(__name__)

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"
_MAX_CONNECTIONS: Final = 100
"""Deliveries at the same time; Telegram makes no more than these (Bot API, `setWebhook`)."""
_WARNING_INTERVAL_SECONDS: Final = 60.0
"""Between two warnings about strangers; anybody can cause them."""
_MAX_COMMITTED: Final = 1000
"""Committed updates that are recognised if they come again because Telegram lost the answer."""


@dataclass(frozen=True, slots=True)
class Hook:
    """How Telegram delivers.

    Attributes:
        url: where it reaches the server that the routes are added to.
        secret: what it says with each delivery; empty: one is made up at each start.
        allowlist: networks that deliveries come from; none: from anywhere.
        journal: folder for updates that are acknowledged and not committed yet.
    """

    url: str
    secret: str = field(repr=False)
    allowlist: tuple[Network, ...]
    journal: Path


class Webhook:
    """Has updates of the allowed kinds delivered, and lets nobody but Telegram deliver."""

    def __init__(self, hook: Hook, allowed: Sequence[str], timing: Timing) -> None:
        self._hook = hook
        self._secret = (hook.secret or secrets.token_urlsafe(32)).encode()
        self._allowed = allowed
        self._timing = timing
        self._deliveries: Deliveries | None = None
        self._is_set = False
        self._reported_until = 0.0
        self._warned_at = float("-inf")

    def routes(self) -> Sequence[web.RouteDef]:
        """What the server must have. Callers are checked here and need no other pass."""
        return [web.post(urlsplit(self._hook.url).path or "/", self._receive)]

    async def run(self, bot: Bot, handlers: Handlers, ready: Callable[[bool], None]) -> None:
        """Have updates delivered until cancelled, and watch that they are.

        Args:
            bot: initialised client.
            handlers: commit updates.
            ready: called with true once Telegram delivers here, with false while that is unknown.

        Raises:
            AdapterError: Telegram does not accept the address, or not the token any more.

        Cancelling: deliveries are refused from here on, so that Telegram keeps them.
        """
        journal = UpdateJournal(self._hook.journal)
        deliveries = Deliveries(bot, handlers, journal, self._timing)
        try:
            await deliveries.recall()
            self._deliveries = deliveries
            backoff, up = self._timing.backoff(), False
            self._is_set, self._reported_until = False, time.time()
            while True:
                pause = await self._check(bot, backoff)
                if up is not (pause is None):
                    up = not up
                    ready(up)
                if pause is None:
                    backoff.reset()
                    pause = self._timing.webhook_check_seconds
                await asyncio.sleep(pause)
        finally:
            self._deliveries = None
            await deliveries.close()

    async def _check(self, bot: Bot, backoff: Backoff) -> float | None:
        """Look after the webhook; seconds to pause after trouble, or `None` if all is well."""
        refusal: AdapterError
        try:
            info = await bot.get_webhook_info()
            # Set anew at each start: the secret may be another, and the kinds of updates too.
            if not self._is_set or info.url != self._hook.url:
                await self._set(bot)
            self._report(info)
        except InvalidToken as error:
            refusal = TokenRefused(REFUSED)
            if is_unknown_method(error):
                refusal = AdapterError(
                    "This Bot API server has no webhooks: leave [telegram] webhook_url empty."
                )
        except TelegramError as error:
            if self._is_set or not isinstance(error, BadRequest):
                return pause_after(error, backoff)
            refusal = AdapterError(
                f"Telegram does not accept [telegram] webhook_url: {error.message}."
            )
        else:
            return None
        # Raised out here, the original is not chained: its text may quote the token.
        raise refusal

    async def _set(self, bot: Bot) -> None:
        if self._is_set:
            _log.warning("another program changed the webhook; it is set again")
        await bot.set_webhook(
            self._hook.url,
            max_connections=_MAX_CONNECTIONS,
            allowed_updates=self._allowed,
            secret_token=self._secret.decode(),
        )
        self._is_set = True
        _log.info("webhook set")

    def _report(self, info: WebhookInfo) -> None:
        """Log why Telegram could not deliver since the last look."""
        at = info.last_error_date
        if at is not None and at.timestamp() > self._reported_until:
            self._reported_until = at.timestamp()
            _log.warning(
                "telegram could not deliver",
                error=info.last_error_message,
                waiting=info.pending_update_count,
            )

    async def _receive(self, request: web.Request) -> web.Response:
        if (refusal := self._refuse_stranger(request)) is not None:
            return refusal
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

    def _refuse_stranger(self, request: web.Request) -> web.Response | None:
        """The answer to a caller that is not Telegram."""
        forwarded = forwarded_addresses(request.headers.getall("X-Forwarded-For", []))
        given = request.headers.get(_HEADER, "")
        if not is_allowed(self._hook.allowlist, request.remote, forwarded):
            why, status = "its address is in none of [telegram] webhook_sources", 403
        elif not hmac.compare_digest(given.encode(errors="replace"), self._secret):
            why, status = "without the secret", 401
        else:
            return None
        now = time.monotonic()
        if now - self._warned_at > _WARNING_INTERVAL_SECONDS:
            self._warned_at = now
            _log.warning("somebody else called the webhook", why=why, remote=request.remote)
        return web.Response(status=status)


def is_allowed(allowlist: Sequence[Network], remote: str | None, forwarded: Sequence[str]) -> bool:
    """Whether a delivery comes from one of these networks, as far as can be told.

    Telegram names two networks for its deliveries ("Marvin's Marvellous Guide to All Things
    Webhook"). Something usually stands in front of the bot and speaks https for it, so a private
    address counts as such a proxy, and what it says of its client counts next.

    Args:
        allowlist: where it may come from; none: from anywhere.
        remote: the address at the other end of the connection; `None` where there is none.
        forwarded: the addresses in `X-Forwarded-For`, in their order. Only those are believed
            that one's own proxies wrote: from the last one back to the first public one.
    """
    if not allowlist:
        return True
    for text in (*([] if remote is None else [remote]), *reversed(forwarded)):
        address = _parse_address(text)
        if address is None:
            return False
        if any(address in network for network in allowlist):
            return True
        if address.is_global:
            return False
    return True  # the proxy does not say who its client is; the secret has to do


def forwarded_addresses(headers: Sequence[str]) -> list[str]:
    """The addresses in all `X-Forwarded-For` headers of a request."""
    return [part for header in headers for each in header.split(",") if (part := each.strip())]


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    host = text.partition("]")[0].lstrip("[")
    if host.count(":") == 1:  # an IPv4 address with a port
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


class Deliveries:
    """Commits updates that Telegram brings: each chat's in order, all chats side by side.

    Telegram brings the updates of one chat one after the other, each once the one before was
    acknowledged. So an album cannot be waited for: its items are written into the journal,
    acknowledged, and committed together when no more come.
    """

    def __init__(
        self, bot: Bot, handlers: Handlers, journal: UpdateJournal, timing: Timing
    ) -> None:
        self._bot = bot
        self._handlers = handlers
        self._journal = journal
        self._timing = timing
        self._albums = Albums(timing.album_seconds)
        self._queue = UpdateQueue()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._committed: deque[int] = deque(maxlen=_MAX_COMMITTED)
        self._arriving: Counter[str | None] = Counter()
        self._closed = False

    async def recall(self) -> None:
        """Take up the albums that an earlier process left uncommitted."""
        for data in await asyncio.to_thread(self._journal.entries):
            update = parse_update(data, self._bot)
            if update is not None and update.message is not None:
                await self._collect(update.update_id, update.message)

    async def take(self, data: dict[str, Any]) -> bool:
        """Commit an update, unless it is known; false if Telegram is to bring it again.

        Cancelling: it is committed all the same, and known when it comes again.
        """
        update_id: int = data["update_id"]
        task = self._running.get(update_id)
        if task is None and update_id not in self._committed and not self._closed:
            task = self._running[update_id] = self._begin(data)
            task.add_done_callback(lambda _: self._running.pop(update_id, None))
        if task is not None:
            await asyncio.wait([task])
        return update_id in self._committed

    async def close(self) -> None:
        """Commit nothing more. What was not acknowledged comes again; open albums are kept."""
        self._closed = True
        await self._queue.close()

    def _begin(self, data: dict[str, Any]) -> asyncio.Task[None]:
        update = parse_update(data, self._bot) or Update(data["update_id"])
        message = update.message
        if message is not None and message.media_group_id is not None:
            self._arriving[message.media_group_id] += 1
            return self._queue.add(update, partial(self._arrive, data, message))
        for album in list(self._albums.open.values()):
            if message is not None and album.is_before(message):
                self._finish(album)
        return self._queue.add(update, partial(self._commit, update))

    async def _commit(self, update: Update) -> None:
        try:
            with skipped_when_broken(_log, "update skipped", update=update.update_id):
                await self._handlers.take(update)
            self._committed.append(update.update_id)
        except StorageError as error:
            _log.error("update cannot be stored", error=str(error))

    async def _arrive(self, data: dict[str, Any], message: Message) -> None:
        update_id: int = data["update_id"]
        try:
            await asyncio.to_thread(self._journal.add, data)
            await self._collect(update_id, message)
            self._committed.append(update_id)
        except StorageError as error:
            _log.error("update cannot be kept", error=str(error))
        finally:
            self._arriving[message.media_group_id] -= 1
            self._arriving += Counter()  # without those at zero

    async def _collect(self, update_id: int, message: Message) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._albums.add(update_id, message, now):
            await asyncio.to_thread(self._journal.remove, [update_id])
            return
        # At once if it is full; but not before this item counts as arrived.
        loop.call_soon(self._finish_complete, now)
        due = now + self._timing.album_seconds
        loop.call_at(due, self._finish_complete, due)

    def _finish_complete(self, now: float) -> None:
        for album in list(self._albums.open.values()):
            is_arriving = self._arriving[album.group]  # then its timer begins anew
            if album.due <= now and not is_arriving and not self._closed:
                self._finish(album)

    def _finish(self, album: Album) -> None:
        self._albums.close(album)
        self._queue.add(album.update, partial(self._commit_album, album))

    async def _commit_album(self, album: Album) -> None:
        """Try until it is committed: Telegram does not bring it again."""
        backoff, stored = self._timing.backoff(), False
        while not stored:
            try:
                with skipped_when_broken(_log, "album skipped", updates=list(album.items)):
                    await self._handlers.take(album.update, album.messages)
                stored = True
            except StorageError as error:
                pause = backoff.next()
                _log.error("album cannot be stored", error=str(error), next_try=pause)
                await asyncio.sleep(pause)
        await asyncio.to_thread(self._journal.remove, list(album.items))


class UpdateJournal:
    """A folder of updates that are acknowledged and not committed yet. All of it blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, update: dict[str, Any]) -> None:
        """Write an update down; when this returns, it outlives a crash of the machine.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            write_durably(self._path(update["update_id"]), json.dumps(update).encode())
        except OSError as error:
            raise StorageError(
                f"{self._folder} cannot be written to ({error.strerror}). Check its disk and owner."
            ) from error

    def remove(self, update_ids: Iterable[int]) -> None:
        """Forget updates. One that remains is committed again later, which changes nothing."""
        for update_id in update_ids:
            try:
                self._path(update_id).unlink(missing_ok=True)
            except OSError as error:
                _log.warning("update not forgotten", update=update_id, error=str(error))

    def entries(self) -> list[dict[str, Any]]:
        """All updates in their order; a file that cannot be read is passed over."""
        found = []
        for path in self._folder.glob("*.json"):
            try:
                update = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                _log.warning("update cannot be read", file=path.name, error=str(error))
                continue
            if is_update(update):
                found.append(update)
        return sorted(found, key=lambda update: update["update_id"])

    def _path(self, update_id: int) -> Path:
        return self._folder / f"{update_id}.json"
