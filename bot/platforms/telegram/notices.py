"""Sends what the bot says without a turn, in the background: no update waits for Telegram."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any, Final

import structlog
from telegram import Bot, ForceReply, Message
from telegram.error import TelegramError

from bot.errors import (
    ContentRefused,
    DeliveryUnknown,
    RateLimited,
    SurfaceError,
    SurfaceForbidden,
    SurfaceUnavailable,
)
from bot.models import Notice
from bot.platforms.telegram.client import ChatClient, TelegramTarget
from bot.platforms.telegram.entities import MAX_CAPTION_UNITS, Rendered, render, utf16_length
from bot.platforms.telegram.errors import Request, is_too_late, translated
from bot.platforms.telegram.menus import keyboard
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.updates import Timing
from bot.support import BackgroundTasks

_log = structlog.get_logger(__name__)

_MAX_TRIES: Final = 4
_CLOSE_TIMEOUT_SECONDS: Final = 2.0
"""How long notices on their way may take to arrive when the adapter closes."""
_MAX_ALERT_UNITS: Final = 200
"""UTF-16 code units after rendering, in the answer to a press (Bot API)."""
_EXAMPLE: Final = "example.png"
"""A drawing of the stand-in, as an example of what comes of a prompt."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a notice concerns.

    Attributes:
        person: a user id.
        query_id: of the press that it answers; `None` where it answers a message.
    """

    person: int
    query_id: str | None = None

    @property
    def occasion(self) -> str:
        """What is answered; Telegram may allow ephemeral messages after one and not the other."""
        return "message" if self.query_id is None else "press"


class Notices:
    def __init__(self, bot: Bot, state: ServerState, timing: Timing) -> None:
        self._bot = bot
        self._state = state
        self._timing = timing
        self._tasks = BackgroundTasks()

    def say(self, target: TelegramTarget, notice: Notice, listener: Listener | None = None) -> None:
        """Send a notice; a private one to `listener` alone, where others could read along."""
        self._tasks.start(self._say(self._chat(target), notice, listener))

    def help(self, target: TelegramTarget, notice: Notice) -> None:
        """Send the help, with a picture of what the bot draws."""
        self._tasks.start(self._help(self._chat(target), notice))

    def send_privately(
        self, person: int, notice: Notice, here: TelegramTarget, *, sent: Notice, refused: Notice
    ) -> None:
        """Send a notice to a private chat; `here`, where it was asked for, say what came of it."""

        async def both() -> None:
            private = self._chat(TelegramTarget(person, private=True))
            arrived = await self._deliver(private, notice)
            await self._deliver(self._chat(here), sent if arrived else refused)

        self._tasks.start(both())

    def ask(self, target: TelegramTarget, shown: Rendered, field: ForceReply) -> None:
        """Send a question that opens a field for the answer."""
        chat = self._chat(target)
        self._tasks.start(self._send(chat, partial(chat.send_text, shown, field)))

    def answer(self, press: Listener, target: TelegramTarget | None, notice: Notice | None) -> None:
        """Answer a press: in a small window if it is short and private, else with a message.

        Without a notice it is answered all the same, or the button would seem to be stuck.

        Args:
            press: who pressed.
            target: with the message whose button was pressed as the one to reply to; `None` if
                there is nothing to say.
            notice: what to say.
        """
        self._tasks.start(self._answer(press, target, notice))

    async def close(self) -> None:
        """Let notices on their way arrive, two seconds at most."""
        await self._tasks.close(_CLOSE_TIMEOUT_SECONDS)

    def _chat(self, target: TelegramTarget) -> ChatClient:
        return ChatClient(self._bot, target, self._state)

    async def _deliver(self, chat: ChatClient, notice: Notice) -> bool:
        """Send a notice now; returns whether Telegram took all of it."""
        shown, markup = chat.render(notice.text), keyboard(notice.buttons)
        if len(notice.files) == 1 and utf16_length(shown.text) <= MAX_CAPTION_UNITS:
            return await self._send(chat, partial(chat.send_file, *notice.files, shown, markup))
        sent = await self._send(chat, partial(chat.send_text, shown, markup))
        for file in notice.files:
            sent &= await self._send(chat, partial(chat.send_file, file, Rendered("")))
        return sent

    async def _help(self, chat: ChatClient, notice: Notice) -> None:
        shown = chat.render(notice.text)
        if utf16_length(shown.text) > MAX_CAPTION_UNITS or notice.buttons or notice.files:
            await self._deliver(chat, notice)
            return
        known = self._state.example_file_id
        drawing = resources.files(__package__).joinpath(_EXAMPLE)
        photo = await asyncio.to_thread(drawing.read_bytes) if known is None else known

        async def send() -> Message:
            message = await chat.send_photo(photo, _EXAMPLE, shown)
            if message.photo:
                self._state.example_file_id = message.photo[-1].file_id
            return message

        if not await self._send(chat, send):
            self._state.example_file_id = None  # perhaps the server does not have it any more
            await self._deliver(chat, notice)

    async def _answer(
        self, press: Listener, target: TelegramTarget | None, notice: Notice | None
    ) -> None:
        alert = "" if notice is None else _alert(notice)
        try:
            await self._bot.answer_callback_query(press.query_id or "", alert or None, bool(alert))
        except TelegramError as error:
            if not is_too_late(error):
                _log.warning("press not answered", error=str(error))
        if target is None or notice is None or alert:
            return
        chat, pressed = self._chat(target), target.reply_to or 0

        async def replace() -> None:
            await chat.edit_text(pressed, chat.render(notice.text), keyboard(notice.buttons))

        replaces = notice.replaces and pressed
        if not (replaces and await self._send(chat, replace, Request.EDIT)):
            await self._say(chat, notice, press)

    async def _say(self, chat: ChatClient, notice: Notice, listener: Listener | None) -> None:
        """Send a notice, to one person alone if it concerns nobody else and that is possible."""
        plain = not (notice.files or notice.buttons or chat.target.private)
        refused = self._state.without_ephemeral
        if listener is not None and notice.private and plain and listener.occasion not in refused:
            ephemeral = partial(self._send_ephemeral, chat, chat.render(notice.text), listener)
            said = await self._send(chat, ephemeral)
            if said or listener.occasion not in refused:
                return  # if it was not said, it stays unsaid: the group must not read it
        await self._deliver(chat, notice)

    async def _send_ephemeral(
        self, chat: ChatClient, shown: Rendered, listener: Listener
    ) -> Message | None:
        """Say something that only one person in a group sees (Bot API 10.3).

        A server that refuses it, or knows nothing of it and says it to all, is not asked again on
        such an occasion. Returns the message if everybody sees it.
        """
        whom: dict[str, Any] = {"receiver_user_id": listener.person}
        if listener.query_id is not None:
            whom["callback_query_id"] = listener.query_id
        try:
            with translated(Request.CREATE):
                # python-telegram-bot 22.8 does not name these parameters yet.
                message = await chat.send_text(
                    shown, api_kwargs={"ephemeral_message_parameters": whom}
                )
        except (ContentRefused, SurfaceForbidden):
            self._state.without_ephemeral.add(listener.occasion)
            raise
        if "ephemeral_message_id" in message.api_kwargs:
            return None
        self._state.without_ephemeral.add(listener.occasion)
        return message

    async def _send(
        self,
        chat: ChatClient,
        send: Callable[[], Awaitable[Message | None]],
        request: Request = Request.CREATE,
    ) -> bool:
        """Make a request, again if it is safe; false if Telegram refused."""
        where, backoff = chat.target.chat_id, self._timing.backoff()
        for _ in range(_MAX_TRIES):
            try:
                with translated(request):
                    message = await send()
                    if message is not None:
                        self._state.said(where, message.message_id)
            except RateLimited as error:
                await asyncio.sleep(error.retry_after)
            except SurfaceUnavailable:
                await asyncio.sleep(backoff.next())
            except DeliveryUnknown:
                _log.info("notice may not have arrived", chat=where)
                return True  # never sent twice
            except SurfaceError as error:
                _log.warning("notice not delivered", chat=where, error=str(error))
                return False
            else:
                return True
        _log.warning("notice given up", chat=where)
        return False


def _alert(notice: Notice) -> str:
    """The text for a small window that only one person sees; empty if it takes a message."""
    if not notice.private or notice.files or notice.buttons or notice.replaces:
        return ""
    text = render(notice.text).text
    return text if utf16_length(text) <= _MAX_ALERT_UNITS else ""
