"""Which language a visitor reads: what the browser asks for, as far as the bot speaks it."""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import dataclass

from aiohttp import web

from bot.actions import MOST_BYTES
from bot.i18n import Catalogue, Words
from bot.models import Address, Attachment, ChannelKey, IncomingMessage, Person
from bot.platforms.web.files import MESSAGE_ID, FormRefused

_MOST_WANTED = 20
_RANGE = re.compile(
    r"\s*([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3})\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?"
)


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
        tags = wanted(request.headers.get("Accept-Language", ""))
        return next((tag for tag in tags if self._speaks(tag)), tags[0] if tags else "")

    def words(self, request: web.Request) -> Words:
        """The sentences for a visitor."""
        return self._catalogue.words(self.tag(request), self._default)

    def _speaks(self, tag: str) -> bool:
        return _base(self._catalogue.words(tag).language) == _base(tag)


def wanted(header: str) -> list[str]:
    """The tags of an `Accept-Language` header, favourites first; what is malformed is left out."""
    found = []
    for part in header.split(",")[:_MOST_WANTED]:
        match = _RANGE.fullmatch(part)
        quality = float(match[2] or 1) if match else 0.0
        if match and quality > 0:
            found.append((quality, match[1]))
    return [tag for _, tag in sorted(found, key=lambda each: -each[0])]


def _base(tag: str) -> str:
    """The language of a tag, without script and region."""
    return tag.partition("-")[0].lower()


PLATFORM = "web"
ROOM = "/api/rooms/{room:[A-Za-z0-9_-]{8,64}}"
"""Under which everything about one room is."""

_COOKIE = "janus_visitor"
_COOKIE_SECONDS = 365 * 24 * 3600
_VISITOR_ID = re.compile(r"[0-9a-f]{32}")
_NAME = "You"
"""Of every visitor; the page never shows it. Told to the model, so the same in all languages."""


def channel_of(request: web.Request) -> ChannelKey:
    """The room that a request is about."""
    return ChannelKey(PLATFORM, (request.match_info["room"],))


def incoming(
    request: web.Request,
    message_id: str,
    languages: Languages,
    attachments: tuple[Attachment, ...] = (),
) -> IncomingMessage:
    """A message or a press of the visitor who makes a request.

    Nobody guesses the address of a room, so everybody in it may manage it.
    """
    channel = channel_of(request)
    room = channel.ids[0]
    return IncomingMessage(
        channel=channel,
        person=Person(PLATFORM, _visitor(request), _NAME, languages.tag(request)),
        message_id=message_id,
        address=Address(PLATFORM, room, {"room": room, "reply": message_id}),
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
    """The browser, or the address of a program. It limits; it proves nothing."""
    cookie = request.cookies.get(_COOKIE, "")
    if _VISITOR_ID.fullmatch(cookie):
        return cookie
    return f"address-{request.remote or 'unknown'}".replace(":", "-")


_MOST_BODY = 1024
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Press:
    """A press.

    Attributes:
        id: the page's id of it, the same when it is sent again.
        action: an `Action` in its written form, unless the page is older or newer than the bot.
    """

    id: str
    action: str


async def receive(request: web.Request) -> Press:
    """Read a press.

    Raises:
        FormRefused: it is none.
    """
    # No page of another origin can send this type without asking first.
    if request.content_type != "application/json":
        raise FormRefused(415, "web-press-form")
    if (request.content_length or 0) > _MOST_BODY:
        raise FormRefused(413, "web-press-form")
    try:
        async with asyncio.timeout(_SECONDS):
            body = await request.json()
    except TimeoutError:
        raise FormRefused(408, "web-press-form") from None
    except (ValueError, RecursionError, web.RequestPayloadError):
        raise FormRefused(400, "web-press-form") from None
    press_id, action = _fields(body)
    if MESSAGE_ID.fullmatch(press_id) is None or len(action.encode()) > MOST_BYTES:
        raise FormRefused(400, "web-press-form")
    return Press(press_id, action)


def _fields(body: object) -> tuple[str, str]:
    if not isinstance(body, dict):
        raise FormRefused(400, "web-press-form")
    press_id, action = body.get("id"), body.get("action")
    if not isinstance(press_id, str) or not isinstance(action, str):
        raise FormRefused(400, "web-press-form")
    return press_id, action
