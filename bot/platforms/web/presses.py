"""Presses of buttons as the page sends them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from bot.actions import MOST_BYTES
from bot.platforms.web.uploads import MESSAGE_ID, FormRefused

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
