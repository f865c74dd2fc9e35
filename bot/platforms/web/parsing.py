"""What a request says: whose it is, which language they read, what they wrote or pressed.

A browser is a person, and a room belongs to whoever knows its address.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import structlog
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import BadHttpMessage

from bot.actions import MAX_ACTION_BYTES, Action
from bot.i18n import Catalogue, Words
from bot.models import Ask, Attachment, ChannelKey, IncomingMessage, Person
from bot.platforms.web.files import UploadLimits, UploadStore
from bot.platforms.web.surface import PLATFORM, WebTarget
from bot.support import TooManyBytes, read_bounded
from bot.turns.commands import Command, CommandError, imagine, parse, parse_drawing

ROOM = "/api/rooms/{room:[A-Za-z0-9_-]{8,64}}"
"""The path under which everything about one room is."""

_COOKIE = "janus_visitor"
_COOKIE_SECONDS = 365 * 24 * 3600
_VISITOR_ID = re.compile(r"[0-9a-f]{32}")
_NAME = "You"
"""The name of every visitor. The page never shows it; the model is told, in the same word whatever
the language."""

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
"""What a page may call its messages and presses."""
_FIELDS = frozenset({"id", "text", "prompt", "seed", "guidance"})
_COMMAND = re.compile(r"/[a-z_]+(?:\s|$)", re.IGNORECASE)

_CHUNK_BYTES = 64 * 1024
_MAX_PRESS_BYTES = 1024
_PRESS_TIMEOUT_SECONDS = 10.0

_MAX_LANGUAGES = 20
_LANGUAGE = re.compile(
    r"\s*([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?"
)

log = structlog.get_logger(__name__)


class FormRefused(CommandError):
    """A message or a press that is not taken.

    Args:
        status: the HTTP status that says so; also an attribute.
        key: of the sentence for the person.
        values: what it says.
    """

    def __init__(self, status: int, key: str, **values: str | float) -> None:
        super().__init__(key, **values)
        self.status = status


class Languages:
    """Picks the language of each request.

    Args:
        catalogue: what the bot says, in all its languages.
        default: tag of the language for visitors whose own the bot does not speak.
    """

    def __init__(self, catalogue: Catalogue, default: str) -> None:
        self._catalogue = catalogue
        self._default = default

    def tag(self, request: web.Request) -> str:
        """The visitor's favourite language that the bot speaks, as a BCP 47 tag.

        Returns:
            If the bot speaks none, the favourite one; if the browser names none, `""`.
        """
        tags = accepted_languages(request.headers.get("Accept-Language", ""))
        for tag in tags:
            if _base(self._catalogue.words(tag).language) == _base(tag):
                return tag
        return tags[0] if tags else ""

    def words(self, request: web.Request) -> Words:
        """The sentences for a visitor."""
        return self._catalogue.words(self.tag(request), self._default)


def accepted_languages(header: str) -> list[str]:
    """The tags of an `Accept-Language` header, favourites first; what is malformed is left out."""
    found = []
    for part in header.split(",")[:_MAX_LANGUAGES]:
        match = _LANGUAGE.fullmatch(part)
        quality = float(match[2] or 1) if match else 0.0
        if match and quality > 0:
            found.append((quality, match[1]))
    return [tag for _, tag in sorted(found, key=lambda each: -each[0])]


def _base(tag: str) -> str:
    """The language of a tag, without script and region."""
    return tag.partition("-")[0].lower()


def channel_of(request: web.Request) -> ChannelKey:
    """The room that a request is about."""
    return ChannelKey(PLATFORM, (request.match_info["room"],))


def incoming_message(
    request: web.Request,
    message_id: str,
    languages: Languages,
    attachments: tuple[Attachment, ...] = (),
) -> IncomingMessage:
    """A message or a press of the visitor who makes a request.

    Nobody guesses the address of a room, so everybody in it may manage it.
    """
    channel = channel_of(request)
    return IncomingMessage(
        channel=channel,
        person=Person(PLATFORM, _visitor(request), _NAME, languages.tag(request)),
        message_id=message_id,
        address=WebTarget(channel.ids[0], message_id).to_address(),
        attachments=attachments,
        moderator=True,
    )


def remember(request: web.Request, response: web.Response) -> None:
    """Give a browser that comes for the first time the cookie that tells it from others."""
    if _VISITOR_ID.fullmatch(request.cookies.get(_COOKIE, "")) is None:
        response.set_cookie(
            _COOKIE,
            secrets.token_hex(16),
            max_age=_COOKIE_SECONDS,
            httponly=True,
            samesite="Strict",
        )


def _visitor(request: web.Request) -> str:
    """The browser, or the address of a program. Limits count by it; it proves nothing."""
    cookie = request.cookies.get(_COOKIE, "")
    if _VISITOR_ID.fullmatch(cookie):
        return cookie
    return f"address-{request.remote or 'unknown'}".replace(":", "-")


async def read_message(
    request: web.Request, uploads: UploadStore, languages: Languages
) -> tuple[IncomingMessage, Command]:
    """Read a message, which is a multipart form, counting while it comes in.

    Its files go into the upload store, and out again if it is not taken.

    Raises:
        FormRefused: too much, too slow, or not such a form.
        CommandError: a command that nobody knows, or with a value that cannot be used.
        OSError: the disk refused.

    Cancelling: files read so far are removed.
    """
    limits = uploads.limits
    if request.content_type != "multipart/form-data":
        raise FormRefused(415, "web-form-type")
    if (request.content_length or 0) > limits.total_bytes:
        raise _too_large(limits)
    attachments: list[Attachment] = []
    with ExitStack() as undo:
        undo.callback(uploads.discard, attachments)
        try:
            async with asyncio.timeout(limits.seconds):
                fields = await _read_fields(request, uploads, attachments)
            if not attachments and not fields.get("text") and not fields.get("prompt"):
                raise FormRefused(422, "web-form-empty")
            message_id = fields.get("id") or secrets.token_urlsafe(16)
            if _ID.fullmatch(message_id) is None:
                raise FormRefused(400, "web-form-id")
            command = _command(fields)
        except TimeoutError:
            raise FormRefused(408, "web-form-slow") from None
        except (ValueError, RuntimeError, web.RequestPayloadError, BadHttpMessage) as error:
            # What aiohttp raises for a multipart body that is broken in one way or another.
            log.info("broken form", reason=str(error))
            raise FormRefused(400, "web-form-broken") from None
        undo.pop_all()
    return incoming_message(request, message_id, languages, tuple(attachments)), command


async def _read_fields(
    request: web.Request, uploads: UploadStore, attachments: list[Attachment]
) -> dict[str, str]:
    limits = uploads.limits
    fields: dict[str, str] = {}
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name not in (*_FIELDS, "file"):
            raise FormRefused(400, "web-form-fields")
        if part.name != "file":
            try:
                data = await read_bounded(_chunks(part), limits.text_bytes)
            except TooManyBytes:
                raise FormRefused(413, "web-form-text", most=limits.text_bytes // 1024) from None
            # A form sends every line end as CR LF, whatever was typed.
            text = data.decode("utf-8", errors="replace").replace("\r\n", "\n")
            fields[part.name] = text.strip()
        elif len(attachments) >= limits.files:
            raise FormRefused(413, "web-form-pictures", most=limits.files)
        else:
            name = (part.filename or "picture")[:200]
            attachment = uploads.new(name, part.headers.get("Content-Type"))
            # Listed before it is there, so that whatever happens from here on removes the file.
            attachments.append(attachment)
            try:
                size = await uploads.write(attachment, _chunks(part))
            except TooManyBytes:
                raise _too_large(limits) from None
            attachments[-1] = replace(attachment, size=size)
    return fields


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        yield chunk


def _too_large(limits: UploadLimits) -> FormRefused:
    return FormRefused(413, "web-form-picture", most=limits.file_bytes // 1024**2)


def _command(fields: Mapping[str, str]) -> Command:
    """What a message asks for: a text, or a drawing that was handed back to be changed."""
    text, prompt = fields.get("text", ""), fields.get("prompt", "")
    if prompt:
        seed = int(fields["seed"]) if fields.get("seed") else None
        guidance = float(fields["guidance"]) if fields.get("guidance") else None
        # An option that was typed into the prompt goes before the one that stood beside it.
        typed = parse_drawing(prompt)
        seed = seed if typed.seed is None else typed.seed
        guidance = guidance if typed.guidance is None else typed.guidance
        return imagine(typed.prompt, seed, guidance)
    command = parse(text)
    if command is None and _COMMAND.match(text):
        raise CommandError("unknown-command")
    return command or Ask(text)


async def read_press(
    request: web.Request, languages: Languages
) -> tuple[IncomingMessage, Action | None]:
    """Read the press of a button.

    Returns:
        Who pressed and where, under the page's id, the same when it is sent again; and what the
        button does: `None` if the page is older or newer than the bot.

    Raises:
        FormRefused: it is not a press.
    """
    # No page of another origin can send this type without asking first.
    if request.content_type != "application/json":
        raise FormRefused(415, "web-press-form")
    try:
        async with asyncio.timeout(_PRESS_TIMEOUT_SECONDS):
            body = await read_bounded(request.content.iter_any(), _MAX_PRESS_BYTES)
        match json.loads(body):
            case {"id": str(press_id), "action": str(written)} if _ID.fullmatch(press_id):
                pass
            case _:
                raise FormRefused(400, "web-press-form")
    except TooManyBytes:
        raise FormRefused(413, "web-press-form") from None
    except TimeoutError:
        raise FormRefused(408, "web-press-form") from None
    except (ValueError, RecursionError, web.RequestPayloadError):
        raise FormRefused(400, "web-press-form") from None
    if len(written.encode()) > MAX_ACTION_BYTES:
        raise FormRefused(400, "web-press-form")
    message = incoming_message(request, press_id, languages)
    try:
        return message, Action.parse(written)
    except ValueError:
        log.info("unknown button", action=written)
        return message, None
