"""The two ways to the same message: the token of an interaction, and the bot's own.

Both speak through `discord.http.HTTPClient`, so that discord.py's rate limiting applies, with data
instead of cached objects: after a restart there are none.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import discord
from discord.http import HTTPClient, MultipartParameters, Route

from bot.models import JsonObject
from bot.platforms.discord.bodies import message_in, request_body
from bot.platforms.discord.faults import UNKNOWN_MESSAGE
from bot.reply.surface import Content

ORIGINAL: Final = "@original"
"""Discord's name for the first answer to an interaction, and for the message whose button was
pressed once that press is acknowledged."""


class Endpoint(Protocol):
    """Makes, changes and removes messages.

    A message is plain text unless it is `boxed` (`bot.platforms.discord.look`), and a box for good
    once it is one.

    Raises:
        discord.DiscordException, aiohttp.ClientError, OSError: from any method, untranslated.
    """

    async def create(
        self, content: Content, nonce: str, *, first: bool, boxed: bool = False
    ) -> JsonObject:
        """Make a message and return it; `first` if it takes the placeholder's place."""
        ...

    async def edit(
        self, message_id: str, content: Content, *, keep: bool, boxed: bool = False
    ) -> None:
        """Change a message; `keep` the attachments that it has instead of sending them again."""
        ...

    async def delete(self, message_id: str) -> None:
        """Remove a message."""
        ...


class ChannelEndpoint:
    """Ordinary messages of the bot in a channel, thread or direct message.

    Args:
        http: logged in.
        channel_id: where.
        me: the bot's user id.
        reply_to: the message that new ones refer to, if any.
        placeholder: a message that the first one should take the place of, if it is there.
        spoiler: pictures are covered until somebody wants to see them.
    """

    def __init__(
        self,
        http: HTTPClient,
        channel_id: int,
        *,
        me: int,
        reply_to: int | None,
        placeholder: str | None,
        spoiler: bool = False,
    ) -> None:
        self._http = http
        self._spoiler = spoiler
        self._me = str(me)
        self._channel_id = channel_id
        self._reply_to = reply_to
        self._placeholder = placeholder

    @property
    def after(self) -> str | None:
        """The message that all of a reply's own are newer than, if there is one."""
        return self._placeholder or (None if self._reply_to is None else str(self._reply_to))

    async def answers(self, after: str | None) -> list[str]:
        """Ids of the bot's messages that answer the same request, oldest first.

        Args:
            after: only newer ones, of which the first hundred are looked at.
        """
        if after is None:
            return []
        found = await self._http.logs_from(self._channel_id, 100, after=int(after))
        mine = [each for each in found if str(each["author"]["id"]) == self._me]
        return sorted((str(each["id"]) for each in mine if self._answers(each)), key=int)

    def _answers(self, message: Any) -> bool:
        """Whether a message refers to what this reply is to."""
        about = (message.get("message_reference") or {}).get("message_id")
        follows = (message.get("interaction_metadata") or {}).get("original_response_message_id")
        wanted = {str(each) for each in (self._reply_to, self._placeholder) if each is not None}
        return str(about) in wanted or str(follows) in wanted

    async def create(
        self, content: Content, nonce: str, *, first: bool, boxed: bool = False
    ) -> JsonObject:
        """Send a message; Discord stores it once per nonce for some minutes."""
        if first and self._placeholder is not None:
            try:
                return await self._patch(self._placeholder, content, keep=False, boxed=boxed)
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
        keep = not content.files
        with request_body(
            content, keep=keep, boxed=boxed, spoiler=self._spoiler, **options
        ) as body:
            return message_in(await self._http.send_message(self._channel_id, params=body))

    async def edit(
        self, message_id: str, content: Content, *, keep: bool, boxed: bool = False
    ) -> None:
        """Change a message of the bot, also one that an interaction made."""
        await self._patch(message_id, content, keep=keep, boxed=boxed)

    async def delete(self, message_id: str) -> None:
        """Remove a message of the bot."""
        await self._http.delete_message(self._channel_id, int(message_id))

    async def _patch(
        self, message_id: str, content: Content, *, keep: bool, boxed: bool
    ) -> JsonObject:
        with request_body(content, keep=keep, boxed=boxed, spoiler=self._spoiler) as body:
            return message_in(
                await self._http.edit_message(self._channel_id, int(message_id), params=body)
            )


class InteractionEndpoint:
    """The answer to an interaction, and messages that follow it.

    The first message takes the place of the deferred answer, so that a repeated create is
    harmless; those that follow have no nonce on Discord's side.

    Args:
        http: logged in.
        application_id: whose interaction.
        token: works for 15 minutes.
        spoiler: pictures are covered until somebody wants to see them.
    """

    def __init__(
        self, http: HTTPClient, application_id: int, token: str, *, spoiler: bool = False
    ) -> None:
        self._http = http
        self._spoiler = spoiler
        self._ids: dict[str, Any] = {"webhook_id": application_id, "webhook_token": token}

    async def create(
        self,
        content: Content,
        nonce: str,
        *,
        first: bool,
        boxed: bool = False,
        ephemeral: bool = False,
    ) -> JsonObject:
        """Fill the deferred answer in, or send a message after it.

        Args:
            content: all that it shows.
            nonce: has no effect.
            first: it takes the placeholder's place.
            boxed: as in `Endpoint`.
            ephemeral: a message that follows is shown to nobody but who started the interaction.
        """
        del nonce  # not known on these routes
        if first:
            try:
                return await self._patch(ORIGINAL, content, keep=not content.files, boxed=boxed)
            except discord.NotFound as error:
                if error.code != UNKNOWN_MESSAGE:
                    raise
                # Somebody removed the placeholder; the answer is owed all the same.
        route = Route("POST", "/webhooks/{webhook_id}/{webhook_token}", **self._ids)
        with request_body(
            content,
            keep=not content.files,
            boxed=boxed,
            spoiler=self._spoiler,
            ephemeral=ephemeral,
        ) as body:
            return await self._request(route, body, params={"wait": "true"})

    async def edit(
        self, message_id: str, content: Content, *, keep: bool, boxed: bool = False
    ) -> None:
        """Change the answer or a message that followed it."""
        await self._patch(message_id, content, keep=keep, boxed=boxed)

    async def delete(self, message_id: str) -> None:
        """Remove the answer or a message that followed it."""
        await self._http.request(self._route("DELETE", message_id))

    async def _patch(
        self, message_id: str, content: Content, *, keep: bool, boxed: bool
    ) -> JsonObject:
        with request_body(content, keep=keep, boxed=boxed, spoiler=self._spoiler) as body:
            return await self._request(self._route("PATCH", message_id), body)

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
        return message_in(await self._http.request(route, **options))
