"""The Bot API client: the real one of python-telegram-bot, with bounds that suit a bot of ours."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx
from telegram import (
    Bot,
    ForceReply,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    LinkPreviewOptions,
    Message,
    ReplyParameters,
)
from telegram.error import BadRequest, ChatMigrated, TelegramError
from telegram.request import HTTPXRequest

from bot.files import File
from bot.models import Address
from bot.platforms.telegram.entities import Rendered, render
from bot.platforms.telegram.errors import is_not_a_photo, lacks_right_to_files
from bot.platforms.telegram.files import as_photos, fit_for_photos
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.updates import is_update, readable

_READ_TIMEOUT = 30.0
"""Seconds. With the library's 5, `TimedOut` comes although the message was stored (measured)."""
_POLL_MARGIN = 10.0
"""Seconds on top of a long poll after which the connection counts as dead."""
_UPLOAD_TIMEOUT = 120.0
_CONNECTIONS = 256
_POLLS = 2
_IDLE = 30.0
"""Seconds for which a connection that is not used stays open. With httpx's 5, most replies begin
with a new handshake; and httpx loses track of connections that it is just closing for their age
when the request that it does so for is cancelled (httpcore 1.0.9)."""


class UpdatesRequest(HTTPXRequest):
    """Reads updates one by one.

    The library parses all updates of an answer or none; a single one that it cannot read would
    come again for ever, and everything behind it never.
    """

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """As in `BaseRequest`; an update that cannot be read is left with nothing but its id.

        Raises:
            TelegramError: the answer is none of a Bot API server.
        """
        answer: Any = HTTPXRequest.parse_json_payload(payload)
        if not isinstance(answer, dict) or "ok" not in answer:
            raise TelegramError("Invalid server response")
        result = answer.get("result")
        if isinstance(result, list):
            answer["result"] = [readable(update) for update in result if is_update(update)]
        return answer


def trust_for(api_url: str) -> ssl.SSLContext:
    """Whose certificates to believe; blocks for a moment to read them.

    A server without TLS needs none, and the empty context believes nobody.
    """
    if api_url.startswith("https:"):
        return httpx.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def make_bot(token: str, api_url: str, trust: ssl.SSLContext | None = None) -> Bot:
    """A client, not initialised yet.

    Args:
        token: `<digits>:<secret>`.
        api_url: root of the Bot API server, e.g. `https://api.telegram.org`.
        trust: whose certificates to believe; `None` asks `trust_for`.
    """
    root = api_url.rstrip("/")
    trust = trust or trust_for(api_url)
    return Bot(
        token,
        base_url=f"{root}/bot",
        base_file_url=f"{root}/file/bot",
        request=HTTPXRequest(
            read_timeout=_READ_TIMEOUT,
            write_timeout=_READ_TIMEOUT,
            pool_timeout=_READ_TIMEOUT,
            media_write_timeout=_UPLOAD_TIMEOUT,
            httpx_kwargs={"verify": trust, "limits": _limits(_CONNECTIONS)},
        ),
        get_updates_request=UpdatesRequest(
            read_timeout=_POLL_MARGIN,
            httpx_kwargs={"verify": trust, "limits": _limits(_POLLS)},
        ),
    )


def _limits(connections: int) -> httpx.Limits:
    return httpx.Limits(
        max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_IDLE
    )


T = TypeVar("T")

_NO_LINK_PREVIEW = LinkPreviewOptions(is_disabled=True)


class ChatClient:
    """A chat or a topic in one, and the message there that is answered.

    Args:
        bot: initialised client.
        address: made by `TelegramAdapter`.
        known: shared by all places of the adapter.

    Attributes:
        chat: id of the chat, as it was when the address was made.
        private: whether it is somebody's private chat with the bot.
        thread: id of the topic, if it is one.
        reply_to: id of the message that is answered.
    """

    def __init__(self, bot: Bot, address: Address, known: ServerState) -> None:
        self._bot = bot
        self._known = known
        self.chat: int = address.data["chat_id"]
        self.private: bool = address.data["private"]
        self.thread: int | None = address.data["thread_id"]
        self.reply_to: int | None = address.data["reply_to"]
        self._draft_id: int = address.data["draft_id"]

    @property
    def now(self) -> int:
        """Id of the chat, wherever it moved to."""
        return self._known.moved.get(self.chat, self.chat)

    def render(self, text: str) -> Rendered:
        """As `entities.render`; in a group nobody is mentioned."""
        return render(text, quiet=not self.private)

    async def send_text(
        self,
        shown: Rendered,
        markup: InlineKeyboardMarkup | ForceReply | None = None,
        *,
        special: dict[str, Any] | None = None,
    ) -> Message:
        """Send a text, perhaps with buttons or with a field for the answer.

        Args:
            shown: what to say.
            markup: buttons or the field.
            special: further parameters, which python-telegram-bot does not know.
        """
        return await self._in_chat(
            lambda chat: self._bot.send_message(
                chat,
                shown.text,
                entities=shown.entities,
                link_preview_options=_NO_LINK_PREVIEW,
                reply_markup=markup,
                api_kwargs=special,
                **self._aim(),
            )
        )

    async def edit_text(
        self, message_id: int, shown: Rendered, markup: InlineKeyboardMarkup | None = None
    ) -> Message | bool:
        """Change a text; without `markup` its buttons go. Returns the message as it is then."""
        return await self._in_chat(
            lambda chat: self._bot.edit_message_text(
                shown.text,
                chat,
                message_id,
                entities=shown.entities,
                link_preview_options=_NO_LINK_PREVIEW,
                reply_markup=markup,
            )
        )

    async def edit_caption(self, message_id: int, shown: Rendered) -> Message | bool:
        """Change the text below a picture. Returns the message as it is then."""
        return await self._in_chat(
            lambda chat: self._bot.edit_message_caption(
                chat, message_id, caption=shown.text, caption_entities=shown.entities
            )
        )

    async def delete(self, message_id: int) -> None:
        """Remove a message."""
        await self._in_chat(lambda chat: self._bot.delete_message(chat, message_id))

    async def draft(self, shown: Rendered) -> None:
        """Show a draft; a topic has drafts of its own."""
        await self._bot.send_message_draft(
            self.chat,
            self._draft_id,
            shown.text,
            message_thread_id=self.thread,
            entities=shown.entities,
        )

    async def send_pictures(self, shown: Rendered, files: Sequence[File]) -> Sequence[Message]:
        """Send pictures as photos, or as files where Telegram takes them as nothing else."""
        pictures = await as_photos(files)
        if fit_for_photos(pictures):
            try:
                return await self._in_chat(lambda chat: self._send_photos(chat, shown, pictures))
            except BadRequest as error:
                if not (is_not_a_photo(error) or lacks_right_to_files(error)):
                    raise
        return await self._in_chat(lambda chat: self._send_documents(chat, shown, files))

    async def send_file(
        self, data: bytes, name: str, shown: Rendered, markup: InlineKeyboardMarkup | None
    ) -> Message:
        """Send any file, with a caption and perhaps with buttons."""
        return await self._in_chat(
            lambda chat: self._send_document(chat, data, name, shown, markup)
        )

    async def send_photo(self, photo: bytes | str, name: str, shown: Rendered) -> Message:
        """Send a JPEG or PNG, or one that the server has already, by its file id."""
        return await self._in_chat(
            lambda chat: self._bot.send_photo(chat, photo, filename=name, **self._below(shown))
        )

    async def _in_chat(self, send: Callable[[int], Awaitable[T]]) -> T:
        """Send to the chat, wherever it moved to."""
        try:
            return await send(self.now)
        except ChatMigrated as error:
            self._known.moved[self.chat] = error.new_chat_id
            return await send(error.new_chat_id)

    def _aim(self) -> dict[str, Any]:
        """The topic and the question, which may have been deleted meanwhile."""
        question = None
        if self.reply_to is not None:
            question = ReplyParameters(self.reply_to, allow_sending_without_reply=True)
        return {"message_thread_id": self.thread, "reply_parameters": question}

    def _below(self, shown: Rendered) -> dict[str, Any]:
        """The same, and the text as caption."""
        return self._aim() | {"caption": shown.text or None, "caption_entities": shown.entities}

    async def _send_photos(
        self, chat: int, shown: Rendered, files: Sequence[File]
    ) -> Sequence[Message]:
        if len(files) == 1:
            (file,) = files
            below = self._below(shown)
            return [await self._bot.send_photo(chat, file.data, filename=file.name, **below)]
        media = [InputMediaPhoto(file.data, filename=file.name) for file in files]
        return await self._bot.send_media_group(chat, media, **self._below(shown))

    async def _send_documents(
        self, chat: int, shown: Rendered, files: Sequence[File]
    ) -> Sequence[Message]:
        if len(files) == 1:
            (file,) = files
            return [await self._send_document(chat, file.data, file.name, shown, None)]
        media = [
            InputMediaDocument(file.data, filename=file.name, disable_content_type_detection=True)
            for file in files
        ]
        return await self._bot.send_media_group(chat, media, **self._below(shown))

    def _send_document(
        self,
        chat: int,
        data: bytes,
        name: str,
        shown: Rendered,
        markup: InlineKeyboardMarkup | None,
    ) -> Awaitable[Message]:
        # Without the detection switched off, a small WebP file becomes a sticker.
        return self._bot.send_document(
            chat,
            data,
            filename=name,
            disable_content_type_detection=True,
            reply_markup=markup,
            **self._below(shown),
        )
