"""How a Bot API server delivers: each chat's updates one after the other, chats side by side."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp

from tests.servers.telegram_world import Json, bad_request

HEADER = "X-Telegram-Bot-Api-Secret-Token"
_AGAIN = 0.05
"""Seconds until a delivery that was not taken is tried again."""
_DELIVERY_TIMEOUT_SECONDS = 60.0
_MAX_AT_ONCE = 40


class Hook:
    """The webhook of one bot.

    Args:
        confirm: called with the id of an update that the bot took.
        news: called after each answer.

    Attributes:
        url: where updates go; empty: nowhere.
        statuses: of all answers, in their order; 0 for none.
    """

    def __init__(self, confirm: Callable[[int], None], news: Callable[[], Awaitable[None]]) -> None:
        self._confirm = confirm
        self._news = news
        self.url = ""
        self.secret = ""
        self.connections = _MAX_AT_ONCE
        self.statuses: list[int] = []
        self._error: Json = {}
        self._busy: dict[Any, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    def set(self, params: Json) -> None:
        """As `setWebhook`; without a URL as `deleteWebhook`."""
        url, secret = params.get("url", ""), params.get("secret_token", "")
        if url and not re.match(r"https?://[^/]", url):
            raise bad_request("bad webhook: HTTPS url must be provided for webhook")
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", secret):
            raise bad_request("secret token contains unallowed characters")
        self.url, self.secret, self._error = url, secret, {}
        self.connections = int(params.get("max_connections") or _MAX_AT_ONCE)

    def info(self, pending: int) -> Json:
        """As `getWebhookInfo`."""
        return {
            "url": self.url,
            "has_custom_certificate": False,
            "pending_update_count": pending,
            "max_connections": self.connections,
            **self._error,
        }

    def start(self, updates: Sequence[Json]) -> None:
        """Begin to deliver what waits."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(_DELIVERY_TIMEOUT_SECONDS)
        )
        self.deliver(updates)

    async def stop(self) -> None:
        """Hang up."""
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def deliver(self, updates: Sequence[Json]) -> None:
        """Bring the first update of each queue that waits for no answer."""
        for update in updates:
            queue = _queue(update)
            if self._session is None or not self.url or len(self._busy) >= self.connections:
                return
            if queue not in self._busy:
                self._busy[queue] = asyncio.create_task(self._bring(queue, update))

    async def _bring(self, queue: Any, update: Json) -> None:
        """Bring one update until it is taken, or until there is no webhook any more."""
        taken = False
        try:
            while self.url and not taken:
                status = await self._post(update)
                self.statuses.append(status)
                await self._news()
                taken = 200 <= status < 300
                if not taken:
                    self._failed(status)
                    await asyncio.sleep(_AGAIN)
        finally:
            del self._busy[queue]
        if taken:
            self._confirm(update["update_id"])

    async def _post(self, update: Json) -> int:
        headers = {HEADER: self.secret} if self.secret else {}
        if self._session is None:
            return 0
        try:
            async with self._session.post(self.url, json=update, headers=headers) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    def _failed(self, status: int) -> None:
        text = f"Wrong response from the webhook: {status}" if status else "Connection refused"
        self._error = {"last_error_date": int(time.time()), "last_error_message": text}


def _queue(update: Json) -> tuple[str, Any]:
    """What an update waits behind; as in the official server, kinds do not wait for each other."""
    kind, content = next((k, v) for k, v in update.items() if k != "update_id")
    if "chat" in content:
        return kind, content["chat"]["id"]
    return kind, content.get("from", {}).get("id")
