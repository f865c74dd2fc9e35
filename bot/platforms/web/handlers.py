"""The HTTP interface of the chat: a room's transcript, its messages and presses, its pictures."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from contextlib import suppress

import structlog
from aiohttp import web

from bot.actions import Action, Verb
from bot.errors import BotError, StorageError
from bot.i18n import Words
from bot.models import Ask, IncomingMessage, JsonObject
from bot.platforms.web import notices, presses, transcript, visitors
from bot.platforms.web.events import LiveRooms
from bot.platforms.web.files import Archive, Downloads, Form, FormRefused, UploadStore
from bot.platforms.web.pages import Markup, Pages
from bot.platforms.web.parsing import Languages
from bot.turns import answers
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
        spool: UploadStore,
        handouts: Downloads,
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


class Answers:
    """Makes answers of what the bot says at once.

    Args:
        markup: renders Markdown.
        handouts: gives files out.
    """

    def __init__(self, markup: Markup, handouts: Downloads) -> None:
        self._markup = markup
        self._handouts = handouts

    async def after(
        self,
        inbox: Inbox,
        message: IncomingMessage,
        answer: Awaitable[Notice | None],
        words: Words,
    ) -> web.Response:
        """Wait for what the bot says, and tell the page.

        Args:
            inbox: knows the language of the room.
            message: what was taken in.
            answer: what the inbox does with it.
            words: the visitor's language.
        """
        try:
            notice = await answer
            said = (
                None
                if notice is None
                else await notices.to_json(notice, self._markup, self._handouts)
            )
        except CommandError as error:
            return await misused(inbox, message, error, words)
        except (BotError, OSError) as error:
            log.warning("message not taken", error=str(error))
            return refusal(503, reason(error, words))
        return taken(message, notice=said)


def taken(
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


def refusal(status: int, text: str) -> web.Response:
    """Tell the page, in a sentence for the person, why something was not taken in."""
    return web.json_response({"error": text}, status=status)


async def misused(
    inbox: Inbox, message: IncomingMessage, error: CommandError, words: Words
) -> web.Response:
    """Tell how a command is written."""
    with suppress(StorageError):
        words = await inbox.words(message)
    return refusal(422, error.said_in(words))


async def gone(inbox: Inbox, message: IncomingMessage) -> Notice:
    """The answer to a press of a button that means nothing any more."""
    return Notice((await inbox.words(message))("press-gone"))


def reason(error: BotError | OSError, words: Words) -> str:
    """What went wrong behind the chat, for people; the log has the rest."""
    return answers.reason(error if isinstance(error, BotError) else StorageError(), words)
