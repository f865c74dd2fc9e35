"""Inline mode: `@bot prompt` in any chat offers to draw it there, and the person's own pictures.

A drawing that begins like this has a channel of its own, one per person, so it knows nothing of the
private chat. Its message belongs to a chat that the bot may not even be in: it can be edited and
nothing else, and a file that is new to Telegram cannot be put into it (Bot API, "Inline mode" and
`editMessageMedia`). So all pictures are sent to the person's private chat, and the message shows
the first one by its id there.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any, Final
from weakref import WeakValueDictionary

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
    Update,
)
from telegram.error import TelegramError

from bot.errors import ContentRefused, PreviewUnsupported, SurfaceError, SurfaceForbidden
from bot.i18n import Words
from bot.models import Address, ChannelKey, Imagine, IncomingMessage
from bot.platforms.telegram.client import NO_LINK_PREVIEW, PLATFORM, ChatClient, TelegramTarget
from bot.platforms.telegram.entities import (
    MAX_CAPTION_UNITS,
    MAX_RENDERED,
    MAX_TEXT_UNITS,
    Rendered,
    render,
    utf16_length,
)
from bot.platforms.telegram.errors import Request, translated
from bot.platforms.telegram.parsing import person_of
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.surface import GROUP_INTERVAL_SECONDS
from bot.platforms.telegram.updates import MAX_ALBUM_ITEMS
from bot.reply.render import markdown
from bot.reply.surface import Anchor, Content, Limits, Receipt, Search
from bot.support import BackgroundTasks
from bot.turns.commands import CommandError, parse_drawing
from bot.turns.dispatcher import Dispatcher

_log = structlog.get_logger(__name__)

INLINE_UPDATES: Final = (Update.INLINE_QUERY, Update.CHOSEN_INLINE_RESULT)
"""What Telegram is to deliver as well."""

START: Final = "inline"
"""The payload of `/start` with which the button above the results opens the private chat."""

_DRAW: Final = "imagine"
_MAX_PROMPT_CHARS: Final = 200
"""Of a prompt in a list of results."""
_REMOVED: Final = "\N{WASTEBASKET}"


@dataclass(frozen=True, slots=True)
class InlineTarget:
    """Where a reply goes: a message that a person sent through inline mode.

    Attributes:
        inline: the message's `inline_message_id`.
        person: who sent it, a user id.
        language: of that person, as a BCP 47 tag; may be empty.
        prompt: what was typed after the bot's name.
    """

    inline: str
    person: int
    language: str
    prompt: str

    def to_address(self) -> Address:
        """Its data are the attributes; no address of a message in a chat has an `inline`."""
        return Address(PLATFORM, f"inline {self.inline}", asdict(self))


class Inline:
    """Answers what people type after the bot's name, and draws what they choose."""

    def __init__(self, bot: Bot, dispatcher: Dispatcher, state: ServerState) -> None:
        self._bot = bot
        self._dispatcher = dispatcher
        self._state = state
        self._offers: WeakValueDictionary[int, asyncio.Task[None]] = WeakValueDictionary()
        self._tasks = BackgroundTasks()

    def offer(self, query: InlineQuery) -> None:
        """Answer in the background; a person who types on needs only the newest answer."""
        person = query.from_user.id
        if (before := self._offers.get(person)) is not None:
            before.cancel()
        self._offers[person] = self._tasks.start(self._offer(query))

    async def chosen(self, result: ChosenInlineResult) -> None:
        """Begin to draw, if that is what was chosen.

        Raises:
            StorageError: nothing could be written down.
        """
        message_id = result.inline_message_id
        if result.result_id != _DRAW or message_id is None:
            return
        drawing = _drawing(result.query)
        if drawing is None:
            return
        notice = await self._dispatcher.handle(_incoming(result, message_id), drawing)
        if notice is not None:
            self._tasks.start(self._say(message_id, notice.text, drawing))

    async def close(self) -> None:
        await self._tasks.close()

    async def _offer(self, query: InlineQuery) -> None:
        words = await self._dispatcher.words(_incoming(query, query.id))
        pictures = list(self._state.pictures_of(query.from_user.id).values())
        results: list[InlineQueryResult] = [
            InlineQueryResultCachedPhoto(
                str(number), picture.file_id, title=picture.alt[:_MAX_PROMPT_CHARS] or None
            )
            for number, picture in enumerate(reversed(pictures))
        ]
        if (drawing := _drawing(query.query)) is not None:
            offer = InputTextMessageContent(
                f"\N{ARTIST PALETTE} {query.query.strip()}",
                entities=(),
                link_preview_options=NO_LINK_PREVIEW,
            )
            article = InlineQueryResultArticle(
                _DRAW,
                words("telegram-inline-draw"),
                offer,
                reply_markup=_again(drawing.prompt),
                description=drawing.prompt[:_MAX_PROMPT_CHARS],
            )
            results.insert(0, article)
        button = InlineQueryResultsButton(words("telegram-inline-start"), start_parameter=START)
        try:
            # Not cached: the next picture is to be offered as soon as it is there.
            await self._bot.answer_inline_query(
                query.id, results, cache_time=0, is_personal=True, button=button
            )
        except TelegramError as error:
            _log.info("inline query not answered", error=str(error))

    async def _say(self, message_id: str, text: str, drawing: Imagine) -> None:
        try:
            with translated(Request.EDIT):
                await self._bot.edit_message_text(
                    text, inline_message_id=message_id, reply_markup=_again(drawing.prompt)
                )
        except SurfaceError as error:
            _log.info("inline notice not delivered", error=str(error))


def _again(prompt: str) -> InlineKeyboardMarkup:
    """The button under a message of inline mode: it puts the prompt into one's own input field.

    Telegram tells which message a result became only if it has a keyboard.
    """
    button = InlineKeyboardButton(
        "\N{ARTIST PALETTE}", switch_inline_query_current_chat=prompt[:_MAX_PROMPT_CHARS]
    )
    return InlineKeyboardMarkup([[button]])


def _drawing(query: str) -> Imagine | None:
    try:
        return parse_drawing(query)
    except CommandError:
        return None


def _incoming(event: InlineQuery | ChosenInlineResult, message_id: str) -> IncomingMessage:
    """What the core takes in. Its channel is not one of the person's chats."""
    person = person_of(event.from_user)
    target = InlineTarget(message_id, event.from_user.id, person.language, event.query)
    return IncomingMessage(
        channel=ChannelKey(PLATFORM, ("inline", person.id)),
        person=person,
        message_id=message_id,
        address=target.to_address(),
    )


class InlineSurface:
    """One reply in one message of inline mode; implements `bot.reply.surface.Surface`.

    The message is there before the reply begins, so creating it is editing it, and nothing about
    it is ever in doubt. A receipt is `{"inline": id}`.
    """

    rate_limit_info = None

    def __init__(self, bot: Bot, target: InlineTarget, state: ServerState, words: Words) -> None:
        self._bot = bot
        self._target = target
        self._state = state
        self._words = words
        self._receipt: Receipt = {"inline": target.inline}
        self._keyboard = _again(target.prompt)
        self._render = lru_cache(MAX_RENDERED)(partial(render, quiet=True))
        self._private = ChatClient(bot, TelegramTarget(target.person, private=True), state)

    @property
    def limits(self) -> Limits:
        """One message that takes text, and pictures later.

        Nobody knows which chat it is in, so the interval is that of a group.
        """
        return Limits(MAX_TEXT_UNITS, MAX_CAPTION_UNITS, MAX_ALBUM_ITEMS, GROUP_INTERVAL_SECONDS)

    def measure(self, text: str) -> int:
        """UTF-16 code units of the rendered text."""
        return utf16_length(self._render(text).text)

    def anchor(self) -> Anchor:
        return {}

    async def find(self, search: Search) -> Receipt | None:
        """The message; it exists as long as the person leaves it there."""
        del search
        return self._receipt

    async def create(self, content: Content, nonce: str) -> Receipt:
        """Edit the message that is there; a second one is refused."""
        if not nonce.endswith("-0"):
            raise ContentRefused("A message of Telegram's inline mode cannot be followed by more.")
        await self.edit(self._receipt, content)
        return self._receipt

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """Show other text, or the first picture with the text as caption."""
        del receipt
        if not content.files:
            await self._say(self._render(markdown(content)))
            return
        try:
            shown = await self._first_picture(content)
        except SurfaceForbidden:
            bot = f"@{self._bot.username}"
            text = f"⚠️ {self._words('telegram-inline-write-first', bot=bot)}"
            await self._say(render(text))  # not quiet: a tap on the name leads there
            return
        with translated(Request.EDIT):
            await self._bot.edit_message_media(
                shown, inline_message_id=self._target.inline, reply_markup=self._keyboard
            )

    async def delete(self, receipt: Receipt) -> None:
        """Leave a sign: only the person can remove such a message."""
        del receipt
        await self._say(Rendered(_REMOVED))

    async def preview(self, content: Content) -> None:
        del content
        raise PreviewUnsupported("A message of Telegram's inline mode has no drafts.")

    async def _say(self, shown: Rendered) -> None:
        with translated(Request.EDIT):
            await self._bot.edit_message_text(
                shown.text,
                inline_message_id=self._target.inline,
                entities=shown.entities,
                link_preview_options=NO_LINK_PREVIEW,
                reply_markup=self._keyboard,
            )

    async def _first_picture(self, content: Content) -> InputMediaPhoto | InputMediaDocument:
        """The first picture, once Telegram has all of them.

        Raises:
            SurfaceForbidden: the person never wrote to the bot, or blocked it.
        """
        shown, person = self._render(markdown(content)), self._target.person
        caption: dict[str, Any] = {"caption": shown.text, "caption_entities": shown.entities}
        known = self._state.pictures_of(person).get(content.files[0].key)
        if known is not None:
            return InputMediaPhoto(known.file_id, **caption)
        with translated(Request.CREATE):
            sent = await self._private.send_pictures(Rendered(""), content.files)
        self._state.sent_pictures(person, content.files, sent)
        if (document := sent[0].document) is not None:
            return InputMediaDocument(document.file_id, **caption)
        return InputMediaPhoto(sent[0].photo[-1].file_id, **caption)
