"""Telegram: messages come in by long polling, replies go out through the Bot API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
import structlog
from telegram import Bot, BotCommand, Message
from telegram.error import InvalidToken, TelegramError

from bot.errors import RateLimited, SurfaceError, SurfaceUnavailable, TokenRefused
from bot.language import Catalogue
from bot.messages import Address, Attachment, ChannelKey, Person
from bot.platforms.telegram.client import make_bot, trust_for
from bot.platforms.telegram.files import fetch
from bot.platforms.telegram.incoming import PLATFORM, read
from bot.platforms.telegram.polling import DEFAULT_TIMING, REFUSED, Backoff, Polling, Timing
from bot.platforms.telegram.redaction import redacted
from bot.platforms.telegram.surface import Discoveries, TelegramSurface
from bot.reply.surface import Content, Mood
from bot.turns.commands import WORDS
from bot.turns.inbox import Inbox

_log = structlog.get_logger(__name__)

_TOKEN = re.compile(r"\d+:[\w-]+", re.ASCII)
_DOWNLOAD_TIMEOUT = 30.0
"""Seconds of silence after which a download is given up."""
PRIVACY_MODE = (
    "privacy mode is on, so in groups the bot sees commands, mentions and replies to it; "
    "that is all that it answers to"
)

_NOTICE_TRIES = 4
_NOTICE_GRACE = 2.0
"""Seconds that notices on their way get when the adapter closes."""


class TelegramAdapter:
    """Telegram as a platform; implements `bot.platforms.adapter.Adapter`.

    Args:
        token: from @BotFather.
        api_url: root of the Bot API server, the official one or a self-hosted one.
        timing: how long to wait for what.
        catalogue: what the bot says, in all its languages.
    """

    def __init__(
        self,
        *,
        token: str,
        api_url: str = "https://api.telegram.org",
        timing: Timing = DEFAULT_TIMING,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._token = token
        self._api_url = api_url
        self._timing = timing
        self._catalogue = catalogue or Catalogue()
        self._known = Discoveries()
        self._stack = AsyncExitStack()
        self._notices: set[asyncio.Task[None]] = set()
        self._bot: Bot | None = None
        self._web: httpx.AsyncClient | None = None

    @property
    def name(self) -> str:
        """`"telegram"`."""
        return PLATFORM

    async def open(self) -> None:
        """Log in, and put the commands into Telegram's menu.

        Waits for a server that cannot be reached, with pauses that grow to 30 s.

        Raises:
            TokenRefused: malformed, or Telegram does not accept it.
        """
        if not _TOKEN.fullmatch(self._token):
            raise TokenRefused(REFUSED)
        self._stack.enter_context(redacted(self._token))
        trust = await asyncio.to_thread(trust_for, self._api_url)
        self._bot = make_bot(self._token, self._api_url, trust)
        self._stack.push_async_callback(self._bot.shutdown)
        web = httpx.AsyncClient(verify=trust, timeout=_DOWNLOAD_TIMEOUT)
        self._web = await self._stack.enter_async_context(web)
        await self._log_in(self._bot)
        await self._publish_commands(self._bot)

    async def serve(self, inbox: Inbox, ready: Callable[[bool], None]) -> None:
        """Take messages in until cancelled; see `bot.platforms.adapter.Adapter.serve`.

        Raises:
            TokenRefused: Telegram does not accept the token any more.

        Cancelling: what was committed is confirmed (two seconds at most), the rest is delivered
        again after the next start.
        """
        bot = self._opened()

        async def commit(messages: Sequence[Message]) -> None:
            for message in messages:
                self._known.saw(message.chat_id, message.message_id)
            if (new := messages[0].migrate_to_chat_id) is not None:
                await self._move(inbox, messages[0].chat_id, new)
            wish = read(messages, bot.bot)
            if wish is None:
                return
            if wish.command is None:
                words = await inbox.words(wish.message)
                self._tell(wish.message.address, wish.refusal.said_in(words))
            elif notice := await inbox.handle(wish.message, wish.command):
                self._tell(wish.message.address, notice.text)

        async def edited(message: Message) -> None:
            wish = read([message], bot.bot)
            if wish is not None and wish.command is not None:
                # An item of an album says nothing of the other items.
                files = () if message.media_group_id else wish.message.attachments
                await inbox.edited(replace(wish.message, attachments=files), wish.command)

        await Polling(bot, commit, edited, self._timing).run(ready)

    async def advice(self) -> Sequence[str]:
        """As `bot.platforms.adapter.Adapter.advice`."""
        if self._opened().bot.can_read_all_group_messages:
            return ()
        return (PRIVACY_MODE,)

    async def close(self) -> None:
        """Let notices on their way arrive, then give connections back. Idempotent."""
        if self._notices:
            _, late = await asyncio.wait(self._notices, timeout=_NOTICE_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._stack.aclose()

    def surface(self, address: Address) -> TelegramSurface:
        """The surface for a reply; `address` was made by this adapter, perhaps long ago."""
        return TelegramSurface(self._opened(), address, self._known)

    async def tell(self, person: Person, text: str) -> bool:
        """As `bot.platforms.adapter.Adapter.tell`: in private, if the person ever wrote there."""
        try:
            await self._opened().send_message(int(person.id), text)
        except TelegramError as error:
            _log.info("person not told", error=str(error))
            return False
        return True

    async def fetch(self, channel: ChannelKey, attachment: Attachment, limit: int) -> bytes:
        """As `bot.turns.ports.Attachments.fetch`; Telegram itself hands out up to 20 MB."""
        del channel
        if self._web is None:
            raise RuntimeError("open() comes first")
        return await fetch(self._opened(), self._web, attachment, limit)

    async def _move(self, inbox: Inbox, old: int, new: int) -> None:
        """A group became a supergroup, which has an id of its own."""
        self._known.moved[old] = new
        await inbox.moved(ChannelKey(PLATFORM, (str(old),)), ChannelKey(PLATFORM, (str(new),)))

    def _opened(self) -> Bot:
        if self._bot is None:
            raise RuntimeError("open() comes first")
        return self._bot

    async def _log_in(self, bot: Bot) -> None:
        backoff = Backoff(self._timing)
        refused = False
        while not refused:
            try:
                await bot.initialize()
            except InvalidToken:
                refused = True
            except TelegramError as error:
                pause = backoff.next()
                _log.warning("telegram cannot be reached", error=str(error), next_try=pause)
                await asyncio.sleep(pause)
            else:
                _log.info("telegram logged in", bot=bot.username)
                return
        # Raised out here, the original is not chained: its text quotes the token.
        raise TokenRefused(REFUSED)

    async def _publish_commands(self, bot: Bot) -> None:
        try:
            for language in ("", *self._catalogue.languages):
                words = self._catalogue.words(language)
                menu = tuple(BotCommand(word, words(f"command-{word}")) for word in WORDS)
                if await bot.get_my_commands(language_code=language or None) != menu:
                    await bot.set_my_commands(menu, language_code=language or None)
        except TelegramError as error:
            _log.warning("command menu not set", error=str(error))

    def _tell(self, address: Address, text: str) -> None:
        """Answer in the background: the next update must not wait for Telegram."""
        task = asyncio.create_task(self._send_notice(address, text))
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _send_notice(self, address: Address, text: str) -> None:
        backoff = Backoff(self._timing)
        content = Content(text, mood=Mood.DONE)
        for _ in range(_NOTICE_TRIES):
            try:
                receipt = await self.surface(address).create(content, "")
            except RateLimited as error:
                await asyncio.sleep(error.retry_after)
            except SurfaceUnavailable:
                await asyncio.sleep(backoff.next())
            except SurfaceError as error:
                _log.warning("notice not delivered", chat=address.chat, error=str(error))
                return
            else:
                chat: int = address.data["chat_id"]
                self._known.notices.extend((chat, each) for each in receipt["ids"])
                return
        _log.warning("notice given up", chat=address.chat)
