"""The HTTP interface of the chat: a room's transcript, its messages and presses, its pictures."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from contextlib import suppress

import structlog
from aiohttp import web

from bot.actions import Action, Verb
from bot.errors import BotError, StorageError
from bot.language import Words
from bot.messages import IncomingMessage, JsonObject
from bot.platforms.web import notices, presses, transcript, visitors
from bot.platforms.web.handouts import Handouts
from bot.platforms.web.languages import Languages
from bot.platforms.web.markup import Markup
from bot.platforms.web.pages import Pages
from bot.platforms.web.ports import Archive
from bot.platforms.web.uploads import Form, FormRefused, Spool
from bot.turn import Ask
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
        spool: Spool,
        handouts: Handouts,
        pages: Pages,
        markup: Markup,
        languages: Languages,
    ) -> None:
        self._archive = archive
        self._spool = spool
        self._handouts = handouts
        self._pages = pages
        self._markup = markup
        self._languages = languages
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
            return _refusal(503, self._reason(error, words))
        shown = [
            transcript.to_json(turn, self._markup, words, removed=turn.id in removed)
            for turn in turns
        ]
        return web.json_response({"turns": shown}, headers={"Cache-Control": "no-store"})

    async def _picture(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        try:
            data, media_type = await self._archive.picture(request.match_info["key"])
        except KeyError:
            return _refusal(404, words("press-picture-gone"))
        except StorageError as error:
            return _refusal(503, self._reason(error, words))
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
            return _refusal(404, self._languages.words(request)("web-file-gone"))

    async def _message(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        if self.inbox is None:
            return _refusal(503, words("restarting"))
        try:
            form = await self._spool.receive(request)
        except FormRefused as refused:
            return _refusal(refused.status, refused.said_in(words))
        message = visitors.incoming(request, form.message_id, self._languages, form.attachments)
        try:
            command = _command(form)
        except CommandError as error:
            self._spool.discard(form.attachments)
            return await self._misused(self.inbox, message, error, words)
        # Whatever happens now, the files stay: the turn may have been written down before.
        return await self._answer(self.inbox, message, self.inbox.handle(message, command), words)

    async def _press(self, request: web.Request) -> web.Response:
        words = self._languages.words(request)
        if self.inbox is None:
            return _refusal(503, words("restarting"))
        try:
            press = await presses.receive(request)
        except FormRefused as refused:
            return _refusal(refused.status, refused.said_in(words))
        message = visitors.incoming(request, press.id, self._languages)
        try:
            action = Action.parse(press.action)
        except ValueError:
            log.info("unknown button", action=press.action)
            return await self._answer(self.inbox, message, self._gone(self.inbox, message), words)
        if action.verb is Verb.EDIT:
            return await self._edit(self.inbox, message, action.target, words)
        return await self._answer(self.inbox, message, self.inbox.press(message, action), words)

    async def _edit(
        self, inbox: Inbox, message: IncomingMessage, turn_id: str, words: Words
    ) -> web.Response:
        """Hand the request of a drawing back to be changed: who sends it then, draws it."""
        try:
            turns = await self._archive.turns(message.channel, TURNS_SHOWN)
            here = any(turn.id == turn_id for turn in turns)
            drawing = await inbox.drawing(turn_id) if here else None
        except StorageError as error:
            return _refusal(503, self._reason(error, words))
        if drawing is None:
            return await self._answer(inbox, message, self._gone(inbox, message), words)
        return _taken(message, compose=transcript.question(drawing))

    async def _answer(
        self,
        inbox: Inbox,
        message: IncomingMessage,
        answer: Awaitable[Notice | None],
        words: Words,
    ) -> web.Response:
        """Wait for what the bot says at once, and tell the page."""
        try:
            notice = await answer
            said = (
                None
                if notice is None
                else await notices.to_json(notice, self._markup, self._handouts)
            )
        except CommandError as error:
            return await self._misused(inbox, message, error, words)
        except (BotError, OSError) as error:
            log.warning("message not taken", error=str(error))
            return _refusal(503, self._reason(error, words))
        return _taken(message, notice=said)

    @staticmethod
    async def _misused(
        inbox: Inbox, message: IncomingMessage, error: CommandError, words: Words
    ) -> web.Response:
        with suppress(StorageError):
            words = await inbox.words(message)
        return _refusal(422, error.said_in(words))

    @staticmethod
    async def _gone(inbox: Inbox, message: IncomingMessage) -> Notice:
        return Notice((await inbox.words(message))("press-gone"))

    @staticmethod
    def _reason(error: Exception, words: Words) -> str:
        """What went wrong behind the chat, for people; the log has the rest."""
        if isinstance(error, StorageError | OSError):
            return words("no-storage")
        return words("error-other", said=str(error))


def _command(form: Form) -> Command:
    """What a message asks for.

    Raises:
        CommandError: a command that nobody knows, or with a value that cannot be used.
    """
    command = parse(form.text)
    if command is None and _COMMAND.match(form.text):
        raise CommandError("unknown-command")
    return command or Ask(form.text)


def _taken(
    message: IncomingMessage, notice: JsonObject | None = None, compose: str | None = None
) -> web.Response:
    """Tell the page that something was taken in.

    Args:
        message: what.
        notice: what the bot says at once.
        compose: a message to be changed and sent by the person.
    """
    body = {"message": message.message_id, "notice": notice, "compose": compose}
    return web.json_response(body, status=202)


def _refusal(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
