"""The HTTP interface of the chat: a room's transcript, its messages and presses, its pictures."""

from __future__ import annotations

import re

import structlog
from aiohttp import web

from bot.actions import Action, Verb
from bot.errors import StorageError
from bot.i18n import Words
from bot.models import Ask, IncomingMessage
from bot.platforms.web import presses, transcript, visitors
from bot.platforms.web.answers import Answers, gone, misused, reason, refusal, taken
from bot.platforms.web.handouts import Handouts
from bot.platforms.web.languages import Languages
from bot.platforms.web.live import LiveRooms
from bot.platforms.web.markup import Markup
from bot.platforms.web.pages import Pages
from bot.platforms.web.ports import Archive
from bot.platforms.web.uploads import Form, FormRefused, Spool
from bot.turns.commands import Command, CommandError, parse
from bot.turns.inbox import Inbox, Notice

TURNS_SHOWN = 100

_PICTURE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})
_COMMAND = re.compile(r"/[a-z_]+(?:\s|$)", re.IGNORECASE)

log = structlog.get_logger(__name__)


class Chat:
    """The handlers of the chat.

    Args:
        archive: what was said before.
        spool: takes uploads in.
        rooms: what is being said.
        handouts: gives files out.
        pages: the files of the page.
        markup: renders Markdown.
        languages: for what is said to visitors.

    Attributes:
        inbox: where messages go; `None` while the bot takes none.
    """

    def __init__(  # noqa: PLR0913 - one keyword per part
        self,
        *,
        archive: Archive,
        rooms: LiveRooms,
        spool: Spool,
        handouts: Handouts,
        pages: Pages,
        markup: Markup,
        languages: Languages,
    ) -> None:
        self._archive = archive
        self._rooms = rooms
        self._spool = spool
        self._handouts = handouts
        self._pages = pages
        self._markup = markup
        self._languages = languages
        self._answers = Answers(markup, handouts)
        self.inbox: Inbox | None = None

    def routes(self) -> list[web.RouteDef]:
        """What to add to the application."""
        return [
            web.get("/", self._index),
            web.get("/static/{name}", self._static),
            web.get(f"{visitors.ROOM}/turns", self._turns),
            web.post(f"{visitors.ROOM}/messages", self._message),
            web.post(f"{visitors.ROOM}/presses", self._press),
            web.get("/pictures/{key:[0-9a-f]{64}}", self._picture),
            web.get("/files/{key:[0-9a-f]{32}}", self._file),
        ]

    async def _index(self, request: web.Request) -> web.Response:
        response = self._pages.index(self._languages.words(request))
        visitors.remember(request, response)
        return response

    async def _static(self, request: web.Request) -> web.Response:
        return self._pages.static(request)

    async def _turns(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        try:
            turns = await self._archive.turns(visitors.channel_of(request), TURNS_SHOWN)
            removed = await self._archive.removed(turns)
            if self.inbox is not None:
                # As the live replies here: a room can have a language of its own.
                words = await self.inbox.words(visitors.incoming(request, "-", self._languages))
        except StorageError as error:
            return refusal(503, reason(error, words))
        shown = [
            transcript.to_json(turn, self._markup, words, removed=turn.id in removed)
            for turn in turns
        ]
        body = {"turns": shown, "complete": len(turns) < TURNS_SHOWN}
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    async def _picture(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        try:
            data, media_type = await self._archive.picture(request.match_info["key"])
        except KeyError:
            return refusal(404, words("press-picture-gone"))
        except StorageError as error:
            return refusal(503, reason(error, words))
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

    async def _file(self, request: web.Request) -> web.StreamResponse:
        try:
            return self._handouts.response(request.match_info["key"])
        except KeyError:
            return refusal(404, self._languages.words(request)("web-file-gone"))

    async def _message(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        if self.inbox is None:
            return refusal(503, words("restarting"))
        try:
            form = await self._spool.receive(request)
        except FormRefused as refused:
            return refusal(refused.status, refused.said_in(words))
        message = visitors.incoming(request, form.message_id, self._languages, form.attachments)
        try:
            command = _command(form)
        except CommandError as error:
            self._spool.discard(form.attachments)
            return await misused(self.inbox, message, error, words)
        # Whatever happens now, the files stay: the turn may have been written down before.
        return await self._answers.after(
            self.inbox, message, self.inbox.handle(message, command), words
        )

    async def _press(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        if self.inbox is None:
            return refusal(503, words("restarting"))
        try:
            press = await presses.receive(request)
        except FormRefused as refused:
            return refusal(refused.status, refused.said_in(words))
        message = visitors.incoming(request, press.id, self._languages)
        try:
            action = Action.parse(press.action)
        except ValueError:
            log.info("unknown button", action=press.action)
            return await self._answers.after(self.inbox, message, gone(self.inbox, message), words)
        if action.verb is Verb.EDIT:
            return await self._edit(self.inbox, message, action.target, words)
        doing = self._carry_out(self.inbox, message, action)
        return await self._answers.after(self.inbox, message, doing, words)

    async def _carry_out(
        self, inbox: Inbox, message: IncomingMessage, action: Action
    ) -> Notice | None:
        notice = await inbox.press(message, action)
        if action.verb is Verb.FORGET and notice is not None and notice.replaces:
            # What is deleted from the archive must not come back from memory.
            self._rooms.forget_finished()
        return notice

    async def _edit(
        self, inbox: Inbox, message: IncomingMessage, turn_id: str, words: Words
    ) -> web.Response:
        """Hand the request of a drawing back to be changed: who sends it then, draws it."""
        try:
            turns = await self._archive.turns(message.channel, TURNS_SHOWN)
            here = any(turn.id == turn_id for turn in turns)
            drawing = await inbox.drawing(turn_id) if here else None
        except StorageError as error:
            return refusal(503, reason(error, words))
        if drawing is None:
            return await self._answers.after(inbox, message, gone(inbox, message), words)
        return taken(message, compose=transcript.question(drawing))


def _command(form: Form) -> Command:
    """What a message asks for.

    Raises:
        CommandError: a command that nobody knows, or with a value that cannot be used.
    """
    command = parse(form.text)
    if command is None and _COMMAND.match(form.text):
        raise CommandError("unknown-command")
    return command or Ask(form.text)
