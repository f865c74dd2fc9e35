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
from bot.models import Imagine, IncomingMessage, Notice
from bot.platforms.web.events import stream_events
from bot.platforms.web.files import Downloads, UploadStore
from bot.platforms.web.pages import Pages
from bot.platforms.web.parsing import (
    ROOM,
    Form,
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
        dispatcher: where messages go; `None` while the bot takes none.
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
        self.dispatcher: Dispatcher | None = None

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
            if self.dispatcher is not None:
                # As the live replies here: a room can have a language of its own.
                words = await self.dispatcher.words(incoming_message(request, "-", self._languages))
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
        if self.dispatcher is None:
            return _refusal(503, words("restarting"))
        try:
            form = await read_form(request, self._uploads)
        except FormRefused as refused:
            return _refusal(refused.status, refused.said_in(words))
        except OSError as error:
            log.warning("upload not kept", error=str(error))
            return _refusal(503, _reason(error, words))
        message = incoming_message(request, form.message_id, self._languages, form.attachments)
        return await self._answer(
            self.dispatcher, message, self._handle(self.dispatcher, message, form), words
        )

    async def _press(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        if self.dispatcher is None:
            return _refusal(503, words("restarting"))
        try:
            press_id, action = await read_press(request)
        except FormRefused as refused:
            return _refusal(refused.status, refused.said_in(words))
        message = incoming_message(request, press_id, self._languages)
        return await self._answer(
            self.dispatcher, message, self._carry_out(self.dispatcher, message, action), words
        )

    async def _answer(
        self,
        dispatcher: Dispatcher,
        message: IncomingMessage,
        doing: Awaitable[Notice | Imagine | None],
        words: Words,
    ) -> web.Response:
        """Wait until something is taken in, and tell the page what the bot says to it at once.

        Args:
            dispatcher: knows the language of the room.
            message: what is taken in.
            doing: results in a notice, or in a drawing for the person to change and send.
            words: the visitor's language.
        """
        try:
            said = await doing
            notice = compose = None
            if isinstance(said, Imagine):
                compose = asdict(said)
            elif said is not None:
                notice = await notice_to_json(said, self._downloads)
        except CommandError as error:
            with suppress(StorageError):
                words = await dispatcher.words(message)
            return _refusal(422, error.said_in(words))
        except (BotError, OSError) as error:
            log.warning("message not taken", error=str(error))
            return _refusal(503, _reason(error, words))
        body = {"message": message.message_id, "notice": notice, "compose": compose}
        return web.json_response(body, status=202)

    async def _handle(
        self, dispatcher: Dispatcher, message: IncomingMessage, form: Form
    ) -> Notice | None:
        try:
            command = form.command()
        except CommandError:
            self._uploads.discard(form.attachments)
            raise
        # Whatever happens now, the files stay: the turn may have been written down before.
        return await dispatcher.handle(message, command)

    async def _carry_out(
        self, dispatcher: Dispatcher, message: IncomingMessage, action: Action | None
    ) -> Notice | Imagine | None:
        drawing = None
        if action is not None and action.verb is Verb.EDIT:
            # Handed back to be changed: whoever sends it then, draws it.
            turns = await self._transcripts.turns(message.channel, MAX_TURNS_SHOWN)
            if any(turn.id == action.target for turn in turns):
                drawing = await dispatcher.drawing(action.target)
        elif action is not None:
            notice = await dispatcher.press(message, action)
            if action.verb is Verb.FORGET and notice is not None and notice.replaces:
                # What is deleted from the archive must not come back from memory.
                self._rooms.forget_finished()
            return notice
        return drawing or Notice((await dispatcher.words(message))("press-gone"))


def _refusal(status: int, text: str) -> web.Response:
    """Tell the page, in a sentence for the person, why something was not taken in."""
    return web.json_response({"error": text}, status=status)


def _reason(error: BotError | OSError, words: Words) -> str:
    """What went wrong behind the chat, for people; the log has the rest."""
    return answers.reason(error if isinstance(error, BotError) else StorageError(), words)
