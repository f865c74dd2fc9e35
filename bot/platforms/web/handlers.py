"""The HTTP interface of the chat: a room's transcript, its messages and presses, its pictures."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import asdict

import structlog
from aiohttp import web

from bot.actions import Action, Verb
from bot.errors import BotError, StorageError
from bot.i18n import Words
from bot.models import IncomingMessage, JsonObject, Notice
from bot.platforms.web.events import stream_events
from bot.platforms.web.files import Downloads, UploadStore
from bot.platforms.web.pages import Pages
from bot.platforms.web.parsing import (
    ROOM,
    FormRefused,
    Languages,
    channel_of,
    incoming_message,
    read_form,
    read_press,
    remember,
)
from bot.platforms.web.surface import LiveRooms
from bot.platforms.web.transcript import notice_to_json, turn_to_json
from bot.turns import answers
from bot.turns.commands import CommandError
from bot.turns.dispatcher import Dispatcher
from bot.turns.transcripts import Transcripts

MAX_TURNS_SHOWN = 100

_PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})

log = structlog.get_logger(__name__)


class Chat:
    """The handlers of the chat.

    Attributes:
        inbox: where messages go; `None` while the bot takes none.
    """

    def __init__(
        self,
        *,
        transcripts: Transcripts,
        uploads: UploadStore,
        downloads: Downloads,
        rooms: LiveRooms,
        pages: Pages,
        languages: Languages,
    ) -> None:
        self._transcripts = transcripts
        self._uploads = uploads
        self._downloads = downloads
        self._rooms = rooms
        self._pages = pages
        self._languages = languages
        self.inbox: Dispatcher | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._index),
            web.get("/static/{name}", self._pages.static),
            web.get(f"{ROOM}/turns", self._turns),
            web.get(f"{ROOM}/events", self._events),
            web.post(f"{ROOM}/messages", self._message),
            web.post(f"{ROOM}/presses", self._press),
            web.get("/pictures/{key:[0-9a-f]{64}}", self._picture),
            web.get("/files/{key:[0-9a-f]{32}}", self._file),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        response = self._pages.index(self._languages.words(request))
        remember(request, response)
        return response

    async def _turns(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        try:
            turns = await self._transcripts.turns(channel_of(request), MAX_TURNS_SHOWN)
            removed = await self._transcripts.removed(turns)
            if self.inbox is not None:
                # As the live replies here: a room can have a language of its own.
                words = await self.inbox.words(incoming_message(request, "-", self._languages))
        except StorageError as error:
            return _refusal(503, _reason(error, words))
        shown = [turn_to_json(turn, words, removed=turn.id in removed) for turn in turns]
        body = {"turns": shown, "complete": len(turns) < MAX_TURNS_SHOWN}
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        room, words = request.match_info["room"], self._languages.words(request)
        return await stream_events(request, room, self._rooms, words)

    async def _picture(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        try:
            file = await self._transcripts.picture(request.match_info["key"])
        except KeyError:
            return _refusal(404, words("press-picture-gone"))
        except StorageError as error:
            return _refusal(503, _reason(error, words))
        safe = file.media_type in _PICTURE_TYPES
        return web.Response(
            body=file.data,
            content_type=file.media_type if safe else "application/octet-stream",
            headers={
                # Its name is the hash of its bytes, so it never changes.
                "Cache-Control": "private, max-age=31536000, immutable",
                "Content-Disposition": "inline" if safe else "attachment",
                "Content-Security-Policy": "default-src 'none'; sandbox",
            },
        )

    async def _file(self, request: web.Request) -> web.StreamResponse:
        try:
            return self._downloads.response(request.match_info["key"])
        except KeyError:
            return _refusal(404, self._languages.words(request)("web-file-gone"))

    async def _message(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        if self.inbox is None:
            return _refusal(503, words("restarting"))
        try:
            form = await read_form(request, self._uploads)
        except FormRefused as refused:
            return _refusal(refused.status, refused.said_in(words))
        message = incoming_message(request, form.message_id, self._languages, form.attachments)
        try:
            command = form.command()
        except CommandError as error:
            self._uploads.discard(form.attachments)
            return await _misused(self.inbox, message, error, words)
        # Whatever happens now, the files stay: the turn may have been written down before.
        return await self._answer(self.inbox, message, self.inbox.handle(message, command), words)

    async def _press(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        if self.inbox is None:
            return _refusal(503, words("restarting"))
        try:
            press_id, action = await read_press(request)
        except FormRefused as refused:
            return _refusal(refused.status, refused.said_in(words))
        message = incoming_message(request, press_id, self._languages)
        if action is None:
            return await self._answer(self.inbox, message, _gone(self.inbox, message), words)
        if action.verb is Verb.EDIT:
            return await self._edit(self.inbox, message, action.target, words)
        doing = self._carry_out(self.inbox, message, action)
        return await self._answer(self.inbox, message, doing, words)

    async def _carry_out(
        self, inbox: Dispatcher, message: IncomingMessage, action: Action
    ) -> Notice | None:
        notice = await inbox.press(message, action)
        if action.verb is Verb.FORGET and notice is not None and notice.replaces:
            # What is deleted from the archive must not come back from memory.
            self._rooms.forget_finished()
        return notice

    async def _edit(
        self, inbox: Dispatcher, message: IncomingMessage, turn_id: str, words: Words
    ) -> web.Response:
        """Hand a drawing back to be changed: whoever sends it then, draws it."""
        try:
            turns = await self._transcripts.turns(message.channel, MAX_TURNS_SHOWN)
            here = any(turn.id == turn_id for turn in turns)
            drawing = await inbox.drawing(turn_id) if here else None
        except StorageError as error:
            return _refusal(503, _reason(error, words))
        if drawing is None:
            return await self._answer(inbox, message, _gone(inbox, message), words)
        return _taken(message, compose=asdict(drawing))

    async def _answer(
        self,
        inbox: Dispatcher,
        message: IncomingMessage,
        answer: Awaitable[Notice | None],
        words: Words,
    ) -> web.Response:
        """Wait for what the bot says at once, and tell the page."""
        try:
            notice = await answer
            said = None if notice is None else await notice_to_json(notice, self._downloads)
        except CommandError as error:
            return await _misused(inbox, message, error, words)
        except (BotError, OSError) as error:
            log.warning("message not taken", error=str(error))
            return _refusal(503, _reason(error, words))
        return _taken(message, notice=said)


def _taken(
    message: IncomingMessage, notice: JsonObject | None = None, compose: JsonObject | None = None
) -> web.Response:
    """Tell the page that something was taken in.

    Args:
        message: what.
        notice: what the bot says at once.
        compose: a drawing for the person to change and send.
    """
    body = {"message": message.message_id, "notice": notice, "compose": compose}
    return web.json_response(body, status=202)


def _refusal(status: int, text: str) -> web.Response:
    """Tell the page, in a sentence for the person, why something was not taken in."""
    return web.json_response({"error": text}, status=status)


async def _misused(
    inbox: Dispatcher, message: IncomingMessage, error: CommandError, words: Words
) -> web.Response:
    """Tell how a command is written."""
    with suppress(StorageError):
        words = await inbox.words(message)
    return _refusal(422, error.said_in(words))


async def _gone(inbox: Dispatcher, message: IncomingMessage) -> Notice:
    """The answer to a press of a button that means nothing any more."""
    return Notice((await inbox.words(message))("press-gone"))


def _reason(error: BotError | OSError, words: Words) -> str:
    """What went wrong behind the chat, for people; the log has the rest."""
    return answers.reason(error if isinstance(error, BotError) else StorageError(), words)
