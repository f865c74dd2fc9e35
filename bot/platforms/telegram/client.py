"""The Bot API client: how it is made, where a reply goes, and the requests that bring it there.

It is python-telegram-bot's, with timeouts and connections that suit a bot that streams. Failures
are the library's own; `errors` says what they mean.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

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
from bot.platforms.telegram.entities import MAX_RENDERED, Rendered, render
from bot.platforms.telegram.errors import is_not_a_photo
from bot.platforms.telegram.files import as_photos
from bot.platforms.telegram.server_state import ServerState
from bot.platforms.telegram.updates import is_update, parse_update

_T = TypeVar("_T")
_P = ParamSpec("_P")

PLATFORM: Final = "telegram"
NO_LINK_PREVIEW: Final = LinkPreviewOptions(is_disabled=True)

_READ_TIMEOUT_SECONDS: Final = 30.0
"""With the library's 5, `TimedOut` comes although the message was stored (measured)."""
_POLL_MARGIN_SECONDS: Final = 10.0
"""How much longer than its long poll an answer may take; then the connection counts as dead."""
_UPLOAD_TIMEOUT_SECONDS: Final = 120.0
_MAX_CONNECTIONS: Final = 256
_MAX_POLL_CONNECTIONS: Final = 2
_KEEPALIVE_SECONDS: Final = 30.0
"""How long an unused connection stays open. With httpx's 5, most replies begin with a handshake;
besides, httpx loses track of connections that it is closing for their age when the request that
makes it do so is cancelled (httpcore 1.0.9)."""


@dataclass(frozen=True, slots=True)
class TelegramTarget:
    """Where a reply goes: a chat or a topic in it, and the message there that is answered.

    Attributes:
        chat_id: the chat, under the id that it had when the message came.
        thread_id: the topic, if it is one.
        reply_to: the message that is answered.
        private: it is somebody's private chat with the bot.
        draft_id: not zero, and the same after a restart, so that a resumed reply goes on in its
            draft.
    """

    chat_id: int
    thread_id: int | None = None
    reply_to: int | None = None
    private: bool = False
    draft_id: int = 1

    def to_address(self) -> Address:
        """Its data are the attributes. They keep their names: it may be read years later."""
        return Address(PLATFORM, str(self.chat_id), asdict(self))


class _PollRequest(HTTPXRequest):
    """Reads updates one by one; by itself, the library parses all updates of an answer or none."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """As in `BaseRequest`; an update that cannot be read is left with nothing but its id.

        Raises:
            TelegramError: the answer is not that of a Bot API server.
        """
        answer: Any = HTTPXRequest.parse_json_payload(payload)
        if not isinstance(answer, dict) or "ok" not in answer:
            raise TelegramError("Invalid server response")
        result = answer.get("result")
        if isinstance(result, list):
            answer["result"] = [
                update if parse_update(update) is not None else {"update_id": update["update_id"]}
                for update in result
                if is_update(update)
            ]
        return answer


def trust_for(api_url: str) -> ssl.SSLContext:
    """Which certificates to trust; blocks for a moment to read them.

    A server without TLS needs none, and the empty context trusts nobody.
    """
    if api_url.startswith("https:"):
        return httpx.create_ssl_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def make_bot(token: str, api_url: str, trust: ssl.SSLContext | None = None) -> Bot:
    """A client, not initialised yet, for the Bot API server whose root is `api_url`."""
    root = api_url.rstrip("/")
    trust = trust or trust_for(api_url)
    return Bot(
        token,
        base_url=f"{root}/bot",
        base_file_url=f"{root}/file/bot",
        request=HTTPXRequest(
            read_timeout=_READ_TIMEOUT_SECONDS,
            write_timeout=_READ_TIMEOUT_SECONDS,
            pool_timeout=_READ_TIMEOUT_SECONDS,
            media_write_timeout=_UPLOAD_TIMEOUT_SECONDS,
            httpx_kwargs={"verify": trust, "limits": _limits(_MAX_CONNECTIONS)},
        ),
        get_updates_request=_PollRequest(
            read_timeout=_POLL_MARGIN_SECONDS,
            httpx_kwargs={"verify": trust, "limits": _limits(_MAX_POLL_CONNECTIONS)},
        ),
    )


def _limits(connections: int) -> httpx.Limits:
    return httpx.Limits(
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=_KEEPALIVE_SECONDS,
    )


class ChatClient:
    """The requests that concern one target; each raises what the client library raises."""

    def __init__(self, bot: Bot, target: TelegramTarget, state: ServerState) -> None:
        self.target = target
        self.render = lru_cache(MAX_RENDERED)(partial(render, quiet=not target.private))
        """Renders Markdown; in a group nobody is mentioned."""
        self._bot = bot
        self._state = state
        question = None
        if target.reply_to is not None:
            # It may have been deleted meanwhile.
            question = ReplyParameters(target.reply_to, allow_sending_without_reply=True)
        self._aim: dict[str, Any] = {
            "message_thread_id": target.thread_id,
            "reply_parameters": question,
        }

    async def send_text(
        self,
        shown: Rendered,
        markup: InlineKeyboardMarkup | ForceReply | None = None,
        *,
        api_kwargs: dict[str, Any] | None = None,
    ) -> Message:
        """Send a text; `api_kwargs` are parameters that python-telegram-bot does not know."""
        return await self._in_chat(
            self._bot.send_message,
            shown.text,
            entities=shown.entities,
            link_preview_options=NO_LINK_PREVIEW,
            reply_markup=markup,
            api_kwargs=api_kwargs,
            **self._aim,
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
                link_preview_options=NO_LINK_PREVIEW,
                reply_markup=markup,
            )
        )

    async def edit_photo(
        self, message_id: int, photo: File, shown: Rendered, markup: InlineKeyboardMarkup | None
    ) -> Message | bool:
        """Make a text, or a single photo, show this JPEG or PNG. Returns the message then."""
        media = InputMediaPhoto(
            photo.data, shown.text, caption_entities=shown.entities, filename=photo.name
        )
        return await self._in_chat(
            lambda chat: self._bot.edit_message_media(media, chat, message_id, reply_markup=markup)
        )

    async def edit_caption(self, message_id: int, shown: Rendered) -> Message | bool:
        """Change the text below a picture. Returns the message as it is then."""
        return await self._in_chat(
            self._bot.edit_message_caption,
            message_id,
            caption=shown.text,
            caption_entities=shown.entities,
        )

    async def delete(self, message_id: int) -> None:
        await self._in_chat(self._bot.delete_message, message_id)

    async def draft(self, shown: Rendered) -> None:
        """Show a draft; a topic has drafts of its own."""
        await self._bot.send_message_draft(
            self.target.chat_id,
            self.target.draft_id,
            shown.text,
            message_thread_id=self.target.thread_id,
            entities=shown.entities,
        )

    async def send_pictures(self, shown: Rendered, files: Sequence[File]) -> Sequence[Message]:
        """Send pictures as photos, or as files where Telegram takes them as nothing else."""
        photos = await as_photos(files)
        if photos:
            try:
                if len(photos) == 1:
                    return [await self.send_photo(photos[0].data, photos[0].name, shown)]
                album = [InputMediaPhoto(each.data, filename=each.name) for each in photos]
                return await self._in_chat(self._bot.send_media_group, album, **self._below(shown))
            except BadRequest as error:
                if not is_not_a_photo(error):
                    raise
        if len(files) == 1:
            return [await self.send_file(files[0], shown)]
        documents = [
            InputMediaDocument(each.data, filename=each.name, disable_content_type_detection=True)
            for each in files
        ]
        return await self._in_chat(self._bot.send_media_group, documents, **self._below(shown))

    async def send_file(
        self, file: File, shown: Rendered, markup: InlineKeyboardMarkup | None = None
    ) -> Message:
        # Without the detection switched off, a small WebP file becomes a sticker.
        return await self._in_chat(
            self._bot.send_document,
            file.data,
            filename=file.name,
            disable_content_type_detection=True,
            reply_markup=markup,
            **self._below(shown),
        )

    async def send_photo(self, photo: bytes | str, name: str, shown: Rendered) -> Message:
        """Send a JPEG or PNG, or one that the server has already, by its file id."""
        return await self._in_chat(self._bot.send_photo, photo, filename=name, **self._below(shown))

    async def _in_chat(
        self,
        request: Callable[Concatenate[int, _P], Awaitable[_T]],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T:
        """Make a request for the chat, wherever it moved to."""
        chat = self.target.chat_id
        try:
            return await request(self._state.moved.get(chat, chat), *args, **kwargs)
        except ChatMigrated as error:
            self._state.moved[chat] = error.new_chat_id
            return await request(error.new_chat_id, *args, **kwargs)

    def _below(self, shown: Rendered) -> dict[str, Any]:
        """Where a picture goes, and the text as its caption."""
        return self._aim | {"caption": shown.text or None, "caption_entities": shown.entities}
