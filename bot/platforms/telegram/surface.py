"""Shows one reply in a Telegram chat, and in the chat's head that the bot is at work on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, TypeAlias

import structlog
from cachetools import LRUCache
from telegram import Bot, Message
from telegram.constants import ChatAction
from telegram.error import RetryAfter, TelegramError

from bot.errors import ContentRefused, MessageGone, PreviewUnsupported, SurfaceForbidden
from bot.i18n import Catalogue, Words
from bot.platforms.telegram.client import ChatClient, TelegramTarget
from bot.platforms.telegram.entities import (
    MAX_CAPTION_UNITS,
    MAX_TEXT_UNITS,
    Rendered,
    folded,
    utf16_length,
)
from bot.platforms.telegram.errors import (
    Request,
    is_unknown_method,
    is_without_drafts,
    lacks_right_to_files,
    seconds_to_wait,
    translated,
)
from bot.platforms.telegram.menus import keyboard
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.updates import MAX_ALBUM_ITEMS
from bot.reply.pacing import Bucket, Urgency
from bot.reply.render import markdown
from bot.reply.surface import Anchor, Content, Limits, Mood, Receipt, Search, Window
from bot.support import BackgroundTasks

_log = structlog.get_logger(__name__)

MAX_PROBES: Final = 20
"""Message ids that are tried to find a message whose create was not acknowledged. Telegram numbers
those of a chat upwards, so it is among the first after the newest one known."""

_DRAFT_INTERVAL_SECONDS: Final = 1.0
_PRIVATE_INTERVAL_SECONDS: Final = 1.5
GROUP_INTERVAL_SECONDS: Final = 3.5
"""Between edits. A group takes 20 messages a minute, edits included; 3.2 s was measured to earn no
429, and the rest is for the final text."""
_PREVIEW_SECONDS: Final = 10.0
_WINDOW: Final = Window(4, 4.0)
_GROUP_WINDOW: Final = Window(19, 60.0)
"""About one request a second, and 20 a minute in groups, edits included (facts of Telegram)."""


@dataclass(frozen=True, slots=True)
class TelegramReceipt:
    """How the messages that show one part of a reply are found again; stored as it is.

    Attributes:
        ids: of the messages.
        kind: what they show. The text of photos is the caption of the first one; an excuse stands
            where pictures were not allowed, and is never edited.
    """

    ids: Sequence[int]
    kind: Literal["text", "photos", "excuse"] = "text"


class TelegramSurface:
    """One reply in one chat or topic; implements `bot.reply.surface.Surface`.

    Text is rendered to entities, never given a parse mode.

    Args:
        bot: initialised client.
        target: where the reply goes.
        state: shared by all of the adapter.
        actions: shows that the bot is at work where drafts do not; `None`: nothing does.
        folds: long answers are folded up until somebody opens them.
        words: the language of what the bot says to all of a chat.
    """

    rate_limit_info = None
    """Telegram says nothing about its limits until they are reached."""

    def __init__(
        self,
        bot: Bot,
        target: TelegramTarget,
        state: ServerState,
        actions: ChatActions | None = None,
        *,
        folds: bool = False,
        words: Words | None = None,
    ) -> None:
        self._chat = ChatClient(bot, target, state)
        self._target = target
        self._state = state
        self._actions = actions
        self._folds = folds
        self._words = words or Catalogue().words()

    @property
    def limits(self) -> Limits:
        """As the chat is now: drafts only in private chats, on servers that have them."""
        private, state = self._target.private, self._state
        drafts = private and state.drafts and self._target.chat_id not in state.without_drafts
        edits = _PRIVATE_INTERVAL_SECONDS if private else GROUP_INTERVAL_SECONDS
        windows = () if drafts else (_WINDOW,) if private else (_WINDOW, _GROUP_WINDOW)
        return Limits(
            MAX_TEXT_UNITS,
            MAX_CAPTION_UNITS,
            MAX_ALBUM_ITEMS,
            _DRAFT_INTERVAL_SECONDS if drafts else edits,
            previews=drafts,
            attach=False,
            moods=self._folds,  # an answer is folded when it is done
            buttons=True,
            buttons_with_files=False,  # an album takes none
            windows=windows,
            private=private,
            preview_seconds=_PREVIEW_SECONDS,
        )

    def measure(self, text: str) -> int:
        """UTF-16 code units of the rendered text."""
        return utf16_length(self._chat.render(text).text)

    def anchor(self) -> Anchor:
        """The newest message id known in this chat; whatever is sent next has a larger one."""
        return {"after": self._state.saw(self._target.chat_id, self._target.reply_to or 0)}

    async def find(self, search: Search) -> Receipt | None:
        """Try to edit the messages after the anchor into what the lost one should show.

        Telegram lets a bot neither read a chat nor name its messages. But only a message of its
        own, with text or with a caption, can be edited, and the edited one says what it answers.
        Known messages are left alone. Another reply's lost message may show this reply's content
        until that reply finds it.
        """
        after: int = search.anchor["after"]
        last: int = search.anchor.get("last", after + MAX_PROBES)
        for message_id in range(after + 1, last + 1):
            is_notice = (self._target.chat_id, message_id) in self._state.notices
            if is_notice or await search.is_known(str(message_id)):
                continue
            await search.acquire()
            async with search.alone():
                if await search.is_known(str(message_id)):
                    continue  # created while this one waited
                receipt = await self._probe(message_id, search.content)
            if receipt is not None:
                return asdict(receipt)
            await search.leave({"after": message_id, "last": last})
        return None

    async def _probe(self, message_id: int, content: Content) -> TelegramReceipt | None:
        """This reply's lost message, if it has this id."""
        kind: Literal["photos", "text"] = "photos" if content.files else "text"
        # An album has consecutive ids, and its caption is the first one's.
        last = message_id + max(1, len(content.files))
        receipt = TelegramReceipt(list(range(message_id, last)), kind)
        try:
            edited = await self._edit(receipt, content)
        except (MessageGone, ContentRefused):
            return None  # not there, a person's, or another kind of message
        answered = edited.reply_to_message if isinstance(edited, Message) else None
        # In a topic, what answers nothing answers the topic's first message.
        ours = {self._target.reply_to, self._target.thread_id}
        if answered is not None and answered.message_id not in ours:
            return None
        return receipt

    async def create(self, content: Content, nonce: str) -> Receipt:
        """Send the text with its buttons, or the pictures with the text as caption.

        Telegram knows no nonces: `find` tells whether a message is there.
        """
        del nonce
        if content.files:
            self._show_action(ChatAction.UPLOAD_PHOTO)
            receipt = await self._create_pictures(content)
        else:
            with translated(Request.CREATE):
                message = await self._chat.send_text(
                    self._shown(content), keyboard(content.buttons)
                )
            receipt = TelegramReceipt([message.message_id])
        self._state.saw(self._target.chat_id, max(receipt.ids))
        self._show_action(ChatAction.TYPING if content.mood is Mood.WORKING else None)
        return asdict(receipt)

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """Change the text and the buttons, or the caption; pictures stay (`Limits.attach`).

        A preview makes a photo of a text, which never becomes a text or an album again.
        """
        await self._edit(TelegramReceipt(**receipt), content)
        self._show_action(ChatAction.TYPING if content.mood is Mood.WORKING else None)

    async def _edit(self, receipt: TelegramReceipt, content: Content) -> Message | bool:
        """Returns the message as it is then, if Telegram says that."""
        with translated(Request.EDIT):
            if receipt.kind == "photos":
                return await self._chat.edit_caption(receipt.ids[0], self._shown(content))
            if receipt.kind == "text":
                markup = keyboard(content.buttons)
                if content.previews:
                    sheet, shown = content.previews[0], self._shown(content)
                    return await self._chat.edit_photo(receipt.ids[0], sheet, shown, markup)
                return await self._chat.edit_text(receipt.ids[0], self._shown(content), markup)
        return True

    async def delete(self, receipt: Receipt) -> None:
        for message_id in TelegramReceipt(**receipt).ids:
            with translated(Request.DELETE):
                await self._chat.delete(message_id)

    async def preview(self, content: Content) -> None:
        """Show a draft. It lasts about 30 s, and any real message in the chat removes it."""
        if not self.limits.previews:
            raise PreviewUnsupported("This Telegram chat has no drafts.")
        with translated(Request.PREVIEW):
            try:
                await self._chat.draft(self._chat.render(markdown(content)))
            except TelegramError as error:
                if is_unknown_method(error):
                    self._state.drafts = False
                elif is_without_drafts(error):
                    self._state.without_drafts[self._target.chat_id] = None
                raise

    def _shown(self, content: Content) -> Rendered:
        shown = self._chat.render(markdown(content))
        return folded(shown) if self._folds and content.mood is Mood.DONE else shown

    async def _create_pictures(self, content: Content) -> TelegramReceipt:
        try:
            with translated(Request.CREATE):
                messages = await self._chat.send_pictures(self._shown(content), content.files)
        except SurfaceForbidden as error:
            if not lacks_right_to_files(error.__cause__):
                raise
            # Said where the people are who can change it; the pictures are kept.
            why = self._words(error.key) if self._words.has(error.key) else str(error)
            text = self._chat.render(f"{markdown(content)}\n\n⚠️ {why}".strip())
            with translated(Request.CREATE):
                message = await self._chat.send_text(text)
            return TelegramReceipt([message.message_id], "excuse")
        if self._target.private:  # a private chat has the id of its person
            self._state.sent_pictures(self._target.chat_id, content.files, messages)
        return TelegramReceipt([message.message_id for message in messages], "photos")

    def _show_action(self, action: ChatAction | None) -> None:
        """Show in the chat's head what is being done, where no draft says so; `None`: nothing."""
        if self._actions is None or self.limits.previews:
            return
        chat = self._target.chat_id
        where = (self._state.moved.get(chat, chat), self._target.thread_id)
        if action is None:
            self._actions.end(where)
        else:
            self._actions.begin(where, action)


_ChatAndTopic: TypeAlias = tuple[int, int | None]

_ACTIONS_PER_SECOND: Final = 4.0
"""In all chats; with the 25 requests of the replies, that stays below Telegram's 30."""
_ACTION_REPEAT_SECONDS: Final = 4.5
"""Telegram shows an action for five seconds."""
_ACTION_SECONDS: Final = 12.0
"""After the last sign of work: a reply that has to wait must not look as if it were being typed."""
_MAX_CLOSED_CHATS: Final = 1000


@dataclass(slots=True)
class _ShownAction:
    action: ChatAction
    until: float
    task: asyncio.Task[None] | None = None


class ChatActions:
    """Says in the head of a chat that the bot is typing or uploading, for as long as it is true.

    Telegram counts these requests like all others of the bot, so they get a small share of their
    own of what it takes per second; when that is used up, the chat does without.
    """

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._bucket = Bucket(_ACTIONS_PER_SECOND, _ACTIONS_PER_SECOND, time.monotonic())
        self._tasks = BackgroundTasks()
        self._shown: dict[_ChatAndTopic, _ShownAction] = {}
        self._closed_until: LRUCache[int, float] = LRUCache(_MAX_CLOSED_CHATS)

    def begin(self, where: _ChatAndTopic, action: ChatAction) -> None:
        """Show an action (Bot API, `sendChatAction`), or go on showing it."""
        until = time.monotonic() + _ACTION_SECONDS
        shown = self._shown.get(where)
        if shown is not None and shown.action == action:
            shown.until = until
            return
        self.end(where)
        if self._closed_until.get(where[0], 0.0) > time.monotonic():
            return  # Telegram asked this chat to wait; to go on asking would make that longer
        shown = self._shown[where] = _ShownAction(action, until)
        shown.task = self._tasks.start(self._show(where, shown))

    def end(self, where: _ChatAndTopic) -> None:
        """Show it no longer; what is there fades within five seconds."""
        shown = self._shown.pop(where, None)
        if shown is not None and shown.task is not None:
            shown.task.cancel()

    async def close(self) -> None:
        await self._tasks.close()

    async def _show(self, where: _ChatAndTopic, shown: _ShownAction) -> None:
        chat, topic = where
        try:
            while time.monotonic() < shown.until:
                self._bucket, wait = self._bucket.take(time.monotonic(), Urgency.PROGRESS)
                if not wait:
                    await self._bot.send_chat_action(chat, shown.action, message_thread_id=topic)
                await asyncio.sleep(_ACTION_REPEAT_SECONDS)
        except RetryAfter as error:
            self._closed_until[chat] = time.monotonic() + seconds_to_wait(error)
        except TelegramError as error:
            _log.debug("action not shown", chat=chat, error=str(error))
        finally:
            if self._shown.get(where) is shown:
                del self._shown[where]
