"""Shows replies in messages that people sent through inline mode.

Such a message belongs to a chat that the bot may not even be in. It can be edited and nothing else,
and a file that is new to Telegram cannot be put into it (Bot API, `editMessageMedia`). So pictures
are sent to the person's private chat, all of them, and the first is shown in the message by its id
there.
"""

from __future__ import annotations

from collections.abc import Sequence

from telegram import Bot, InputMediaDocument, InputMediaPhoto, LinkPreviewOptions, Message

from bot.errors import ContentRefused, PreviewUnsupported, SurfaceForbidden
from bot.files import File
from bot.i18n import Words
from bot.models import Address
from bot.platforms.telegram.discoveries import Discoveries
from bot.platforms.telegram.entities import Rendered, render
from bot.platforms.telegram.inline import again
from bot.platforms.telegram.place import Place
from bot.platforms.telegram.refusals import Request, translated
from bot.reply.surface import Anchor, Content, Limits, Receipt, Search

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

    def __init__(self, bot: Bot, address: Address, known: Discoveries, words: Words) -> None:
        self._bot = bot
        self._known = known
        self._words = words
        self._message: str = address.data["inline"]
        self._person: int = address.data["person"]
        self._again = again(address.data["prompt"])
        private = {"chat_id": self._person, "thread_id": None, "reply_to": None, "private": True}
        there = Address(address.platform, str(self._person), {**private, "draft_id": 1})
        self._private = Place(bot, there, known)

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
    known: Discoveries, person: int, files: Sequence[File], sent: Sequence[Message]
) -> None:
    """Keep where Telegram has the pictures of a person, so that they can be sent again."""
    for file, message in zip(files, sent, strict=False):
        if message.photo:
            known.made(person, file.key, message.photo[-1].file_id, file.alt)
