"""Spaces on Hugging Face: where they are, whether they are up, and who may see which token."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.errors import (
    ProviderError,
    SpaceAsleep,
    SpaceBroken,
    SpaceBuilding,
    SpaceNotFound,
    SpacePaused,
    SpaceUnreachable,
)
from bot.provider import (
    DeepseekAI_JanusPro7b,
    JsonConversation,
    Reasoning,
    get_zerogpu_token,
    open_session,
)
from bot.provider.http import Timeouts
from bot.provider.huggingface import TOKEN_SECONDS, space_url, token_expires
from bot.provider.responses import Stage
from tests.servers.faulty_space import (
    DRAWN,
    PICTURES,
    FaultySpace,
    faulty_space,
    firstly,
    only,
    reply,
)
from tests.servers.space_client import SOON, ask, text_of

TOKEN = "hf_secret"


def on_hub(space: FaultySpace, **options: Any) -> DeepseekAI_JanusPro7b:
    """For a Space of a Hub; the server plays both."""
    return DeepseekAI_JanusPro7b(space="me/janus", hf_url=space.url, timeouts=SOON, **options)


async def test_a_space_by_id_is_asked_of_the_hub(space: FaultySpace) -> None:
    """The address comes from the Hub, once, and the token goes to both."""
    one = on_hub(space, hf_token=TOKEN)
    for _ in range(2):
        assert text_of(await ask(one, "", ["x"])) == "An answer."
    assert len(space.asked("/api/spaces/me/janus/host")) == 1
    assert all(headers["Authorization"] == f"Bearer {TOKEN}" for headers in space.asked("/"))
    assert not space.asked("/spaces")
    assert space.joined[0].headers["x-gradio-user"] == "api"


@pytest.mark.parametrize("option", ["hf_token", "api_key"])
async def test_a_token_never_goes_elsewhere(space: FaultySpace, option: str) -> None:
    """A server that is not Hugging Face's gets neither token nor cookies, nor is the Hub asked."""
    own, given = (TOKEN, None) if option == "hf_token" else (None, TOKEN)
    one = DeepseekAI_JanusPro7b(api_url=space.url, hf_token=own)
    await ask(one, "", ["x"], api_key=given, cookies={"token": TOKEN})
    assert TOKEN not in repr(space.requests)
    assert TOKEN not in repr(one)
    assert TOKEN not in repr(vars(one))


async def test_an_access_token_goes_to_its_server(space: FaultySpace) -> None:
    """With every request, and into nothing that is shown."""
    space.script, space.files = DRAWN, dict(PICTURES)
    one = DeepseekAI_JanusPro7b(api_url=space.url, access_token=TOKEN)
    await ask(one, "", prompt="a fox")
    assert len(space.asked("/gradio_api/file=")) == 5
    assert all(headers["Authorization"] == f"Bearer {TOKEN}" for headers in space.asked("/"))
    assert TOKEN not in repr(one)
    assert TOKEN not in repr(vars(one))


async def test_an_access_token_does_not_follow_a_redirect(space: FaultySpace) -> None:
    async with faulty_space() as elsewhere:

        async def redirect(_: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": f"{elsewhere.url}/config"})

        space.refuse = redirect
        with pytest.raises(SpaceUnreachable, match="redirects elsewhere"):
            await DeepseekAI_JanusPro7b(api_url=space.url, access_token=TOKEN).check()
    assert not elsewhere.requests


async def test_an_access_token_is_not_for_the_hub(space: FaultySpace) -> None:
    """Neither for a Space that is known by its id, nor beside a token of Hugging Face."""
    await ask(on_hub(space, access_token=TOKEN), "", ["x"])
    assert TOKEN not in repr(space.requests)
    await ask(on_hub(space, access_token=TOKEN, hf_token="hf_other"), "", ["x"])
    assert TOKEN not in repr(space.requests)
    assert space.joined[-1].headers["Authorization"] == "Bearer hf_other"


async def test_what_one_person_brings_along_is_for_no_other(space: FaultySpace) -> None:
    """Calls share what they know of the Space, and nobody's account."""
    async with open_session() as session:
        one = on_hub(space, session=session)
        for key in (None, TOKEN, None, "hf_other", None):
            await ask(one, "", ["x"], api_key=key)
    assert [joined.headers.get("Authorization", "") for joined in space.joined] == [
        "", f"Bearer {TOKEN}", "", "Bearer hf_other", "",
    ]  # fmt: skip
    assert len(space.asked("/api/spaces/me/janus/host")) == 1


async def test_zerogpu_tokens_go_with_the_join_only(space: FaultySpace) -> None:
    """Without an account the page's tokens are sent, and remembered in the conversation."""
    space.page = "{&quot;token&quot;:&quot;tok&quot;,&quot;sessionUuid&quot;:&quot;uu&quot;}"
    one = on_hub(space)
    conversation = (await ask(one, "", ["x"], return_conversation=True))[0]
    assert isinstance(conversation, JsonConversation)
    assert (conversation.zerogpu_token, conversation.zerogpu_uuid) == ("tok", "uu")
    assert conversation.session_hash == space.joined[0].body["session_hash"]
    assert space.joined[0].headers["x-zerogpu-token"] == "tok"
    assert "x-zerogpu-token" not in space.asked("/gradio_api/queue/data")[0]
    again = (await ask(one, "", ["x"], conversation=conversation, return_conversation=True))[0]
    assert isinstance(again, JsonConversation)
    assert again.zerogpu_token == "tok"
    assert again.session_hash != conversation.session_hash
    assert len(space.asked("/spaces")) == 1


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("PAUSED", SpacePaused),
        ("BUILD_ERROR", SpaceBroken),
        ("RUNTIME_ERROR", SpaceBroken),
        ("DELETING", SpaceNotFound),
        ("RUNNING", SpaceUnreachable),
        ("SOMETHING_NEW", SpaceUnreachable),
        (None, SpaceNotFound),
    ],
)
async def test_a_space_that_is_not_up(
    space: FaultySpace, stage: str | None, kind: type[ProviderError]
) -> None:
    """The Hub knows why a Space gives no answer."""
    space.stage = stage
    space.refuse = firstly(only("/config", reply(503, "Your space is in error")))
    with pytest.raises(kind):
        await ask(on_hub(space), "", ["x"])
    with pytest.raises(kind):
        await on_hub(space).check()


@pytest.mark.parametrize("stage", ["SLEEPING", "BUILDING", "APP_STARTING"])
async def test_a_sleeping_space_is_woken(space: FaultySpace, stage: str) -> None:
    """It is waited for, which is shown, and then asked."""
    space.stage = stage
    space.refuse = only("/config", reply(503), times=3)
    responses = await ask(on_hub(space), "", ["x"])
    assert text_of(responses) == "An answer."
    assert any(isinstance(r, Reasoning) and r.stage is Stage.WAKING for r in responses)


@pytest.mark.parametrize(
    ("stage", "kind"), [("SLEEPING", SpaceAsleep), ("BUILDING", SpaceBuilding)]
)
async def test_waiting_for_a_space_has_a_limit(
    space: FaultySpace, stage: str, kind: type[ProviderError]
) -> None:
    """One that does not wake is an error that says so."""
    space.stage = stage
    space.refuse = only("/config", reply(503))
    one = DeepseekAI_JanusPro7b(
        space="me/janus", hf_url=space.url, timeouts=Timeouts(wake=0.1, poll=0.01)
    )
    with pytest.raises(kind):
        await ask(one, "", ["x"])


async def test_a_space_that_falls_asleep_later(space: FaultySpace) -> None:
    """Also one whose configuration is known is woken."""
    one = on_hub(space)
    await ask(one, "", ["x"])
    space.stage = "SLEEPING"
    space.refuse = firstly(
        only("/queue/join", reply(503), times=1), only("/config", reply(503), times=2)
    )
    assert text_of(await ask(one, "", ["x"])) == "An answer."


def test_usual_address_of_a_space() -> None:
    """Lower case, and one hyphen for everything that no host name has."""
    assert space_url("deepseek-ai/Janus-Pro-7B") == "https://deepseek-ai-janus-pro-7b.hf.space"
    assert space_url("me/my_space.v2") == "https://me-my-space-v2.hf.space"


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
        assert not token_expires(odd) > time.time() + TOKEN_SECONDS


def test_tokens_are_secret() -> None:
    """A conversation shows its token to nobody but its own JSON."""
    conversation = JsonConversation("hash", "uuid", "secret", time.time() + 60, SPACE)
    assert "secret" not in repr(conversation)
    assert "secret" not in repr(conversation.without_secrets().to_json())
    assert JsonConversation.from_json(conversation.to_json()) == conversation


async def test_run_sends_the_tokens_that_it_is_given(
    hub: FaultySpace, session: aiohttp.ClientSession
) -> None:
    """They carry no end and name no Space when they are made of what `get_zerogpu_token` gave."""
    uuid, token = await get_zerogpu_token(SPACE, session, hf_url=hub.url)
    asked = len(hub.asked("/spaces"))
    conversation = JsonConversation("abc", uuid, token)
    async with on_hub(hub).run("post", session, "x", conversation) as response:
        assert response.status == 200
    assert hub.joined[0].headers["x-zerogpu-token"] == token
    assert hub.joined[0].headers["x-zerogpu-uuid"] == uuid
    await ask(on_hub(hub), "", ["x"], conversation=conversation)
    assert hub.joined[1].headers["x-zerogpu-token"] == token
    assert len(hub.asked("/spaces")) == asked, "tokens that were given are not fetched again"


@pytest.mark.parametrize(("named", "sent"), [(None, False), (SPACE, True), ("other/one", False)])
async def test_tokens_go_to_their_own_space_only(
    space: FaultySpace, session: aiohttp.ClientSession, named: str | None, sent: bool
) -> None:
    """A server elsewhere gets them only if it was given as the Space that they are for."""
    one = DeepseekAI_JanusPro7b(api_url=space.url, space=named)
    conversation = JsonConversation("abc", "uu", "tok", space=SPACE)
    async with one.run("post", session, "x", conversation):
        assert ("x-zerogpu-token" in space.joined[0].headers) is sent


async def test_an_old_token_is_not_sent(hub: FaultySpace, session: aiohttp.ClientSession) -> None:
    """Only one whose end is known, and past."""
    conversation = JsonConversation("abc", "uu", "tok", time.time() - 1, SPACE)
    async with on_hub(hub).run("post", session, "x", conversation):
        assert "x-zerogpu-token" not in hub.joined[0].headers


async def test_the_cookies_of_the_page(hub: FaultySpace, session: aiohttp.ClientSession) -> None:
    """With none given, those that the page sets go with the request for a token, and no further."""

    async def page(_: web.Request) -> web.StreamResponse:
        response = web.Response(text=PAGE)
        response.set_cookie("session", "anonymous")
        return response

    hub.refuse = only("/spaces/me/janus", page, times=1)
    found = await get_zerogpu_token(SPACE, session, hf_url=hub.url)
    assert found == ("uuid-1", "cookie.jwt")
    assert hub.asked("/api/spaces/me/janus/jwt")[0]["Cookie"] == "session=anonymous"
    hub.refuse = None
    await get_zerogpu_token(SPACE, session, hf_url=hub.url)
    assert "Cookie" not in hub.requests[-1][2]


@pytest.mark.parametrize("key", ["sk-123456", "hf_123456"])
async def test_a_key_that_is_not_used_is_said(space: FaultySpace, key: str) -> None:
    """One that is no token of Hugging Face, and one for a server that is not there."""
    one = DeepseekAI_JanusPro7b(api_url=space.url, timeouts=SOON)
    said = [each for each in await ask(one, "", ["x"], api_key=key) if isinstance(each, Reasoning)]
    warnings = [each.note for each in said if each.level == "warning"]
    assert len(warnings) == 1
    assert "api_key" in warnings[0]
    assert key not in warnings[0]


async def test_a_key_that_is_used_is_not_remarked_on(space: FaultySpace) -> None:
    responses = await ask(on_hub(space), "", ["x"], api_key=TOKEN)
    assert not [each for each in responses if isinstance(each, Reasoning) and each.level]
