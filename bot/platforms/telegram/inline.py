"""Inline mode: `@bot prompt` in any chat offers to draw it there, and the person's own pictures.

A drawing that begins like this has a channel of its own, one per person, so it knows nothing of the
private chat. Bot API, "Inline mode".
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final

import structlog
from telegram import (
    Bot,
    ChosenInlineResult,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQuery,
    InlineQueryResult,
    InlineQueryResultArticle,
    InlineQueryResultCachedPhoto,
    InlineQueryResultsButton,
    InputMediaDocument,
    InputMediaPhoto,
    InputTextMessageContent,
    LinkPreviewOptions,
    Message,
    Update,
)
from telegram.error import TelegramError

from bot.errors import ContentRefused, PreviewUnsupported, SurfaceError, SurfaceForbidden
from bot.files import File
from bot.i18n import Words
from bot.models import Address, ChannelKey, Imagine, IncomingMessage
from bot.platforms.telegram.client import ChatClient
from bot.platforms.telegram.entities import Rendered, render
from bot.platforms.telegram.errors import Request, translated
from bot.platforms.telegram.parsing import PLATFORM, person_of
from bot.platforms.telegram.server_state import ServerState
from bot.reply.surface import Anchor, Content, Limits, Receipt, Search
from bot.turns.commands import CommandError, parse
from bot.turns.inbox import Inbox

_log = structlog.get_logger(__name__)

INLINE: Final = (Update.INLINE_QUERY, Update.CHOSEN_INLINE_RESULT)
"""What Telegram shall deliver as well."""

START: Final = "inline"
"""The payload of `/start` that the button above the results opens the private chat with."""

_DRAW: Final = "imagine"
_PHOTOS: Final = 20
_MOST_SHOWN: Final = 200
"""Characters of a prompt in a list of results."""


class Inline:
    """Answers what people type behind the bot's name, and draws what they chose.

    Args:
        bot: initialised client.
        inbox: where drawings go.
        known: remembers each person's recent pictures.
    """

    def __init__(self, bot: Bot, inbox: Inbox, known: ServerState) -> None:
        self._bot = bot
        self._inbox = inbox
        self._known = known
        self._offers: dict[int, asyncio.Task[Any]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def offer(self, query: InlineQuery) -> None:
        """Answer in the background; a person who types on needs only the newest answer."""
        person = query.from_user.id
        if (before := self._offers.get(person)) is not None:
            before.cancel()
        task = self._offers[person] = self._begin(self._offer(query))

        def ended(_: asyncio.Task[Any]) -> None:
            if self._offers.get(person) is task:
                del self._offers[person]

        task.add_done_callback(ended)

    async def chosen(self, result: ChosenInlineResult) -> None:
        """Begin to draw, if that is what was chosen.

        Raises:
            StorageError: nothing could be written down.
        """
        message_id = result.inline_message_id
        if result.result_id != _DRAW or message_id is None:
            return
        message = _message(result, message_id)
        drawing = _drawing(result.query)
        if drawing is None:
            return
        notice = await self._inbox.handle(message, drawing)
        if notice is not None:
            self._begin(self._say(message_id, notice.text, drawing))

    async def close(self) -> None:
        """Answer nothing more."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, saying: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(saying)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _offer(self, query: InlineQuery) -> None:
        words = await self._inbox.words(_message(query, query.id))
        results: list[InlineQueryResult] = []
        if (drawing := _drawing(query.query)) is not None:
            results.append(_article(query.query.strip(), drawing, words))
        results += _photos(self._known.made_by(query.from_user.id))
        button = InlineQueryResultsButton(words("telegram-inline-start"), start_parameter=START)
        try:
            # Kept by nobody: the next picture is to be offered as soon as it is there.
            await self._bot.answer_inline_query(
                query.id, results, cache_time=0, is_personal=True, button=button
            )
        except TelegramError as error:
            _log.info("inline query not answered", error=str(error))

    async def _say(self, message_id: str, text: str, drawing: Imagine) -> None:
        try:
            with translated(Request.EDIT):
                await self._bot.edit_message_text(
                    text, inline_message_id=message_id, reply_markup=again(drawing.prompt)
                )
        except SurfaceError as error:
            _log.info("inline notice not delivered", error=str(error))


def again(prompt: str) -> InlineKeyboardMarkup:
    """The button under a message of inline mode: whoever presses it types the prompt on.

    Telegram tells which message a result became only if it has a keyboard.
    """
    button = InlineKeyboardButton(
        "\N{ARTIST PALETTE}", switch_inline_query_current_chat=prompt[:_MOST_SHOWN]
    )
    return InlineKeyboardMarkup([[button]])


def _drawing(query: str) -> Imagine | None:
    try:
        command = parse(f"/imagine {query}")
    except CommandError:
        return None
    return command if isinstance(command, Imagine) else None


def _article(query: str, drawing: Imagine, words: Words) -> InlineQueryResult:
    content = InputTextMessageContent(
        f"\N{ARTIST PALETTE} {query}",
        entities=(),
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )
    return InlineQueryResultArticle(
        _DRAW,
        words("telegram-inline-draw"),
        content,
        reply_markup=again(drawing.prompt),
        description=drawing.prompt[:_MOST_SHOWN],
    )


def _photos(made: Sequence[tuple[str, str]]) -> Sequence[InlineQueryResult]:
    return [
        InlineQueryResultCachedPhoto(str(number), file_id, title=title[:_MOST_SHOWN] or None)
        for number, (file_id, title) in enumerate(made[:_PHOTOS])
    ]


def _message(event: InlineQuery | ChosenInlineResult, message_id: str) -> IncomingMessage:
    """What the core takes in; its channel is none of the person's chats."""
    person = person_of(event.from_user)
    return IncomingMessage(
        channel=ChannelKey(PLATFORM, ("inline", person.id)),
        person=person,
        message_id=message_id,
        address=Address(
            PLATFORM,
            f"inline {message_id}",
            {
                "inline": message_id,
                "person": event.from_user.id,
                "language": person.language,
                "prompt": event.query,
            },
        ),
    )


_TEXT, _CAPTION, _FILES = 4096, 1024, 10
"""UTF-16 code units after rendering, and items of an album (Bot API)."""
_INTERVAL = 3.5
"""Seconds. Nobody knows which chat it is, so it counts as a group."""
_REMOVED = "\N{WASTEBASKET}"


class InlineSurface:
    """One reply in one message of inline mode; implements `bot.reply.surface.Surface`.

    The message is there before the reply begins, so creating it is editing it, and nothing about
    it is ever in doubt. A receipt is `{"inline": id}`.

    Args:
        bot: initialised client.
        address: made by `inline`.
        known: remembers what was sent to whom.
        words: the language of the person.
    """

    def __init__(self, bot: Bot, address: Address, known: ServerState, words: Words) -> None:
        self._bot = bot
        self._known = known
        self._words = words
        self._message: str = address.data["inline"]
        self._person: int = address.data["person"]
        self._again = again(address.data["prompt"])
        private = {"chat_id": self._person, "thread_id": None, "reply_to": None, "private": True}
        there = Address(address.platform, str(self._person), {**private, "draft_id": 1})
        self._private = ChatClient(bot, there, known)

    @property
    def limits(self) -> Limits:
        """One message that takes text, and pictures later."""
        return Limits(_TEXT, _CAPTION, _FILES, _INTERVAL)

    @property
    def rate_limit_info(self) -> None:
        """Telegram says nothing about its limits until they are reached."""
        return

    def measure(self, text: str) -> int:
        """UTF-16 code units of the rendered text."""
        return render(text, quiet=True).length

    def anchor(self) -> Anchor:
        """Nothing is needed to find the message."""
        return {}

    async def find(self, search: Search) -> Receipt | None:
        """The message; it exists as long as the person leaves it there."""
        del search
        return {"inline": self._message}

    async def create(self, content: Content, nonce: str) -> Receipt:
        """Show the beginning of a reply.

        Raises:
            ContentRefused: a second message.
            DeliveryUnknown: repeating it is harmless.
            MessageGone: a person deleted the message.
        """
        if not nonce.endswith("-0"):
            raise ContentRefused("A message of Telegram's inline mode cannot be followed by more.")
        receipt = {"inline": self._message}
        await self.edit(receipt, content)
        return receipt

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """Show other text, or pictures with the text as caption.

        Raises:
            DeliveryUnknown: repeating it is harmless.
            MessageGone: a person deleted the message.
        """
        del receipt
        if not content.files:
            await self._say(content.text)
            return
        try:
            shown = await self._first(content)
        except SurfaceForbidden:
            bot = f"@{self._bot.username}"
            text = f"⚠️ {self._words('telegram-inline-write-first', bot=bot)}"
            await self._say(text, quiet=False)  # a touch on the name leads there
            return
        with translated(Request.EDIT):
            await self._bot.edit_message_media(
                shown, inline_message_id=self._message, reply_markup=self._again
            )

    async def delete(self, receipt: Receipt) -> None:
        """Leave a sign: nobody but the person can remove such a message."""
        del receipt
        await self._say(_REMOVED)

    async def preview(self, content: Content) -> None:
        """Never.

        Raises:
            PreviewUnsupported: always.
        """
        del content
        raise PreviewUnsupported("A message of Telegram's inline mode has no drafts.")

    async def _say(self, text: str, *, quiet: bool = True) -> None:
        shown = render(text, quiet=quiet)
        with translated(Request.EDIT):
            await self._bot.edit_message_text(
                shown.text,
                inline_message_id=self._message,
                entities=shown.entities,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                reply_markup=self._again,
            )

    async def _first(self, content: Content) -> InputMediaPhoto | InputMediaDocument:
        """The first picture, once Telegram has all of them.

        Raises:
            SurfaceForbidden: the person never wrote to the bot, or blocked it.
        """
        caption = render(content.text, quiet=True)
        first = content.files[0]
        file_id = self._known.file_of(self._person, first.key)
        if file_id is None:
            with translated(Request.CREATE):
                sent = await self._private.send_pictures(Rendered(""), content.files)
            remember(self._known, self._person, content.files, sent)
            if (document := sent[0].document) is not None:
                return InputMediaDocument(
                    document.file_id, caption=caption.text, caption_entities=caption.entities
                )
            file_id = sent[0].photo[-1].file_id
        return InputMediaPhoto(file_id, caption=caption.text, caption_entities=caption.entities)


def remember(
    known: ServerState, person: int, files: Sequence[File], sent: Sequence[Message]
) -> None:
    """Keep where Telegram has the pictures of a person, so that they can be sent again."""
    for file, message in zip(files, sent, strict=False):
        if message.photo:
            known.made(person, file.key, message.photo[-1].file_id, file.alt)
