"""The HTTP interface of the chat: a room's transcript, its messages, its events, its pictures."""

from __future__ import annotations

import asyncio
import json
import re
import secrets

import structlog
from aiohttp import web

from bot.errors import BotError, StorageError
from bot.messages import Address, ChannelKey, IncomingMessage, Person
from bot.platforms.web import transcript
from bot.platforms.web.live import LiveReply, LiveRooms
from bot.platforms.web.markup import Markup
from bot.platforms.web.pages import Pages
from bot.platforms.web.ports import Archive
from bot.platforms.web.uploads import Form, FormRefused, Spool
from bot.turn import Ask
from bot.turns.commands import Command, CommandError, parse
from bot.turns.ports import Inbox, Notice

PLATFORM = "web"
TURNS_SHOWN = 100
HEARTBEAT = 15.0
"""Seconds of silence after which a stream shows that it lives; proxies cut at 30 to 60."""
STALLED = 30.0
"""Seconds after which a page that does not read loses its stream; it will connect again."""
MAX_STREAMS = 512

_VISITOR = "janus_visitor"
_VISITOR_ID = re.compile(r"[0-9a-f]{32}")
_VISITOR_SECONDS = 365 * 24 * 3600
_ROOM = "{room:[A-Za-z0-9_-]{8,64}}"
_PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})

log = structlog.get_logger(__name__)


class Chat:
    """The handlers of the chat.

    Args:
        archive: what was said before.
        rooms: what is being said.
        spool: takes uploads in.
        pages: the files of the page.
        markup: renders Markdown.

    Attributes:
        inbox: where messages go; `None` while the bot takes none.
    """

    def __init__(
        self, *, archive: Archive, rooms: LiveRooms, spool: Spool, pages: Pages, markup: Markup
    ) -> None:
        self._archive = archive
        self._rooms = rooms
        self._spool = spool
        self._pages = pages
        self._markup = markup
        self.inbox: Inbox | None = None

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [
            web.get("/", self._index),
            web.get("/static/{name}", self._static),
            web.get(f"/api/rooms/{_ROOM}/turns", self._turns),
            web.post(f"/api/rooms/{_ROOM}/messages", self._message),
            web.get(f"/api/rooms/{_ROOM}/events", self._events),
            web.get("/pictures/{key:[0-9a-f]{64}}", self._picture),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        response = self._pages.index()
        if _VISITOR_ID.fullmatch(request.cookies.get(_VISITOR, "")) is None:
            response.set_cookie(
                _VISITOR,
                secrets.token_hex(16),
                max_age=_VISITOR_SECONDS,
                httponly=True,
                samesite="Strict",
            )
        return response

    async def _static(self, request: web.Request) -> web.Response:
        return self._pages.static(request)

    async def _turns(self, request: web.Request) -> web.Response:
        channel = ChannelKey(PLATFORM, (request.match_info["room"],))
        try:
            turns = await self._archive.turns(channel, TURNS_SHOWN)
        except StorageError as error:
            return _sentence(503, str(error))
        shown = [transcript.to_json(turn, self._markup) for turn in turns]
        return web.json_response({"turns": shown}, headers={"Cache-Control": "no-store"})

    async def _picture(self, request: web.Request) -> web.Response:
        try:
            data, media_type = await self._archive.picture(request.match_info["key"])
        except KeyError:
            return _sentence(404, "This picture is not here any more.")
        except StorageError as error:
            return _sentence(503, str(error))
        safe = media_type in _PICTURE_TYPES
        return web.Response(
            body=data,
            content_type=media_type if safe else "application/octet-stream",
            headers={
                # Its name is the hash of its bytes, so it never changes.
                "Cache-Control": "private, max-age=31536000, immutable",
                "Content-Disposition": "inline" if safe else "attachment",
                "Content-Security-Policy": "default-src 'none'; sandbox",
            },
        )

    async def _message(self, request: web.Request) -> web.Response:
        inbox = self.inbox
        if inbox is None:
            return _sentence(503, "The bot is starting or stopping. Try again in a moment.")
        try:
            form = await self._spool.receive(request)
        except FormRefused as refused:
            return _sentence(refused.status, str(refused))
        try:
            command = _command(form)
            notice = await inbox.handle(_incoming(request, form), command)
        except CommandError as error:
            self._spool.discard(form.attachments)
            return _sentence(422, str(error))
        except BotError as error:
            # The files stay: the turn may have been written down before this happened.
            log.warning("message not taken", error=str(error))
            return _sentence(503, str(error))
        return self._accepted(form, notice)

    def _accepted(self, form: Form, notice: Notice | None) -> web.Response:
        said = None
        if notice is not None:
            said = {"html": self._markup.html(notice.text), "private": notice.private}
        return web.json_response({"message": form.message_id, "notice": said}, status=202)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if self._rooms.watching >= MAX_STREAMS:
            return _sentence(503, "Too many pages are open. Close some of them.")
        stream = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        seen = self._rooms.version_of(request.headers.get("Last-Event-ID", ""))
        with self._rooms.watch(request.match_info["room"], seen) as watch:
            await stream.prepare(request)
            try:
                await self._write(stream, "retry: 1000\n\n")
                await self._write_changes(stream, watch.take())
                # From here on nothing is missed: now the page reads the transcript.
                await self._write(stream, "event: ready\ndata: {}\n\n")
                while not watch.closed:
                    try:
                        async with asyncio.timeout(HEARTBEAT):
                            await watch.wait()
                    except TimeoutError:
                        await self._write(stream, ": still here\n\n")
                    await self._write_changes(stream, watch.take())
            except (ConnectionError, TimeoutError):
                log.debug("page gone")
        return stream

    async def _write_changes(self, stream: web.StreamResponse, replies: list[LiveReply]) -> None:
        for reply in replies:
            data = json.dumps(reply.to_json(), separators=(",", ":"))
            event_id = self._rooms.event_id(reply)
            await self._write(stream, f"id: {event_id}\nevent: reply\ndata: {data}\n\n")

    @staticmethod
    async def _write(stream: web.StreamResponse, text: str) -> None:
        async with asyncio.timeout(STALLED):
            await stream.write(text.encode())


def _command(form: Form) -> Command:
    return parse(form.text) or Ask(form.text)


def _incoming(request: web.Request, form: Form) -> IncomingMessage:
    room = request.match_info["room"]
    language = re.match(r"[A-Za-z-]{2,20}", request.headers.get("Accept-Language", ""))
    return IncomingMessage(
        channel=ChannelKey(PLATFORM, (room,)),
        person=Person(PLATFORM, _visitor(request), "You", language[0] if language else ""),
        message_id=form.message_id,
        address=Address(PLATFORM, room, {"room": room, "reply": form.message_id}),
        attachments=form.attachments,
    )


def _visitor(request: web.Request) -> str:
    """The browser, or the address of a program. It limits; it proves nothing."""
    cookie = request.cookies.get(_VISITOR, "")
    if _VISITOR_ID.fullmatch(cookie):
        return cookie
    return f"address-{request.remote or 'unknown'}".replace(":", "-")


def _sentence(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
