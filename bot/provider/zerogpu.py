"""Tokens by which a ZeroGPU Space tells its visitors apart.

A browser gets them from the page that the Space is embedded in, and sends them only when it joins
the queue (Gradio's JavaScript client, `x-zerogpu-token` and `x-zerogpu-uuid`). Without one a call
is anonymous, and counts against the quota of the network address.
"""

from __future__ import annotations

import base64
import html
import logging
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import aiohttp

from bot.errors import ProviderError
from bot.provider import json_text
from bot.provider.hugging_face import HF_URL
from bot.provider.responses import JsonConversation
from bot.provider.wire import Wire

LIFETIME = 600.0
"""Seconds that a token is asked for, and assumed to last if it does not say."""
UNKNOWN_UUID = "[object Object]"
"""What some clients send for a uuid that they do not have; the same as none."""

_MAX_PAGE = 8 * 1024 * 1024
_MARGIN = 30.0
"""Seconds by which a token counts as over too early, rather than on its way to the Space."""
_JWT = re.compile(r"[\w.~+/=-]+", re.ASCII)
_TOKEN = re.compile(rf'"token":"({_JWT.pattern})"', re.ASCII)
_UUID = re.compile(r'"sessionUuid":"([\w-]+)"', re.ASCII)

_log = logging.getLogger(__name__)


async def get_zerogpu_token(
    space: str,
    session: aiohttp.ClientSession,
    conversation: JsonConversation | None = None,
    cookies: Mapping[str, str] | None = None,
    *,
    proxy: str | None = None,
    hf_url: str = HF_URL,
) -> tuple[str, str]:
    """Ask Hugging Face for the tokens of one visitor of a Space.

    Not getting one is not an error: the call then goes on anonymously.

    Args:
        space: `owner/name`.
        session: whose connections are used.
        conversation: its uuid is kept, and its token while that is good for this Space.
        cookies: of huggingface.co, which make the visitor somebody. Sent to no other host.
        proxy: HTTP proxy.
        hf_url: the Hub.

    Returns:
        `zerogpu_uuid` and `zerogpu_token`, each `""` if unknown.
    """
    uuid = conversation.zerogpu_uuid if conversation else ""
    token = conversation.token_at() if conversation and conversation.space == space else ""
    if token:
        return uuid, token
    wire = Wire(session, hf_url, proxy)
    path = quote(space)
    try:
        page = await wire.fetch("GET", f"/spaces/{path}", limit=_MAX_PAGE, cookies=cookies)
        text = html.unescape(page.body.decode("utf-8", "replace"))
        uuid = uuid or _first(_UUID, text)
        token = _first(_TOKEN, text)
        if cookies:
            until = datetime.now(UTC) + timedelta(seconds=LIFETIME)
            wanted = quote(until.isoformat(timespec="milliseconds"), safe="")
            answer = await wire.fetch(
                "GET",
                f"/api/spaces/{path}/jwt?expiration={wanted}&include_pro_status=true",
                limit=_MAX_PAGE,
                cookies=cookies,
            )
            match answer.json():
                case {"token": str(own)} if _JWT.fullmatch(own):
                    token = own
                case _:
                    pass
    except ProviderError as error:
        _log.debug("no ZeroGPU token for %s: %s", space, error)
    return uuid, token


def token_expires(token: str) -> float:
    """Unix time until which a token should be used: the `exp` of the JWT, less a margin."""
    if not token:
        return 0.0
    now = time.time()
    try:
        part = token.split(".")[1]
        claims = json_text.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return float(claims["exp"]) - _MARGIN
    except (ValueError, LookupError, TypeError, OverflowError):
        return now + LIFETIME - _MARGIN


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""
