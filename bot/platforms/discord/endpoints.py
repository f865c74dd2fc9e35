"""The requests that make, change and remove messages, and what Discord says about its rate limits.

There are two ways to the same message: the token of an interaction, and the bot's own. Both go
through `discord.http.HTTPClient`, so that discord.py's rate limiting applies, with data instead of
cached objects: after a restart there are none. Whatever discord.py and aiohttp raise passes through
untranslated (`bot.platforms.discord.errors`).
"""

from __future__ import annotations

from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Final, TypeAlias

import aiohttp
import discord
from discord.http import HTTPClient, MultipartParameters, Route

from bot.models import JsonObject
from bot.platforms.discord.components_v2 import OutgoingMessage, request_body
from bot.platforms.discord.errors import UNKNOWN_MESSAGE
from bot.reply.surface import RateLimitInfo

ORIGINAL: Final = "@original"
"""Discord's name for the first answer to an interaction, and for the message whose button was
pressed once that press is acknowledged."""


class ChannelEndpoint:
    """Ordinary messages of the bot in a channel, thread or direct message.

    New ones refer to the message `reply_to`, and the first takes the place of the message
    `placeholder`, if there are such.
    """

    def __init__(
        self,
        http: HTTPClient,
        channel_id: int,
        *,
        reply_to: int | None,
        placeholder: str | None = None,
    ) -> None:
        self._http = http
        self._channel_id = channel_id
        self._reply_to = reply_to
        self._placeholder = placeholder

    @property
    def after(self) -> str | None:
        """The message that all of a reply's own are newer than, if there is one."""
        return self._placeholder or (None if self._reply_to is None else str(self._reply_to))

    async def answers(self, me: int, after: str | None) -> list[str]:
        """Ids of the bot's messages that answer the same request, oldest first.

        Of the messages that are newer than `after`, the first hundred are looked at.
        """
        if after is None:
            return []
        found = await self._http.logs_from(self._channel_id, 100, after=int(after))
        request = {str(each) for each in (self._reply_to, self._placeholder) if each is not None}
        ids = []
        for each in found:
            answered: Any = each.get("message_reference") or {}
            followed: Any = each.get("interaction_metadata") or {}
            about = (answered.get("message_id"), followed.get("original_response_message_id"))
            if int(each["author"]["id"]) == me and not request.isdisjoint(map(str, about)):
                ids.append(str(each["id"]))
        return sorted(ids, key=int)

    async def create(self, message: OutgoingMessage, nonce: str, *, first: bool) -> JsonObject:
        """Make a message and return it; Discord stores it once per nonce for some minutes.

        The `first` takes the placeholder's place, if that is still there.
        """
        if first and self._placeholder is not None:
            try:
                return await self.edit(self._placeholder, message)
            except (discord.NotFound, discord.Forbidden):
                # The bot is not in the channel, or the placeholder was deleted.
                self._placeholder = None
        options: dict[str, Any] = {"nonce": nonce}
        if self._reply_to is not None:
            options["message_reference"] = {
                "message_id": self._reply_to,
                "channel_id": self._channel_id,
                "fail_if_not_exists": False,
            }
        with request_body(message, **options) as body:
            return _message_in(await self._http.send_message(self._channel_id, params=body))

    async def edit(self, message_id: str, message: OutgoingMessage) -> JsonObject:
        """Change a message of the bot, also one that an interaction made, and return it.

        Its files are those of `message` and no others. What once was a container stays one.
        """
        with request_body(message) as body:
            changed = await self._http.edit_message(self._channel_id, int(message_id), params=body)
            return _message_in(changed)

    async def delete(self, message_id: str) -> None:
        await self._http.delete_message(self._channel_id, int(message_id))


class InteractionEndpoint:
    """The answer to an interaction, and messages that follow it.

    The first message takes the place of the deferred answer, so that a repeated create is
    harmless; those that follow have no nonce on Discord's side. The token works for 15 minutes.
    """

    def __init__(self, http: HTTPClient, application_id: int, token: str) -> None:
        self._http = http
        self._ids: dict[str, Any] = {"webhook_id": application_id, "webhook_token": token}

    async def create(
        self, message: OutgoingMessage, nonce: str = "", *, first: bool, ephemeral: bool = False
    ) -> JsonObject:
        """Fill the deferred answer in (`first`), or send a message after it.

        One that follows may be `ephemeral`: only who started the interaction sees it.
        """
        del nonce  # not known on these routes
        if first:
            try:
                return await self.edit(ORIGINAL, message)
            except discord.NotFound as error:
                if error.code != UNKNOWN_MESSAGE:
                    raise
                # Somebody removed the placeholder; the answer is owed all the same.
        route = Route("POST", "/webhooks/{webhook_id}/{webhook_token}", **self._ids)
        with request_body(message, ephemeral=ephemeral) as body:
            return await self._request(route, body, params={"wait": "true"})

    async def edit(self, message_id: str, message: OutgoingMessage) -> JsonObject:
        with request_body(message) as body:
            return await self._request(self._route("PATCH", message_id), body)

    async def delete(self, message_id: str) -> None:
        await self._http.request(self._route("DELETE", message_id))

    def _route(self, method: str, message_id: str) -> Route:
        webhook = "/webhooks/{webhook_id}/{webhook_token}/messages/"
        if message_id == ORIGINAL:  # not as a parameter: it would be quoted
            return Route(method, webhook + ORIGINAL, **self._ids)
        return Route(method, webhook + "{message_id}", message_id=message_id, **self._ids)

    async def _request(self, route: Route, body: MultipartParameters, **options: Any) -> JsonObject:
        if body.files:
            options |= {"files": body.files, "form": body.multipart}
        else:
            options["json"] = body.payload
        return _message_in(await self._http.request(route, **options))


Endpoint: TypeAlias = ChannelEndpoint | InteractionEndpoint


def _message_in(data: Any) -> JsonObject:
    """The message in an answer.

    Raises:
        discord.DiscordException: something that is not Discord answered with a success.
    """
    if not isinstance(data, dict) or "id" not in data:
        raise discord.InvalidData("no message in the answer")
    return data


rate_limit_info: ContextVar[RateLimitInfo | None] = ContextVar("rate_limit_info", default=None)
"""What the newest answer that the current task got said about its limit, if it said anything; a
request and its trace run in one task."""


def rate_limit_trace() -> aiohttp.TraceConfig:
    """For `discord.Client(http_trace=...)`: reads the headers of each answer.

    discord.py reads these headers too, but only to sleep inside the call that takes the last
    request of a bucket; whoever knows them beforehand does not come to that.
    """
    config = aiohttp.TraceConfig()
    config.on_request_end.append(_read_rate_limit)
    return config


async def _read_rate_limit(
    _session: aiohttp.ClientSession,
    _context: SimpleNamespace,
    answered: aiohttp.TraceRequestEndParams,
) -> None:
    headers = answered.response.headers
    try:
        left = int(headers["X-RateLimit-Remaining"])
        seconds = float(headers["X-RateLimit-Reset-After"])
    except (KeyError, ValueError):
        rate_limit_info.set(None)
    else:
        rate_limit_info.set(RateLimitInfo(left, seconds))
