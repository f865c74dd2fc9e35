"""The local Discord refuses what Discord refuses; asked with plain requests, without discord.py."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.servers.discord import TOKEN, DiscordServer
from tests.servers.discord_people import general
from tests.servers.discord_world import SEND, Channel, Interaction, User


class Rest:
    """Sends requests and gives back status and JSON."""

    def __init__(self, server: DiscordServer, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = TOKEN,
        files: tuple[bytes, ...] = (),
    ) -> tuple[int, Any]:
        url = self._server.api_url + path
        headers = {"Authorization": f"Bot {token}"}
        data: Any = None
        if files:
            data = aiohttp.FormData(quote_fields=False)
            data.add_field("payload_json", json.dumps(body))
            for number, content in enumerate(files):
                data.add_field(f"files[{number}]", content, filename=f"{number}.png")
        elif body is not None:
            data = json.dumps(body)
            headers["Content-Type"] = "application/json"
        async with self._session.request(method, url, data=data, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def send(self, channel: Channel, **body: Any) -> tuple[int, Any]:
        return await self.ask("POST", f"/channels/{channel.id}/messages", body)


@pytest.fixture
async def rest(discord: DiscordServer) -> AsyncIterator[Rest]:
    async with aiohttp.ClientSession() as session:
        yield Rest(discord, session)


@pytest.fixture
def channel(discord: DiscordServer) -> Channel:
    return general(discord)


@pytest.fixture
def ada(discord: DiscordServer) -> User:
    return discord.people[0]


async def deferred(discord: DiscordServer, rest: Rest, ada: User, channel: Channel) -> Interaction:
    one = await discord.runs(ada, channel, "imagine", prompt="a fox")
    status, _ = await rest.ask("POST", f"/interactions/{one.id}/{one.token}/callback", {"type": 5})
    assert status == 200
    return one


async def test_a_wrong_token_is_401(rest: Rest) -> None:
    """REST does not work without the bot's token."""
    assert await rest.ask("GET", "/users/@me", token="x") == (
        401,
        {"code": 0, "message": "401: Unauthorized"},
    )


async def test_long_and_empty_messages_are_refused(rest: Rest, channel: Channel) -> None:
    """2,000 characters are taken, one more is an invalid form body, and nothing is nothing."""
    assert (await rest.send(channel, content="x" * 2000))[0] == 200
    status, body = await rest.send(channel, content="x" * 2001)
    assert (status, body["code"]) == (400, 50035)
    assert body["errors"]["content"]["_errors"][0]["code"] == "BASE_TYPE_MAX_LENGTH"
    assert (await rest.send(channel, content=""))[1]["code"] == 50006


async def test_a_nonce_is_stored_once(rest: Rest, channel: Channel) -> None:
    """With `enforce_nonce` the message that is there is returned; without it there are two."""
    for enforced, count in ((True, 1), (False, 3)):
        for _ in range(2):
            await rest.send(channel, content="x", nonce="n", enforce_nonce=enforced)
        assert len(channel.messages) == count


async def test_permissions_and_unknown_things(rest: Rest, channel: Channel) -> None:
    """Each has its status and code."""
    assert (await rest.ask("GET", f"/channels/{channel.id}/messages/1"))[1]["code"] == 10008
    assert (await rest.ask("GET", "/channels/1/messages"))[1]["code"] == 10003
    channel.denied = SEND
    status, body = await rest.send(channel, content="x")
    assert (status, body["code"]) == (403, 50013)


async def test_files_are_kept_by_id_and_served(
    discord: DiscordServer, rest: Rest, channel: Channel
) -> None:
    """An edit lists what stays; new files are named by their number."""
    path = f"/channels/{channel.id}/messages"
    listed = [{"id": 0, "filename": "0.png"}, {"id": 1, "filename": "1.png", "description": "b"}]
    _, message = await rest.ask("POST", path, {"attachments": listed}, files=(b"a", b"b"))
    first, second = message["attachments"]
    assert second["description"] == "b"
    kept = [{"id": second["id"]}, {"id": 0, "filename": "0.png"}]
    _, message = await rest.ask(
        "PATCH", f"{path}/{message['id']}", {"attachments": kept}, files=(b"c",)
    )
    assert message["attachments"][0]["id"] == second["id"]
    assert first["id"] not in json.dumps(message)
    async with (
        aiohttp.ClientSession() as session,
        session.get(message["attachments"][1]["url"]) as response,
    ):
        assert await response.read() == b"c"


async def test_an_interaction_is_answered_once_and_in_time(
    discord: DiscordServer, rest: Rest, ada: User, channel: Channel
) -> None:
    """A second answer is 40060, a late one 10062, and so is one to nothing."""
    one = await deferred(discord, rest, ada, channel)
    callback = f"/interactions/{one.id}/{one.token}/callback"
    assert (await rest.ask("POST", callback, {"type": 5}))[1]["code"] == 40060
    discord.answer_within = -1
    late = await discord.runs(ada, channel, "help")
    callback = f"/interactions/{late.id}/{late.token}/callback"
    assert (await rest.ask("POST", callback, {"type": 5}))[1]["code"] == 10062
    assert (await rest.ask("POST", "/interactions/1/x/callback", {"type": 5}))[1]["code"] == 10062


async def test_an_interaction_token_dies(
    discord: DiscordServer, rest: Rest, ada: User, channel: Channel
) -> None:
    """Before an answer the webhook is unknown; after its life the token is invalid."""
    fresh = await discord.runs(ada, channel, "help")
    path = f"/webhooks/{discord.application_id}"
    original = "/messages/@original"
    status, body = await rest.ask("GET", f"{path}/{fresh.token}{original}")
    assert (status, body["code"]) == (404, 10015)
    one = await deferred(discord, rest, ada, channel)
    assert (await rest.ask("GET", f"{path}/{one.token}{original}"))[0] == 200
    discord.token_life = -1
    status, body = await rest.ask("GET", f"{path}/{one.token}{original}")
    assert (status, body["code"]) == (401, 50027)


async def test_the_first_follow_up_takes_the_placeholders_place(
    discord: DiscordServer, rest: Rest, ada: User, channel: Channel
) -> None:
    """As on Discord: a deferred answer is filled by whatever comes first."""
    one = await deferred(discord, rest, ada, channel)
    for text in ("first", "second"):
        await rest.ask("POST", f"/webhooks/{discord.application_id}/{one.token}", {"content": text})
    assert [message["id"] for message in discord.messages(channel)] == [
        one.original,
        one.followups[0],
    ]


async def test_too_many_requests_are_refused_with_via(
    discord: DiscordServer, rest: Rest, channel: Channel
) -> None:
    """Two in a window, then 429 with the seconds to wait; answers to interactions do not count."""
    discord.limits = (2, 60.0)
    assert [(await rest.send(channel, content="x"))[0] for _ in range(3)] == [200, 200, 429]
    (call,) = discord.refused
    assert call.path == f"/channels/{channel.id}/messages"
