"""The HTTP interface of the chat: a room's transcript, events, messages, presses and pictures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from bot.actions import Verb
from bot.errors import BotError, StorageError
from bot.files import File
from bot.i18n import Words
from bot.models import Imagine, IncomingMessage, Notice
from bot.platforms.web.files import Downloads, UploadStore
from bot.platforms.web.pages import NO_STORE, Pages
from bot.platforms.web.parsing import (
    ROOM,
    FormRefused,
    Languages,
    channel_of,
    incoming_message,
    read_message,
    read_press,
    remember,
)
from bot.platforms.web.surface import LiveRooms, Watch
from bot.platforms.web.transcript import notice_to_json, turn_to_json
from bot.turns import answers
from bot.turns.commands import CommandError

if TYPE_CHECKING:
    # They are handed in; importing them here would load the database.
    from bot.turns.dispatcher import Dispatcher
    from bot.turns.transcripts import Transcripts

MAX_TURNS_SHOWN = 100

HEARTBEAT_SECONDS = 15.0
"""Silence after which a stream shows that it lives; proxies cut at 30 to 60."""
STALLED_TIMEOUT_SECONDS = 30.0
"""A page that does not read for so long loses its stream; it will connect again."""
MAX_STREAMS = 512

_PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Chat:
    """The handlers of the chat.

    Attributes:
        transcripts: what was said before, and pictures.
        uploads: files of messages that come in.
        downloads: files that notices bring.
        rooms: what pages are told while it happens.
        pages: the page and its static files.
        languages: of the visitors.
        dispatcher: where messages go; `None` while the bot takes none.
    """

    transcripts: Transcripts
    uploads: UploadStore
    downloads: Downloads
    rooms: LiveRooms
    pages: Pages
    languages: Languages
    dispatcher: Dispatcher | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._index),
            web.get("/static/{name}", self.pages.static),
            web.get(f"{ROOM}/turns", self._turns),
            web.get(f"{ROOM}/events", self._events),
            web.post(f"{ROOM}/messages", partial(self._answer, self._take_message)),
            web.post(f"{ROOM}/presses", partial(self._answer, self._take_press)),
            web.get("/pictures/{key:[0-9a-f]{64}}", self._picture),
            web.get("/previews/{key:[0-9a-f]{64}}", self._preview),
            web.get("/files/{key:[0-9a-f]{32}}", self._file),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        response = self.pages.index(self.languages.words(request))
        remember(request, response)
        return response

    async def _turns(self, request: web.Request) -> web.Response:
        words = self.languages.words(request)
        try:
            turns = await self.transcripts.turns(channel_of(request), MAX_TURNS_SHOWN)
            removed = await self.transcripts.removed(turns)
            if self.dispatcher is not None:
                words = await self._words_of_room(request, self.dispatcher)
        except StorageError as error:
            return _refusal(503, _reason(error, words))
        shown = [turn_to_json(turn, words, removed=turn.id in removed) for turn in turns]
        body = {"turns": shown, "complete": len(turns) < MAX_TURNS_SHOWN}
        return web.json_response(body, headers=NO_STORE)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Answer with the stream of a room, until the page goes away or the rooms are closed.

        Each event is the newest state of one reply. A page that comes back says in `Last-Event-ID`
        what it has seen, and is told what is newer.

        Cancelling: ends the stream.
        """
        if self.rooms.watching >= MAX_STREAMS:
            return _refusal(503, self.languages.words(request)("web-many-pages"))
        headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", **NO_STORE}
        stream = web.StreamResponse(headers=headers)
        seen = self.rooms.version_of(request.headers.get("Last-Event-ID", ""))
        with self.rooms.watch(request.match_info["room"], seen) as watch:
            await stream.prepare(request)
            try:
                await _write(stream, "retry: 1000\n\n")
                await self._write_changes(stream, watch)
                # From here on nothing is missed: now the page reads the transcript.
                await _write(stream, "event: ready\ndata: {}\n\n")
                while not watch.closed:
                    try:
                        async with asyncio.timeout(HEARTBEAT_SECONDS):
                            await watch.wait()
                    except TimeoutError:
                        await _write(stream, ": still here\n\n")
                    await self._write_changes(stream, watch)
            except (ConnectionError, TimeoutError):
                log.debug("page gone")
        return stream

    async def _write_changes(self, stream: web.StreamResponse, watch: Watch) -> None:
        for reply in watch.take():
            data = json.dumps(reply.to_json(), separators=(",", ":"))
            event = f"id: {self.rooms.event_id(reply)}\nevent: reply\ndata: {data}\n\n"
            await _write(stream, event)

    async def _picture(self, request: web.Request) -> web.Response:
        words = self.languages.words(request)
        try:
            file = await self.transcripts.picture(request.match_info["key"])
        except KeyError:
            return _refusal(404, words("press-picture-gone"))
        except StorageError as error:
            return _refusal(503, _reason(error, words))
        # Its name is the hash of its bytes, so it never changes.
        return _served(file, {"Cache-Control": "private, max-age=31536000, immutable"})

    async def _preview(self, request: web.Request) -> web.Response:
        try:
            return _served(self.rooms.preview(request.match_info["key"]), NO_STORE)
        except KeyError:
            return _refusal(404, self.languages.words(request)("press-picture-gone"))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        try:
            return self.downloads.response(request.match_info["key"])
        except KeyError:
            return _refusal(404, self.languages.words(request)("web-file-gone"))

    async def _words_of_room(self, request: web.Request, dispatcher: Dispatcher) -> Words:
        """The sentences as in the live replies: a room can have a language of its own."""
        return await dispatcher.words(incoming_message(request, "-", self.languages))

    async def _answer(
        self,
        take: Callable[
            [web.Request, Dispatcher], Awaitable[tuple[IncomingMessage, Notice | Imagine | None]]
        ],
        request: web.Request,
    ) -> web.Response:
        """Wait until something is taken in, and tell the page what the bot says to it at once.

        Args:
            take: results in what came in, and in a notice, or a drawing for the person to change
                and send.
            request: a message or a press.
        """
        words, dispatcher = self.languages.words(request), self.dispatcher
        if dispatcher is None:
            return _refusal(503, words("restarting"))
        notice = compose = None
        try:
            message, said = await take(request, dispatcher)
            if isinstance(said, Imagine):
                compose = asdict(said)
            elif said is not None:
                notice = await notice_to_json(said, self.downloads)
        except FormRefused as refused:
            return _refusal(refused.status, refused.said_in(words))
        except CommandError as error:
            with suppress(StorageError):
                words = await self._words_of_room(request, dispatcher)
            return _refusal(422, error.said_in(words))
        except (BotError, OSError) as error:
            log.warning("message not taken", error=str(error))
            return _refusal(503, _reason(error, words))
        body = {"message": message.message_id, "notice": notice, "compose": compose}
        return web.json_response(body, status=202)

    async def _take_message(
        self, request: web.Request, dispatcher: Dispatcher
    ) -> tuple[IncomingMessage, Notice | None]:
        message, command = await read_message(request, self.uploads, self.languages)
        # Whatever happens now, the files stay: the turn may have been written down before.
        return message, await dispatcher.handle(message, command)

    async def _take_press(
        self, request: web.Request, dispatcher: Dispatcher
    ) -> tuple[IncomingMessage, Notice | Imagine | None]:
        message, action = await read_press(request, self.languages)
        drawing = None
        if action is not None and action.verb is Verb.EDIT:
            # Handed back to be changed: whoever sends it then, draws it.
            turns = await self.transcripts.turns(message.channel, MAX_TURNS_SHOWN)
            if any(turn.id == action.target for turn in turns):
                drawing = await dispatcher.drawing(action.target)
        elif action is not None:
            notice = await dispatcher.press(message, action)
            if action.verb is Verb.FORGET and notice is not None and notice.replaces:
                # What is deleted from the archive must not come back from memory.
                self.rooms.forget_finished()
            return message, notice
        return message, drawing or Notice((await dispatcher.words(message))("press-gone"))


def _served(file: File, headers: Mapping[str, str]) -> web.Response:
    safe = file.media_type in _PICTURE_TYPES
    return web.Response(
        body=file.data,
        content_type=file.media_type if safe else "application/octet-stream",
        headers={
            "Content-Disposition": "inline" if safe else "attachment",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            **headers,
        },
    )


async def _write(stream: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(STALLED_TIMEOUT_SECONDS):
        await stream.write(text.encode())


def _refusal(status: int, text: str) -> web.Response:
    """Tell the page, in a sentence for the person, why something was not taken in."""
    return web.json_response({"error": text}, status=status)


def _reason(error: BotError | OSError, words: Words) -> str:
    """What went wrong behind the chat, for people; the log has the rest."""
    return answers.reason(error if isinstance(error, BotError) else StorageError(), words)
