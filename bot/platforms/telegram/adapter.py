"""Telegram: updates are fetched or delivered, replies go out through the Bot API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

import httpx
import structlog
from telegram.error import InvalidToken, TelegramError

from bot.errors import TokenRefused
from bot.i18n import Catalogue
from bot.models import Address, Attachment, ChannelKey, Person
from bot.platforms.adapter import run_when_connected
from bot.platforms.telegram.client import PLATFORM, TelegramTarget, make_bot, trust_for
from bot.platforms.telegram.errors import REFUSED, pause_after
from bot.platforms.telegram.files import fetch
from bot.platforms.telegram.handlers import Handlers
from bot.platforms.telegram.inline import INLINE_UPDATES, Inline, InlineSurface, InlineTarget
from bot.platforms.telegram.menus import publish_commands
from bot.platforms.telegram.notices import Notices
from bot.platforms.telegram.polling import Polling
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.surface import ChatActions, TelegramSurface
from bot.platforms.telegram.updates import ALLOWED_UPDATES, Timing
from bot.turns.dispatcher import Dispatcher

if TYPE_CHECKING:
    from aiohttp import web

    from bot.platforms.telegram.webhook import Hook, Webhook

_log = structlog.get_logger(__name__)

_TOKEN: Final = re.compile(r"\d+:[\w-]+", re.ASCII)
_DOWNLOAD_TIMEOUT_SECONDS: Final = 30.0
"""A download that is silent for so long is given up."""
PRIVACY_MODE: Final = (
    "privacy mode is on, so in groups the bot sees commands, mentions and replies to it; "
    "that is all that it answers to"
)
NO_INLINE: Final = (
    "[telegram] inline is on, but not at @BotFather: send /setinline there, and /setinlinefeedback "
    "with 100%, or the bot never learns what people chose"
)


class TelegramAdapter:
    """Telegram as a platform; implements `bot.platforms.adapter.Adapter`.

    Nothing but `name` and `routes` can be used before `open`.

    Args:
        token: from @BotFather.
        api_url: root of the Bot API server, the official one or a self-hosted one.
        timing: how long to wait for what.
        catalogue: what the bot says, in all its languages.
        hook: how Telegram delivers updates; `None`: they are fetched by long polling.
        folds: long answers are quotes that show their first lines until somebody opens them.
        inline: people may use the bot in any chat by its name.
        language: tag of the one to speak where no particular person is addressed.
    """

    name = PLATFORM

    def __init__(  # noqa: PLR0913 - one keyword per setting; each has its own default
        self,
        *,
        token: str,
        api_url: str = "https://api.telegram.org",
        timing: Timing | None = None,
        catalogue: Catalogue | None = None,
        hook: Hook | None = None,
        folds: bool = False,
        inline: bool = False,
        language: str = "en",
    ) -> None:
        self._token = token
        self._api_url = api_url
        self._timing = timing or Timing()
        self._catalogue = catalogue or Catalogue()
        self._allowed = (*ALLOWED_UPDATES, *INLINE_UPDATES) if inline else ALLOWED_UPDATES
        self._webhook: Webhook | None = None
        if hook is not None:
            from bot.platforms.telegram.webhook import (  # noqa: PLC0415 - loads a web server
                Webhook,
            )

            self._webhook = Webhook(hook, self._allowed, self._timing)
        self._folds = folds
        self._inline = inline
        self._language = language
        self._state = ServerState(remembers_pictures=inline)
        self._stack = AsyncExitStack()

    def routes(self) -> Sequence[web.RouteDef]:
        """What the project's HTTP server must have for Telegram; these guard themselves."""
        return () if self._webhook is None else self._webhook.routes()

    async def open(self) -> None:
        """Log in. Waits for a server that cannot be reached, with pauses that grow to 30 s.

        Raises:
            TokenRefused: malformed, or Telegram does not accept it.
        """
        if not _TOKEN.fullmatch(self._token):
            raise TokenRefused(REFUSED)
        trust = await asyncio.to_thread(trust_for, self._api_url)
        self._bot = make_bot(self._token, self._api_url, trust)
        self._stack.push_async_callback(self._bot.shutdown)
        self._downloads = httpx.AsyncClient(verify=trust, timeout=_DOWNLOAD_TIMEOUT_SECONDS)
        await self._stack.enter_async_context(self._downloads)
        await self._log_in()
        self._actions = ChatActions(self._bot)
        self._stack.push_async_callback(self._actions.close)
        self._notices = Notices(self._bot, self._state, self._timing)
        self._stack.push_async_callback(self._notices.close)

    async def serve(self, dispatcher: Dispatcher, ready: Callable[[bool], None]) -> None:
        """Take messages in until cancelled; once connected, publish the menu of commands.

        Raises:
            TokenRefused: Telegram does not accept the token any more.
            AdapterError: Telegram does not accept the address of the webhook.

        Cancelling: what was committed is confirmed (two seconds at most), the rest is delivered
        again after the next start.
        """
        inline = Inline(self._bot, dispatcher, self._state) if self._inline else None
        handlers = Handlers(self._bot, dispatcher, self._state, self._notices, inline)
        publish = partial(publish_commands, self._bot, self._catalogue)
        async with AsyncExitStack() as stack:
            if inline is not None:
                stack.push_async_callback(inline.close)
            told = await stack.enter_async_context(
                run_when_connected(publish, ready, self._timing.settle_seconds)
            )
            if self._webhook is not None:
                await self._webhook.run(self._bot, handlers, told)
            else:
                await Polling(self._bot, handlers, self._allowed, self._timing).run(told)

    async def advice(self) -> Sequence[str]:
        """What this account may not do: read all of a group, and be used inline."""
        me = self._bot.bot
        advice = () if me.can_read_all_group_messages else (PRIVACY_MODE,)
        return (*advice, NO_INLINE) if self._inline and not me.supports_inline_queries else advice

    async def close(self) -> None:
        """Let notices on their way arrive, then give connections back. Idempotent."""
        await self._stack.aclose()

    def surface(self, address: Address) -> TelegramSurface | InlineSurface:
        """The surface for a reply; `address` was made by this adapter, perhaps long ago."""
        if "inline" in address.data:
            inline = InlineTarget(**address.data)
            words = self._catalogue.words(inline.language)
            return InlineSurface(self._bot, inline, self._state, words)
        return TelegramSurface(
            self._bot,
            TelegramTarget(**address.data),
            self._state,
            self._actions,
            folds=self._folds,
            words=self._catalogue.words(self._language),
        )

    async def tell(self, person: Person, text: str) -> bool:
        """Write to a person in private, once; false if the person never wrote there."""
        try:
            await self._bot.send_message(int(person.id), text)
        except TelegramError as error:
            _log.info("person not told", error=str(error))
            return False
        return True

    async def fetch(self, channel: ChannelKey, attachment: Attachment, limit: int) -> bytes:
        del channel
        return await fetch(self._bot, self._downloads, attachment, limit)

    async def _log_in(self) -> None:
        backoff = self._timing.backoff()
        while True:
            try:
                await self._bot.initialize()
            except InvalidToken:
                break
            except TelegramError as error:
                await asyncio.sleep(pause_after(error, backoff))
            else:
                _log.info("telegram logged in", bot=self._bot.username)
                return
        # Raised out here, the original is not chained: its text quotes the token.
        raise TokenRefused(REFUSED)
