"""Shows replies in Telegram chats."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from telegram import (
    Bot,
    InputMediaDocument,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
    ReplyParameters,
)
from telegram.error import BadRequest, ChatMigrated, TelegramError

from bot.errors import PreviewUnsupported
from bot.messages import Address
from bot.platforms.telegram.entities import Rendered, render
from bot.platforms.telegram.photos import as_photos, fit_for_photos
from bot.platforms.telegram.refusals import (
    Request,
    is_not_a_photo,
    is_unknown_method,
    is_without_drafts,
    translated,
)
from bot.reply.surface import Content, Limits, Receipt, Upload

T = TypeVar("T")

_TEXT, _CAPTION, _FILES = 4096, 1024, 10
"""UTF-16 code units after rendering, and items of an album (Bot API)."""
_DRAFT_INTERVAL = 1.0
_PRIVATE_INTERVAL = 1.5
_GROUP_INTERVAL = 3.5
"""Seconds between edits. A group takes 20 messages a minute, edits included; 3.2 s was measured
to earn no 429, and the rest is for the final text."""
_NO_LINK_PREVIEW = LinkPreviewOptions(is_disabled=True)


@dataclass(slots=True)
class Discoveries:
    """What the adapter learnt about its server and chats while running; shared by its surfaces.

    Attributes:
        drafts: whether the server knows `sendMessageDraft`.
        without_drafts: private chats that take none all the same.
        moved: groups that became supergroups, old id to new id.
    """

    drafts: bool = True
    without_drafts: set[int] = field(default_factory=set)
    moved: dict[int, int] = field(default_factory=dict)


class TelegramSurface:
    """One reply in one chat or topic; implements `bot.reply.surface.Surface`.

    Text is rendered to entities, never given a parse mode. A receipt is
    `{"ids": [message ids], "kind": "text" | "photos"}`; the text of photos is the first one's
    caption.

    Args:
        bot: initialised client.
        address: made by `TelegramAdapter`.
        known: shared by all surfaces of the adapter.
    """

    def __init__(self, bot: Bot, address: Address, known: Discoveries) -> None:
        self._bot = bot
        self._known = known
        self._chat: int = address.data["chat_id"]
        self._thread: int | None = address.data["thread_id"]
        self._reply_to: int | None = address.data["reply_to"]
        self._private: bool = address.data["private"]
        self._draft_id: int = address.data["draft_id"]
        self._newest: tuple[str, Rendered] = ("", Rendered(""))

    @property
    def limits(self) -> Limits:
        """As the chat is now: drafts only in private chats, on servers that have them."""
        drafts = (
            self._private and self._known.drafts and self._chat not in self._known.without_drafts
        )
        if drafts:
            interval = _DRAFT_INTERVAL
        else:
            interval = _PRIVATE_INTERVAL if self._private else _GROUP_INTERVAL
        return Limits(_TEXT, _CAPTION, _FILES, interval, previews=drafts, attach=False)

    def measure(self, text: str) -> int:
        """UTF-16 code units of the rendered text."""
        return self._render(text).length

    async def create(self, content: Content, nonce: str) -> Receipt:
        """Send the text, or the pictures with the text as caption.

        Telegram knows no nonces: after `DeliveryUnknown` a second try may show it twice.

        Raises:
            DeliveryUnknown: no answer came after the request left; it may be there.
        """
        del nonce
        shown = self._render(content.text)
        with translated(Request.CREATE):
            if not content.files:
                message = await self._in_chat(lambda chat: self._send_text(chat, shown))
                return {"ids": [message.message_id], "kind": "text"}
            messages = await self._send_files(shown, content.files)
        return {"ids": [message.message_id for message in messages], "kind": "photos"}

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """Change the text or the caption; pictures stay as they are (`Limits.attach`).

        Raises:
            MessageGone: a person deleted it.
            DeliveryUnknown: no answer came; repeating the edit is harmless.
        """
        shown = self._render(content.text)
        first: int = receipt["ids"][0]
        with translated(Request.EDIT):
            if receipt["kind"] == "photos":
                await self._in_chat(
                    lambda chat: self._bot.edit_message_caption(
                        chat, first, caption=shown.text, caption_entities=shown.entities
                    )
                )
            else:
                await self._in_chat(
                    lambda chat: self._bot.edit_message_text(
                        shown.text,
                        chat,
                        first,
                        entities=shown.entities,
                        link_preview_options=_NO_LINK_PREVIEW,
                    )
                )

    async def delete(self, receipt: Receipt) -> None:
        """Remove all its messages."""
        for message_id in receipt["ids"]:
            with translated(Request.DELETE):
                await self._in_chat(partial(self._bot.delete_message, message_id=message_id))

    async def preview(self, content: Content) -> None:
        """Show a draft. It lasts about 30 s, and any real message in the chat removes it.

        Raises:
            PreviewUnsupported: a group, or a server that has no drafts.
        """
        if not self.limits.previews:
            raise PreviewUnsupported("This Telegram chat has no drafts.")
        shown = self._render(content.text)
        with translated(Request.PREVIEW):
            try:
                await self._bot.send_message_draft(
                    self._chat,
                    self._draft_id,
                    shown.text,
                    message_thread_id=self._thread,
                    entities=shown.entities,
                )
            except TelegramError as error:
                self._learn_from(error)
                raise

    def _learn_from(self, error: TelegramError) -> None:
        if is_unknown_method(error):
            self._known.drafts = False
        elif isinstance(error, BadRequest) and is_without_drafts(error):
            self._known.without_drafts.add(self._chat)

    def _render(self, text: str) -> Rendered:
        """Rendered once for measuring and showing: both ask for the newest text."""
        if self._newest[0] != text:
            self._newest = (text, render(text, quiet=not self._private))
        return self._newest[1]

    async def _in_chat(self, send: Callable[[int], Awaitable[T]]) -> T:
        """Send to the chat, wherever it moved to."""
        chat = self._known.moved.get(self._chat, self._chat)
        try:
            return await send(chat)
        except ChatMigrated as error:
            self._known.moved[self._chat] = error.new_chat_id
            return await send(error.new_chat_id)

    def _place(self) -> dict[str, Any]:
        """The topic and the question, which may have been deleted meanwhile."""
        question = None
        if self._reply_to is not None:
            question = ReplyParameters(self._reply_to, allow_sending_without_reply=True)
        return {"message_thread_id": self._thread, "reply_parameters": question}

    def _below(self, shown: Rendered) -> dict[str, Any]:
        """The same, and the text as caption."""
        return self._place() | {
            "caption": shown.text or None,
            "caption_entities": shown.entities,
        }

    def _send_text(self, chat: int, shown: Rendered) -> Awaitable[Message]:
        return self._bot.send_message(
            chat,
            shown.text,
            entities=shown.entities,
            link_preview_options=_NO_LINK_PREVIEW,
            **self._place(),
        )

    async def _send_files(self, shown: Rendered, files: Sequence[Upload]) -> Sequence[Message]:
        pictures = await as_photos(files)
        if fit_for_photos(pictures):
            try:
                return await self._in_chat(lambda chat: self._send_photos(chat, shown, pictures))
            except BadRequest as error:
                if not is_not_a_photo(error):
                    raise
        return await self._in_chat(lambda chat: self._send_documents(chat, shown, files))

    async def _send_photos(
        self, chat: int, shown: Rendered, files: Sequence[Upload]
    ) -> Sequence[Message]:
        if len(files) == 1:
            (file,) = files
            message = await self._bot.send_photo(
                chat, file.data, filename=file.name, **self._below(shown)
            )
            return [message]
        media = [InputMediaPhoto(file.data, filename=file.name) for file in files]
        return await self._bot.send_media_group(chat, media, **self._below(shown))

    async def _send_documents(
        self, chat: int, shown: Rendered, files: Sequence[Upload]
    ) -> Sequence[Message]:
        # Without the detection switched off, a small WebP file becomes a sticker.
        if len(files) == 1:
            (file,) = files
            message = await self._bot.send_document(
                chat,
                file.data,
                filename=file.name,
                disable_content_type_detection=True,
                **self._below(shown),
            )
            return [message]
        media = [
            InputMediaDocument(file.data, filename=file.name, disable_content_type_detection=True)
            for file in files
        ]
        return await self._bot.send_media_group(chat, media, **self._below(shown))
