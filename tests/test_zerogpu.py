"""ZeroGPU tokens from a Hub."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.provider import JsonConversation, get_zerogpu_token, open_session
from bot.provider.zerogpu import LIFETIME, token_expires
from tests.servers.faulty_space import FaultySpace, faulty_space, reply

SPACE = "me/janus"
PAGE = (
    '<div data-props="{&quot;token&quot;:&quot;page.to-ken&quot;,'
    '&quot;sessionUuid&quot;:&quot;uuid-1&quot;}">'
)


def jwt(expires: float) -> str:
    body = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


@pytest.fixture
async def hub() -> AsyncIterator[FaultySpace]:
    """A Hub with a page that holds tokens."""
    async with faulty_space(page=PAGE, jwt="cookie.jwt") as space:
        yield space


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session for the test."""
    async with open_session() as opened:
        yield opened


async def test_the_page_of_the_space(hub: FaultySpace, session: aiohttp.ClientSession) -> None:
    """Without cookies the token and the uuid of the page are used."""
    assert await get_zerogpu_token(SPACE, session, hf_url=hub.url) == ("uuid-1", "page.to-ken")
    assert not hub.asked("/api")


async def test_cookies_get_a_token_of_their_own(
    hub: FaultySpace, session: aiohttp.ClientSession
) -> None:
    """With cookies the Hub is asked for a token that expires in ten minutes."""
    found = await get_zerogpu_token(SPACE, session, cookies={"token": "c"}, hf_url=hub.url)
    assert found == ("uuid-1", "cookie.jwt")
    assert [headers["Cookie"] for headers in hub.asked("/")] == ["token=c", "token=c"]
    assert "expiration=2" in hub.requests[-1][1]


async def test_the_conversation_is_used_first(
    hub: FaultySpace, session: aiohttp.ClientSession
) -> None:
    """A good token needs no request; another Space's or an old one is not used, the uuid is."""
    good = JsonConversation("", "mine", "kept", time.time() + 60, SPACE)
    assert await get_zerogpu_token(SPACE, session, good, hf_url=hub.url) == ("mine", "kept")
    assert not hub.requests
    for stale in (
        JsonConversation("", "mine", "kept", time.time() - 1, SPACE),
        JsonConversation("", "mine", "kept", time.time() + 60, "other/space"),
    ):
        found = await get_zerogpu_token(SPACE, session, stale, hf_url=hub.url)
        assert found == ("mine", "page.to-ken")


async def test_no_token_is_no_error(hub: FaultySpace, session: aiohttp.ClientSession) -> None:
    """A Hub that fails, or says nothing, leaves the caller anonymous."""
    hub.page = "<html>nothing here</html>"
    assert await get_zerogpu_token(SPACE, session, hf_url=hub.url) == ("", "")
    hub.refuse = reply(500)
    assert await get_zerogpu_token(SPACE, session, hf_url=hub.url) == ("", "")
    assert await get_zerogpu_token(SPACE, session, hf_url="http://127.0.0.1:1") == ("", "")


def test_expiry_is_read_from_the_token() -> None:
    """A token is used until a little before its own end, or for the time that was asked for."""
    assert token_expires(jwt(5000.0)) == 4970.0
    assert token_expires("") == 0.0
    for odd in ("opaque", "a.b.c", "a.!!.c", jwt(float("nan")).replace("head", "x")):
        assert not token_expires(odd) > time.time() + LIFETIME


def test_tokens_are_secret() -> None:
    """A conversation shows its token to nobody but its own JSON."""
    conversation = JsonConversation("hash", "uuid", "secret", time.time() + 60, SPACE)
    assert "secret" not in repr(conversation)
    assert "secret" not in repr(conversation.without_secrets().to_json())
    assert JsonConversation.from_json(conversation.to_json()) == conversation
