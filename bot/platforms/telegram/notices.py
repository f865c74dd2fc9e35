"""Shows what the bot says at once, in the background: no update waits for Telegram."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import Any

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
from bot.files import File
from bot.models import Address
from bot.platforms.telegram.client import ChatClient
from bot.platforms.telegram.entities import Rendered, render, utf16_length
from bot.platforms.telegram.errors import Request, is_too_late, translated
from bot.platforms.telegram.menus import keyboard
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.updates import Backoff, Timing
from bot.turns.inbox import Notice

_log = structlog.get_logger(__name__)

_TRIES = 4
_GRACE = 2.0
"""Seconds that notices on their way get when the adapter closes."""
_CAPTION = 1024
_ALERT = 200
"""UTF-16 code units after rendering, below a file and in the answer to a press (Bot API)."""
_EXAMPLE = "example.png"


class Notices:
    """Everything that the bot says without a turn.

    Args:
        bot: initialised client.
        known: shared by all of the adapter.
        timing: how long to wait after a failure.
    """

    def __init__(self, bot: Bot, known: ServerState, timing: Timing) -> None:
        self._bot = bot
        self._known = known
        self._timing = timing
        self._tasks: set[asyncio.Task[Any]] = set()

    def say(self, address: Address, notice: Notice, listener: Listener | None = None) -> None:
        """Send a notice, with its buttons and files.

        Args:
            address: where.
            notice: what.
            listener: whom a private notice concerns, where others could read along.
        """
        self._begin(self._tell(address, notice, listener))

    def help(self, address: Address, notice: Notice) -> None:
        """Send the help, with a picture of what the bot draws."""
        self._begin(self._help(address, notice))

    def hand_over(
        self, there: Address, notice: Notice, here: Address, *, sent: Notice, refused: Notice
    ) -> None:
        """Send a notice to a private chat, and say in the chat where it was asked for that it is.

        Args:
            there: the private chat.
            notice: what goes there.
            here: where it was asked for.
            sent: what to say here when it arrived.
            refused: what to say here when that person never wrote to the bot.
        """

        async def both() -> None:
            arrived = await self.deliver(there, notice)
            await self.deliver(here, sent if arrived else refused)

        self._begin(both())

    def ask(self, address: Address, shown: Rendered, field: ForceReply) -> None:
        """Send a question that opens a field for the answer."""
        self._begin(self._send(address, lambda place: place.send_text(shown, field)))

    def answer(
        self, query: Listener, address: Address, pressed: int | None, notice: Notice | None
    ) -> None:
        """Answer a press: in a small window if it is short and private, else with a message.

        Args:
            query: the press. It is answered in any case, or the button seems to be stuck.
            address: where a message goes.
            pressed: id of the message whose button was pressed, for notices that replace it.
            notice: what to say; `None` for nothing.
        """
        self._begin(self._answer(query, address, pressed, notice))

    def acknowledge(self, query_id: str) -> None:
        """Answer a press that means nothing, so that the button does not seem to be stuck."""
        self._begin(self._acknowledge(query_id, ""))

    async def close(self) -> None:
        """Let notices on their way arrive, two seconds at most."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def deliver(self, address: Address, notice: Notice) -> bool:
        """Send a notice now; returns whether Telegram took all of it."""
        place = ChatClient(self._bot, address, self._known)
        shown, markup = place.render(notice.text), keyboard(notice.buttons)
        files = list(notice.files)
        if len(files) == 1 and shown.length <= _CAPTION:
            (file,) = files
            return await self._send(
                address, lambda place: place.send_file(file.data, file.name, shown, markup)
            )
        sent = await self._send(address, lambda place: place.send_text(shown, markup))
        for file in files:
            send = partial(_send_bare, file)
            sent &= await self._send(address, send)
        return sent

    async def _help(self, address: Address, notice: Notice) -> None:
        shown = ChatClient(self._bot, address, self._known).render(notice.text)
        if shown.length > _CAPTION or notice.buttons or notice.files:
            await self.deliver(address, notice)
            return
        known = self._known.example
        photo = await asyncio.to_thread(_example) if known is None else known

        async def send(place: ChatClient) -> Message:
            message = await place.send_photo(photo, _EXAMPLE, shown)
            if message.photo:
                self._known.example = message.photo[-1].file_id
            return message

        if not await self._send(address, send):
            self._known.example = None  # perhaps the server does not have it any more
            await self.deliver(address, notice)

    async def _answer(
        self, query: Listener, address: Address, pressed: int | None, notice: Notice | None
    ) -> None:
        alert = "" if notice is None else _alert(notice)
        await self._acknowledge(query.query_id or "", alert)
        if notice is None or alert:
            return
        if (
            notice.replaces
            and pressed is not None
            and await self._replace(address, pressed, notice)
        ):
            return
        await self._tell(address, notice, query)

    async def _tell(self, address: Address, notice: Notice, listener: Listener | None) -> None:
        """Send a notice, to one person alone if it concerns nobody else and that is possible."""
        plain = not notice.files and not notice.buttons and not address.data["private"]
        deaf = self._known.without_whispers
        if listener is not None and notice.private and plain and listener.occasion not in deaf:
            said = await self._send(
                address,
                lambda place: send_ephemeral(
                    place, place.render(notice.text), listener, self._known
                ),
            )
            if said or listener.occasion not in deaf:
                return  # not said is given up here: it is not for all to read
        await self.deliver(address, notice)

    async def _acknowledge(self, query_id: str, alert: str) -> None:
        try:
            await self._bot.answer_callback_query(query_id, alert or None, bool(alert))
        except TelegramError as error:
            if not is_too_late(error):
                _log.info("press not answered", error=str(error))

    async def _replace(self, address: Address, pressed: int, notice: Notice) -> bool:
        async def edit(place: ChatClient) -> None:
            markup = keyboard(notice.buttons)
            await place.edit_text(pressed, place.render(notice.text), markup)

        return await self._send(address, edit, Request.EDIT)

    def _begin(self, saying: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(saying)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(
        self,
        address: Address,
        send: Callable[[ChatClient], Awaitable[Message | None]],
        request: Request = Request.CREATE,
    ) -> bool:
        """Make a request, again if it is safe; false if Telegram refused."""
        place, backoff = ChatClient(self._bot, address, self._known), Backoff(self._timing)
        for _ in range(_TRIES):
            try:
                with translated(request):
                    message = await send(place)
                    if message is not None:
                        self._known.noticed(place.chat, message.message_id)
            except RateLimited as error:
                await asyncio.sleep(error.retry_after)
            except SurfaceUnavailable:
                await asyncio.sleep(backoff.next())
            except DeliveryUnknown:
                _log.info("notice may not have arrived", chat=address.chat)
                return True  # never sent twice
            except SurfaceError as error:
                _log.warning("notice not delivered", chat=address.chat, error=str(error))
                return False
            else:
                return True
        _log.warning("notice given up", chat=address.chat)
        return False


async def _send_bare(file: File, place: ChatClient) -> Message:
    """A file with nothing said about it."""
    return await place.send_file(file.data, file.name, Rendered(""), None)


def _alert(notice: Notice) -> str:
    """The text for a small window that only one person sees; empty if it takes a message."""
    if not notice.private or notice.files or notice.buttons or notice.replaces:
        return ""
    text = render(notice.text).text
    return text if utf16_length(text) <= _ALERT else ""


def _example() -> bytes:
    """A drawing of the stand-in, as an example of what comes of a prompt."""
    return resources.files(__package__).joinpath(_EXAMPLE).read_bytes()


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
        """What Telegram may allow apart from each other."""
        return "message" if self.query_id is None else "press"

    def parameters(self) -> dict[str, Any]:
        """For `sendMessage`; python-telegram-bot 22.8 does not name them yet."""
        aim: dict[str, Any] = {"receiver_user_id": self.person}
        if self.query_id is not None:
            aim["callback_query_id"] = self.query_id
        return {"ephemeral_message_parameters": aim}


async def send_ephemeral(
    place: ChatClient, shown: Rendered, listener: Listener, known: ServerState
) -> Message | None:
    """Say something to one person of a group.

    A server that refuses it, or does not know what it is and says it to all, is remembered in
    `known`, so that nobody asks it again on such an occasion.

    Returns:
        The message, if everybody sees it.

    Raises:
        SurfaceError: it was not said; unless it was refused, another try may help.
    """
    try:
        with translated(Request.CREATE):
            message = await place.send_text(shown, special=listener.parameters())
    except (ContentRefused, SurfaceForbidden):
        known.without_whispers.add(listener.occasion)
        raise
    if "ephemeral_message_id" in message.api_kwargs:
        return None
    known.without_whispers.add(listener.occasion)
    return message
