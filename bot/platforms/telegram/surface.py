"""Shows replies in Telegram chats."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog
from telegram import Bot, Message
from telegram.error import BadRequest, RetryAfter, TelegramError

from bot.errors import ContentRefused, MessageGone, PreviewUnsupported, SurfaceForbidden
from bot.i18n import Catalogue, Words
from bot.models import Address
from bot.platforms.telegram.client import ChatClient
from bot.platforms.telegram.entities import Rendered, folded
from bot.platforms.telegram.errors import (
    Request,
    is_unknown_method,
    is_without_drafts,
    lacks_right_to_files,
    seconds_to_wait,
    translated,
)
from bot.platforms.telegram.inline import remember
from bot.platforms.telegram.menus import keyboard
from bot.platforms.telegram.server_state import ServerState
from bot.reply.pacing import Bucket, Urgency
from bot.reply.surface import Anchor, Content, Limits, Mood, Receipt, Search, Window

__all__ = ["PROBES", "ServerState", "TelegramSurface"]

_TEXT, _CAPTION, _FILES = 4096, 1024, 10
"""UTF-16 code units after rendering, and items of an album (Bot API)."""
_DRAFT_INTERVAL = 1.0
_PRIVATE_INTERVAL = 1.5
_GROUP_INTERVAL = 3.5
"""Seconds between edits. A group takes 20 messages a minute, edits included; 3.2 s was measured
to earn no 429, and the rest is for the final text."""
_WINDOW = Window(4, 4.0)
_GROUP_WINDOW = Window(19, 60.0)
"""About one request a second, and 20 a minute in groups, edits included (facts of Telegram)."""

PROBES = 20
"""Message ids that are looked at to find a message whose answer was lost. Telegram numbers those of
a chat upwards, so it is among the first after the newest one known."""

_TYPING, _UPLOADING = "typing", "upload_photo"


class TelegramSurface:
    """One reply in one chat or topic; implements `bot.reply.surface.Surface`.

    Text is rendered to entities, never given a parse mode. A receipt is
    `{"ids": [message ids], "kind": "text" | "photos" | "excuse"}`; the text of photos is the first
    one's caption, and an excuse stands where pictures were not allowed.

    Args:
        bot: initialised client.
        address: made by `TelegramAdapter`.
        known: shared by all surfaces of the adapter.
        activity: shows that the bot works, where drafts do not; `None` for nothing of the kind.
        folds: long answers are folded up until somebody opens them.
        words: the language of what the bot says to all of a chat.
    """

    def __init__(
        self,
        bot: Bot,
        address: Address,
        known: ServerState,
        activity: Activity | None = None,
        *,
        folds: bool = False,
        words: Words | None = None,
    ) -> None:
        self._place = ChatClient(bot, address, known)
        self._known = known
        self._activity = activity
        self._folds = folds
        self._words = words or Catalogue().words()
        self._newest: tuple[str, Rendered] = ("", Rendered(""))

    @property
    def limits(self) -> Limits:
        """As the chat is now: drafts only in private chats, on servers that have them."""
        private = self._place.private
        drafts = (
            private and self._known.drafts and self._place.chat not in self._known.without_drafts
        )
        edits = _PRIVATE_INTERVAL if private else _GROUP_INTERVAL
        interval = _DRAFT_INTERVAL if drafts else edits
        windows = () if drafts else (_WINDOW,) if private else (_WINDOW, _GROUP_WINDOW)
        return Limits(
            _TEXT,
            _CAPTION,
            _FILES,
            interval,
            previews=drafts,
            attach=False,
            moods=self._folds,  # an answer is folded when it is done
            buttons=True,
            buttons_with_files=False,  # an album takes none
            windows=windows,
        )

    @property
    def rate_limit_info(self) -> None:
        """Telegram says nothing about its limits until they are reached."""
        return

    def measure(self, text: str) -> int:
        """UTF-16 code units of the rendered text."""
        return self._render(text).length

    def anchor(self) -> Anchor:
        """The newest message id known in this chat; whatever is sent next has a larger one."""
        return {"after": max(self._known.newest_of(self._place.chat), self._place.reply_to or 0)}

    async def find(self, search: Search) -> Receipt | None:
        """Try to edit the messages after the anchor into what the lost one should show.

        Telegram lets a bot neither read a chat nor name its messages. But only a message of its
        own, with text or with a caption, can be edited, and the edited one says what it answers.
        Known ones are left alone. Another reply's lost one may show this one's content until that
        one finds it.

        Raises:
            RateLimited, SurfaceUnavailable, SurfaceForbidden, DeliveryUnknown: look again later.
        """
        after: int = search.anchor["after"]
        last: int = search.anchor.get("last", after + PROBES)
        for message_id in range(after + 1, last + 1):
            known = (self._place.chat, message_id) in self._known.notices
            if known or await search.known(str(message_id)):
                continue
            await search.turn()
            async with search.alone():
                if await search.known(str(message_id)):
                    continue  # created while this one waited
                receipt = await self._look(message_id, search.content)
            if receipt is not None:
                return receipt
            await search.leave({"after": message_id, "last": last})
        return None

    async def _look(self, message_id: int, content: Content) -> Receipt | None:
        """Whether this reply's lost message has this id."""
        kind = "photos" if content.files else "text"
        receipt: Receipt = {"ids": [message_id], "kind": kind}
        try:
            edited = await self._edit(receipt, content)
        except (MessageGone, ContentRefused):
            return None  # not there, a person's, or another kind of message
        answered = edited.reply_to_message if isinstance(edited, Message) else None
        # In a topic, what answers nothing answers the topic's first message.
        ours = {self._place.reply_to, self._place.thread}
        if answered is not None and answered.message_id not in ours:
            return None
        # An album has consecutive ids, and its caption is the first one's.
        receipt["ids"] += range(message_id + 1, message_id + len(content.files))
        return receipt

    async def create(self, content: Content, nonce: str) -> Receipt:
        """Send the text with its buttons, or the pictures with the text as caption.

        Telegram knows no nonces: `find` tells whether a message is there.

        Raises:
            DeliveryUnknown: no answer came after the request left; it may be there.
        """
        del nonce
        self._at_work(content, before=True)
        if content.files:
            receipt = await self._create_pictures(content)
        else:
            with translated(Request.CREATE):
                message = await self._place.send_text(
                    self._shown(content), keyboard(content.buttons)
                )
            receipt = {"ids": [message.message_id], "kind": "text"}
        self._known.saw(self._place.chat, max(receipt["ids"]))
        self._at_work(content)
        return receipt

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """Change the text and the buttons, or the caption; pictures stay (`Limits.attach`).

        Raises:
            MessageGone: a person deleted it.
            DeliveryUnknown: no answer came; repeating the edit is harmless.
        """
        await self._edit(receipt, content)
        self._at_work(content)

    async def _edit(self, receipt: Receipt, content: Content) -> Message | bool:
        """As `edit`; returns the message as it is then, if Telegram says that."""
        first: int = receipt["ids"][0]
        with translated(Request.EDIT):
            match receipt["kind"]:
                case "photos":
                    return await self._place.edit_caption(first, self._shown(content))
                case "text":
                    markup = keyboard(content.buttons)
                    return await self._place.edit_text(first, self._shown(content), markup)
        return True

    async def delete(self, receipt: Receipt) -> None:
        """Remove all its messages."""
        for message_id in receipt["ids"]:
            with translated(Request.DELETE):
                await self._place.delete(message_id)

    async def preview(self, content: Content) -> None:
        """Show a draft. It lasts about 30 s, and any real message in the chat removes it.

        Raises:
            PreviewUnsupported: a group, or a server that has no drafts.
        """
        if not self.limits.previews:
            raise PreviewUnsupported("This Telegram chat has no drafts.")
        with translated(Request.PREVIEW):
            try:
                await self._place.draft(self._render(content.text))
            except TelegramError as error:
                self._learn_from(error)
                raise

    def _learn_from(self, error: TelegramError) -> None:
        if is_unknown_method(error):
            self._known.drafts = False
        elif isinstance(error, BadRequest) and is_without_drafts(error):
            self._known.without_drafts.add(self._place.chat)

    def _render(self, text: str) -> Rendered:
        """Rendered once for measuring and showing: both ask for the newest text."""
        if self._newest[0] != text:
            self._newest = (text, self._place.render(text))
        return self._newest[1]

    def _shown(self, content: Content) -> Rendered:
        shown = self._render(content.text)
        return folded(shown) if self._folds and content.mood is Mood.DONE else shown

    async def _create_pictures(self, content: Content) -> Receipt:
        try:
            with translated(Request.CREATE):
                messages = await self._place.send_pictures(self._shown(content), content.files)
        except SurfaceForbidden as error:
            if not lacks_right_to_files(error.__cause__):
                raise
            # Said where those are who can change it; the pictures are kept.
            why = self._words(error.key) if self._words.has(error.key) else str(error)
            text = self._place.render(f"{content.text}\n\n⚠️ {why}".strip())
            with translated(Request.CREATE):
                message = await self._place.send_text(text)
            return {"ids": [message.message_id], "kind": "excuse"}
        if self._place.private:  # whose private chat it is has the same id
            remember(self._known, self._place.chat, content.files, messages)
        return {"ids": [message.message_id for message in messages], "kind": "photos"}

    def _at_work(self, content: Content, *, before: bool = False) -> None:
        """Show in the chat's head that something is being made, where no draft says so."""
        if self._activity is None or self.limits.previews:
            return
        place = (self._place.now, self._place.thread)
        if before and content.files:
            self._activity.begin(place, _UPLOADING)
        elif not before and content.mood is Mood.WORKING:
            self._activity.begin(place, _TYPING)
        elif not before:
            self._activity.end(place)


_log = structlog.get_logger(__name__)

ChatAndTopic: TypeAlias = tuple[int, int | None]
"""A chat, and the topic in it."""

RATE: Final = 4.0
"""Requests per second for all chats; with the 25 of the replies, that stays below Telegram's 30."""

REPEAT: Final = 4.5
"""Seconds; Telegram shows an action for five."""

LASTS: Final = 12.0
"""Seconds after the last sign of work. A reply that waits for long must not seem to be typed."""


@dataclass(slots=True)
class _Shown:
    action: str
    until: float
    task: asyncio.Task[None] | None = None


class Activity:
    """All chats in which an action is shown.

    Args:
        bot: initialised client.
        clock: monotonic seconds.
    """

    def __init__(self, bot: Bot, clock: Callable[[], float] = time.monotonic) -> None:
        self._bot = bot
        self._clock = clock
        self._bucket = Bucket(RATE, RATE, clock())
        self._shown: dict[ChatAndTopic, _Shown] = {}
        self._closed: dict[int, float] = {}

    def begin(self, place: ChatAndTopic, action: str) -> None:
        """Show an action (Bot API, `sendChatAction`), or go on showing it."""
        until = self._clock() + LASTS
        shown = self._shown.get(place)
        if shown is not None and shown.action == action:
            shown.until = until
            return
        self.end(place)
        if self._is_closed(place[0]):
            return
        shown = self._shown[place] = _Shown(action, until)
        shown.task = asyncio.create_task(self._show(place, shown))

    def end(self, place: ChatAndTopic) -> None:
        """Show it no longer; what is there fades within five seconds."""
        shown = self._shown.pop(place, None)
        if shown is not None and shown.task is not None:
            shown.task.cancel()

    async def close(self) -> None:
        """End all."""
        tasks = [shown.task for shown in self._shown.values() if shown.task is not None]
        for place in list(self._shown):
            self.end(place)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _show(self, place: ChatAndTopic, shown: _Shown) -> None:
        chat, thread = place
        try:
            while self._clock() < shown.until:
                self._bucket, wait = self._bucket.take(self._clock(), Urgency.PROGRESS)
                if not wait:
                    await self._bot.send_chat_action(chat, shown.action, message_thread_id=thread)
                await asyncio.sleep(REPEAT)
        except RetryAfter as error:
            self._closed[chat] = self._clock() + seconds_to_wait(error)
        except TelegramError as error:
            _log.debug("action not shown", chat=chat, error=str(error))
        finally:
            if self._shown.get(place) is shown:
                del self._shown[place]

    def _is_closed(self, chat: int) -> bool:
        """Whether Telegram asked this chat to wait; to go on asking would make that longer."""
        now = self._clock()
        self._closed = {each: until for each, until in self._closed.items() if until > now}
        return chat in self._closed
