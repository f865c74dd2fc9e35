"""Who uses the web chat: a browser is a person, and a room belongs to who knows its address."""

from __future__ import annotations

import re
import secrets

from aiohttp import web

from bot.models import Address, Attachment, ChannelKey, IncomingMessage, Person
from bot.platforms.web.languages import Languages

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
