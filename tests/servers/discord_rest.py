"""The REST routes of the local Discord; refuses what Discord refuses."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.servers.discord_components import V2, check_form, check_message, resolved
from tests.servers.discord_world import (
    ATTACH,
    EPHEMERAL,
    HISTORY,
    IN_THREADS,
    LOADING,
    SEND,
    THREAD,
    Channel,
    Interaction,
    Json,
    Refusal,
    User,
    mentioned,
    new_message,
    now,
    snowflake,
)

if TYPE_CHECKING:
    from tests.servers.discord import DiscordServer

MAX_FILE = 10 * 1024 * 1024
Handler = Callable[["Call", web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Call:
    """One request that arrived.

    Attributes:
        body: its JSON, also when it came beside files.
        files: name and bytes of each file, by its number.
        at: monotonic seconds.
    """

    method: str
    path: str
    body: Any = None
    files: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)

    @property
    def names(self) -> set[str]:
        """Names of its files."""
        return {name for name, _ in self.files.values()}


def answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """JSON under exactly this media type, because discord.py takes any other for text."""
    typed = {**(headers or {}), "Content-Type": "application/json"}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=typed)


class Rest:
    """Routes under `/api/v10`, each a method that takes the call and the request."""

    def __init__(self, server: DiscordServer) -> None:
        self._server = server
        self.cdn: dict[str, tuple[bytes, str]] = {}
        self.commands: dict[str, list[Json]] = {}
        self.syncs: list[str] = []

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler of everything that is spoken here."""
        commands = "/applications/{app}/commands"
        guild_commands = "/applications/{app}/guilds/{guild}/commands"
        messages = "/channels/{channel}/messages"
        hook = "/webhooks/{app}/{token}"
        return [
            ("GET", "/users/@me", self._me),
            ("GET", "/users/@me/guilds", self._guilds),
            ("GET", "/users/{user}", self._user),
            ("GET", "/oauth2/applications/@me", self._application),
            ("GET", "/gateway/bot", self._gateway_bot),
            ("GET", commands, self._get_commands),
            ("PUT", commands, self._put_commands),
            ("GET", guild_commands, self._get_commands),
            ("PUT", guild_commands, self._put_commands),
            ("GET", "/guilds/{guild}/members/{user}", self._member),
            ("POST", "/users/@me/channels", self._open_dm),
            ("GET", "/channels/{channel}", self._get_channel),
            ("POST", "/channels/{channel}/typing", self._typing),
            ("GET", messages, self._list),
            ("POST", messages, self._send),
            ("GET", messages + "/{message}", self._get),
            ("PATCH", messages + "/{message}", self._edit),
            ("DELETE", messages + "/{message}", self._delete),
            ("POST", "/interactions/{id}/{token}/callback", self._callback),
            ("POST", hook, self._follow_up),
            ("GET", hook + "/messages/{message}", self._hook_get),
            ("PATCH", hook + "/messages/{message}", self._hook_edit),
            ("DELETE", hook + "/messages/{message}", self._hook_delete),
        ]

    # --- the application -------------------------------------------------------------------

    async def _me(self, call: Call, request: web.Request) -> web.Response:
        return answer(self._server.bot.payload())

    async def _user(self, call: Call, request: web.Request) -> web.Response:
        return answer(self._server.person_by_id(request.match_info["user"]).payload())

    async def _guilds(self, call: Call, request: web.Request) -> web.Response:
        known = self._server.guilds
        return answer(
            [{"id": g.id, "name": g.name, "permissions": str(g.permissions)} for g in known]
        )

    async def _application(self, call: Call, request: web.Request) -> web.Response:
        return answer(self._server.application())

    async def _gateway_bot(self, call: Call, request: web.Request) -> web.Response:
        server = self._server
        limit = {"total": 1000, "remaining": server.sessions_left, "reset_after": 1000}
        limit["max_concurrency"] = server.gateway.at_once or 1
        server.sessions_left = 999  # as after `reset_after`
        told = {"url": server.gateway_url, "shards": server.shards, "session_start_limit": limit}
        return answer(told)

    async def _member(self, call: Call, request: web.Request) -> web.Response:
        user = self._server.person_by_id(request.match_info["user"])
        return answer({"user": user.payload(), **user.member()})

    async def _get_commands(self, call: Call, request: web.Request) -> web.Response:
        known = self.commands.get(request.match_info.get("guild", ""), [])
        if request.query.get("with_localizations") == "true":
            return answer(known)
        return answer([_without_localizations(one) for one in known])

    async def _put_commands(self, call: Call, request: web.Request) -> web.Response:
        scope = request.match_info.get("guild", "")
        for command in call.body:
            if not re.fullmatch(r"[-_\w ]{1,32}", command["name"]):
                raise Refusal(400, 50035, "Invalid Form Body")
            for about in (command, *command.get("options", [])):
                texts = {about.get("description", "")}
                texts |= set((about.get("description_localizations") or {}).values())
                if any(len(text) > 100 for text in texts):
                    raise Refusal(400, 50035, "Invalid Form Body")
        added = {"application_id": self._server.application_id, "version": "1"}
        self.commands[scope] = [
            {"description": "", **command, "id": snowflake(), **added} for command in call.body
        ]
        self.syncs.append(scope)
        return answer(self.commands[scope])

    # --- channels --------------------------------------------------------------------------

    async def _open_dm(self, call: Call, request: web.Request) -> web.Response:
        channel = self._server.dm(self._server.person_by_id(str(call.body["recipient_id"])))
        return answer(channel.payload(self._server.bot))

    async def _get_channel(self, call: Call, request: web.Request) -> web.Response:
        return answer(self._channel(request).payload(self._server.bot))

    async def _typing(self, call: Call, request: web.Request) -> web.Response:
        self._channel(request, SEND)
        return web.Response(status=204)

    async def _list(self, call: Call, request: web.Request) -> web.Response:
        channel = self._channel(request, HISTORY)
        limit = int(request.query.get("limit", 50))
        there = list(channel.messages.values())
        if "after" in request.query:
            # The oldest ones after it, and as always the newest of them first.
            after = int(request.query["after"])
            return answer([one for one in there if int(one["id"]) > after][:limit][::-1])
        return answer(there[::-1][:limit])

    async def _get(self, call: Call, request: web.Request) -> web.Response:
        return answer(_find(self._channel(request), request.match_info["message"]))

    async def _send(self, call: Call, request: web.Request) -> web.Response:
        channel = self._channel(request)
        _need(channel, IN_THREADS if channel.type == THREAD else SEND)
        if call.files:
            _need(channel, ATTACH)
        is_v2 = check_message(call.body, call.names, set())
        nonce = call.body.get("nonce")
        if nonce is not None and call.body.get("enforce_nonce"):
            for message in channel.messages.values():
                if message.get("nonce") == nonce:
                    return answer(message)
        message = new_message(channel, self._server.bot, call.body.get("content") or "")
        reference = call.body.get("message_reference")
        if reference is not None:
            _need(channel, HISTORY, 160002)
            if str(reference["message_id"]) in channel.messages:
                message |= {"type": 19, "message_reference": {**reference, "type": 0}}
            elif reference.get("fail_if_not_exists", True):
                raise Refusal(400, 50035, "Invalid Form Body")
        if nonce is not None:
            message["nonce"] = nonce
        self._fill(channel, message, call)
        message["flags"] |= V2 if is_v2 else 0
        channel.messages[message["id"]] = message
        await self._server.announce("MESSAGE_CREATE", channel, message)
        return answer(message)

    async def _edit(self, call: Call, request: web.Request) -> web.Response:
        channel = self._channel(request)
        message = _find(channel, request.match_info["message"])
        if message["author"]["id"] != self._server.bot.id:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        if message["flags"] & EPHEMERAL:
            raise Refusal(404, 10008, "Unknown Message")
        if call.files:
            _need(channel, ATTACH)
        return answer(await self._change(channel, message, call))

    async def _delete(self, call: Call, request: web.Request) -> web.Response:
        channel = self._channel(request)
        _find(channel, request.match_info["message"])
        await self._server.remove(channel, request.match_info["message"])
        return web.Response(status=204)

    # --- interactions ----------------------------------------------------------------------

    async def _callback(self, call: Call, request: web.Request) -> web.Response:
        one = self._server.interactions.get(request.match_info["id"])
        late = one is None or time.monotonic() - one.created > self._server.answer_within
        if one is None or late or one.token != request.match_info["token"]:
            raise Refusal(404, 10062, "Unknown interaction")
        if one.answer is not None:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        kind, data = call.body["type"], call.body.get("data") or {}
        if kind not in _ANSWERS[one.kind]:
            raise Refusal(400, 50035, "Invalid Form Body")
        if kind == 4:
            check_message(data, call.names, set())
        if kind == 9:
            check_form(data)
        one.answer = call.body
        told = {"id": one.id, "type": one.kind}
        if kind in (6, 7):
            one.original = one.message
        if kind in (6, 8, 9):
            self._server.touch()
            return answer({"interaction": told, "resource": {"type": kind}})
        if kind == 7:
            await self._change(one.channel, _find(one.channel, one.original or ""), call)
            return answer({"interaction": told, "resource": {"type": kind}})
        message = new_message(one.channel, self._server.bot, data.get("content") or "")
        message["flags"] = (data.get("flags") or 0) | (LOADING if kind == 5 else 0)
        message["interaction_metadata"] = one.metadata()
        one.original = message["id"]
        one.channel.messages[message["id"]] = message
        self._server.touch()
        told |= {
            "response_message_id": message["id"],
            "response_message_loading": kind == 5,
            "response_message_ephemeral": bool(message["flags"] & EPHEMERAL),
        }
        resource = {"type": kind, "message": message}
        return answer({"interaction": told, "resource": resource})

    async def _follow_up(self, call: Call, request: web.Request) -> web.Response:
        one = self._interaction(request)
        assert one.original is not None
        check_message(call.body, call.names, set())
        original = one.channel.messages.get(one.original)
        if original is not None and original["flags"] & LOADING:
            # The first message after a deferral takes its place, and its privacy.
            return answer(await self._change(one.channel, original, call))
        message = new_message(one.channel, self._server.bot, call.body.get("content") or "")
        message["flags"] = call.body.get("flags") or 0
        message["interaction_metadata"] = one.metadata()
        self._fill(one.channel, message, call)
        one.channel.messages[message["id"]] = message
        one.followups.append(message["id"])
        await self._server.announce("MESSAGE_CREATE", one.channel, message)
        return answer(message)

    async def _hook_get(self, call: Call, request: web.Request) -> web.Response:
        one = self._interaction(request)
        return answer(self._hook_message(one, request))

    async def _hook_edit(self, call: Call, request: web.Request) -> web.Response:
        one = self._interaction(request)
        message = self._hook_message(one, request)
        return answer(await self._change(one.channel, message, call))

    async def _hook_delete(self, call: Call, request: web.Request) -> web.Response:
        one = self._interaction(request)
        await self._server.remove(one.channel, self._hook_message(one, request)["id"])
        return web.Response(status=204)

    def _hook_message(self, one: Interaction, request: web.Request) -> Json:
        wanted = request.match_info["message"]
        message_id = one.original if wanted == "@original" else wanted
        if message_id != one.original and message_id not in one.followups:
            raise Refusal(404, 10008, "Unknown Message")
        return _find(one.channel, message_id or "")

    def _interaction(self, request: web.Request) -> Interaction:
        for one in self._server.interactions.values():
            if one.token == request.match_info["token"] and one.answer is not None:
                old = time.monotonic() - one.created > self._server.token_life
                if one.ended or old:
                    raise Refusal(401, 50027, "Invalid Webhook Token")
                return one
        raise Refusal(404, 10015, "Unknown Webhook")

    # --- messages --------------------------------------------------------------------------

    async def _change(self, channel: Channel, message: Json, call: Call) -> Json:
        there = {one["id"]: one["filename"] for one in message["attachments"]}
        listed = call.body.get("attachments")
        if listed is not None:
            wanted = {str(one["id"]) for one in listed}
            there = {number: name for number, name in there.items() if number in wanted}
        whole = {"content": message["content"], **call.body}
        was_v2 = bool(message["flags"] & V2)
        is_v2 = check_message(whole, call.names, set(there.values()), was_v2=was_v2)
        if "content" in call.body:
            message["content"] = call.body["content"] or ""
        self._fill(channel, message, call)
        message["flags"] = message["flags"] & ~LOADING | (V2 if is_v2 else 0)
        message["edited_timestamp"] = now()
        await self._server.announce("MESSAGE_UPDATE", channel, message)
        return message

    def _fill(self, channel: Channel, message: Json, call: Call) -> None:
        """Attachments: those that are listed stay or come, the rest goes."""
        there = {one["id"]: one for one in message["attachments"]}
        listed = call.body.get("attachments")
        if listed is not None:
            kept = [there[str(one["id"])] for one in listed if str(one["id"]) in there]
            about = {int(one["id"]): one for one in listed if str(one["id"]) not in there}
        else:
            kept, about = list(there.values()), {}
        new = [
            self.store(channel, name, data, about.get(number, {}).get("description"))
            for number, (name, data) in sorted(call.files.items())
        ]
        message["attachments"] = [*kept, *new]
        components = call.body.get("components", message.get("components", []))
        message["components"] = resolved(components, message["attachments"])
        people = [User("x"), *self._server.people]
        parse = (call.body.get("allowed_mentions") or {"parse": ["users"]}).get("parse", [])
        message["mentions"] = mentioned(message["content"], people) if "users" in parse else []

    def store(
        self, channel: Channel, name: str, data: bytes, description: str | None = None
    ) -> Json:
        """Keep a file on the file server and describe it as an attachment."""
        if len(data) > MAX_FILE:
            raise Refusal(413, 40005, "Request entity too large")
        number = snowflake()
        path = f"/cdn/attachments/{channel.id}/{number}/{name}"
        suffix = name.rpartition(".")[2]
        media_type = f"image/{suffix}" if suffix in {"png", "webp", "jpeg"} else "text/plain"
        self.cdn[path] = (data, media_type)
        url = self._server.url + path
        about = {} if description is None else {"description": description}
        sizes = {"size": len(data), "content_type": media_type}
        return {"id": number, "filename": name, "url": url, "proxy_url": url, **sizes, **about}

    def _channel(self, request: web.Request, needed: int = 0) -> Channel:
        channel = self._server.channels.get(request.match_info["channel"])
        if channel is None:
            raise Refusal(404, 10003, "Unknown Channel")
        _need(channel, needed)
        return channel


async def read_call(request: web.Request) -> Call:
    """The body of a request, as JSON or as parts beside files."""
    path = request.path.removeprefix("/api/v10")
    call = Call(request.method, path)
    if request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            match = re.fullmatch(r"files\[(\d+)\]", part.name or "")  # type: ignore[union-attr] # no nested parts here
            data = bytes(await part.read())  # type: ignore[union-attr] # same
            if match is not None:
                call.files[int(match[1])] = (part.filename or "", data)  # type: ignore[union-attr] # same
            elif part.name == "payload_json":  # type: ignore[union-attr] # same
                call.body = json.loads(data)
    elif request.can_read_body:
        if request.headers["Content-Type"] != "application/json":
            raise Refusal(400, 50109, "The request body contains invalid JSON.")
        call.body = await request.json()
    return call


_ANSWERS = {2: {4, 5, 9}, 3: {4, 5, 6, 7, 9}, 4: {8}, 5: {4, 5, 6, 7}}
"""Callback types that each kind of interaction takes."""


def _without_localizations(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if not key.endswith("_localizations")}
        return {key: _without_localizations(one) for key, one in kept.items()}
    if isinstance(value, list):
        return [_without_localizations(one) for one in value]
    return value


def _find(channel: Channel, message_id: str) -> Json:
    try:
        return channel.messages[message_id]
    except KeyError:
        raise Refusal(404, 10008, "Unknown Message") from None


def _need(channel: Channel, permission: int, code: int = 50013) -> None:
    if channel.allowed() & permission != permission:
        raise Refusal(403, code, "Missing Permissions")
