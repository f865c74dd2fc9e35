"""A Discord on one port: REST, gateway and file server, for the real discord.py client.

It keeps what it is told, speaks the documented protocol, and refuses what Discord refuses: a wrong
token, long or empty messages, a second or late answer to an interaction, a dead interaction token,
missing permissions. A test plays the people and reads the channels.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self, TypeAlias

from aiohttp import web

from tests.servers.discord_components import V2, may_ping, text_of
from tests.servers.discord_gateway import Gateway, Session, is_for
from tests.servers.discord_rest import Call, Handler, Rest, answer, read_call
from tests.servers.discord_world import (
    DM_CHANNEL,
    EVERYTHING,
    LOADING,
    THREAD,
    Channel,
    Guild,
    Interaction,
    Json,
    Refusal,
    User,
    mentioned,
    new_message,
    now,
    snowflake,
)

TOKEN = "MTA.test.token"
CONTENT_FLAG = 1 << 18
Upload: TypeAlias = tuple[str, bytes]
"""File name and bytes."""


@dataclass
class _Fault:
    """What happens to coming requests instead of, or after, what they ask for."""

    method: str
    pattern: re.Pattern[str]
    times: int
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    drop: bool = False
    gate: asyncio.Event | None = None


class DiscordServer:
    """Use as an async context manager; `api_url` and `gateway_url` are for the client.

    Args:
        message_content: the application has the message content intent.

    Attributes:
        requests: every request in order.
        refused: those that came too fast.
        shards: how many Discord advises.
        sessions_left: session starts that Discord still takes today.
        limits: requests and seconds per bucket, sent as headers and enforced; `None` for none.
        overall: requests and seconds for the whole bot, enforced; `None` for none.
        answer_within: seconds for the first answer to an interaction.
        token_life: seconds for which an interaction's token works.
        create_delay: seconds between storing a channel message and answering.
    """

    def __init__(self, *, message_content: bool = True) -> None:
        self.bot = User("Janus", bot=True)
        self.application_id = snowflake()
        self.message_content = message_content
        self.people: list[User] = []
        self.guilds: list[Guild] = []
        self.channels: dict[str, Channel] = {}
        self.interactions: dict[str, Interaction] = {}
        self.requests: list[Call] = []
        self.refused: list[Call] = []
        self.limits: tuple[int, float] | None = None
        self.overall: tuple[int, float] | None = None
        self.shards = 1
        self.sessions_left = 999
        self.answer_within = 3.0
        self.token_life = 900.0
        self.create_delay = 0.0
        self.rest = Rest(self)
        self.gateway = Gateway(TOKEN, self._welcome, self.touch)
        self.gateway.privileged = (1 << 15) if message_content else 0
        self.url = ""
        self._buckets: dict[str, tuple[float, int]] = {}
        self._recent: deque[float] = deque()
        self._closed: dict[str, float] = {}
        self._faults: list[_Fault] = []
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/v10"

    @property
    def gateway_url(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/gateway"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        for fault in self._faults:
            if fault.gate is not None:
                fault.gate.set()
        await self.stop()

    async def start(self) -> None:
        """Listen on a free port, or on the same one again after `stop`."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get("/cdn/{path:.*}", self._download)
        for method, path, handler in self.rest.routes():
            app.router.add_route(method, "/api/v10" + path, self._wrapped(handler))
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        host, self._port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{self._port}"

    async def stop(self) -> None:
        """Close all connections without a goodbye. What the server knows stays."""
        await self.gateway.drop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- who and where ---------------------------------------------------------------------

    def person(self, name: str) -> User:
        user = User(name)
        self.people.append(user)
        return user

    def person_by_id(self, user_id: str) -> User:
        return next(user for user in self.people if user.id == user_id)

    def guild(self, name: str = "Home", permissions: int = EVERYTHING) -> Guild:
        """A server that the bot is in. Set it up before the client connects."""
        guild = Guild(name, permissions)
        self.guilds.append(guild)
        return guild

    def channel(self, guild: Guild, name: str = "general", denied: int = 0) -> Channel:
        return self._add(Channel(name, guild=guild, denied=denied))

    def thread(self, parent: Channel, name: str = "thread", denied: int = 0) -> Channel:
        return self._add(Channel(name, THREAD, parent.guild, parent, denied=denied))

    def dm(self, user: User) -> Channel:
        for channel in self.channels.values():
            if channel.recipient is user:
                return channel
        return self._add(Channel(user.name, DM_CHANNEL, recipient=user))

    def _add(self, channel: Channel) -> Channel:
        self.channels[channel.id] = channel
        if channel.guild is not None:
            channel.guild.channels.append(channel)
        return channel

    # --- what people do --------------------------------------------------------------------

    async def says(
        self,
        user: User,
        channel: Channel,
        text: str,
        files: Sequence[Upload] = (),
        reply_to: str | None = None,
        **fields: Any,
    ) -> str:
        """A person writes; `<@id>` in the text mentions. Returns the message's id."""
        message = new_message(channel, user, text) | fields
        message["mentions"] = mentioned(text, [self.bot, *self.people])
        message["attachments"] = [self.rest.store(channel, *file) for file in files]
        if reply_to is not None:
            reference = {"type": 0, "message_id": reply_to, "channel_id": channel.id}
            message |= {"type": 19, "message_reference": reference}
            message["referenced_message"] = channel.messages.get(reply_to)
        channel.messages[message["id"]] = message
        await self.announce("MESSAGE_CREATE", channel, message, user)
        return str(message["id"])

    async def runs(
        self,
        user: User,
        channel: Channel,
        name: str,
        files: dict[str, Upload] | None = None,
        /,
        **options: str | float,
    ) -> Interaction:
        """A person gives a slash command, with options and attachments."""
        kinds = {str: 3, int: 4, bool: 5, float: 10}
        given: list[Json] = [
            {"name": key, "type": kinds[type(value)], "value": value}
            for key, value in options.items()
        ]
        attachments = {}
        for key, file in (files or {}).items():
            stored = self.rest.store(channel, *file)
            attachments[stored["id"]] = stored
            given.append({"name": key, "type": 11, "value": stored["id"]})
        data = {"name": name, "type": 1, "options": given}
        return await self.interact(user, channel, data, {"attachments": attachments})

    async def picks(self, user: User, channel: Channel, name: str, message_id: str) -> Interaction:
        """A person picks a context menu entry of a message."""
        resolved = {"messages": {message_id: channel.messages[message_id]}}
        return await self.interact(
            user, channel, {"name": name, "type": 3, "target_id": message_id}, resolved
        )

    async def interact(
        self, user: User, channel: Channel, data: Json, resolved: Json, **fields: Any
    ) -> Interaction:
        """Deliver an interaction; `fields` override what it says about its circumstances."""
        number = fields.get("id") or snowflake()
        shown = (fields.get("message") or {}).get("id")
        kind = fields.get("type", 2)
        one = Interaction(channel, user, time.monotonic(), kind, shown, id=number)
        self.interactions[one.id] = one
        payload: Json = {
            "id": one.id,
            "application_id": self.application_id,
            "type": 2,
            "token": one.token,
            "version": 1,
            "data": {"id": snowflake(), "resolved": resolved, **data},
            "channel": channel.payload(self.bot),
            "channel_id": channel.id,
            "app_permissions": str(channel.allowed()),
            "attachment_size_limit": 10 * 2**20,
            "entitlements": [],
            "locale": "de",
            "context": 0 if channel.guild else 1,
        }
        if channel.guild is None:
            payload |= {"user": user.payload(), "authorizing_integration_owners": {"0": "0"}}
        else:
            rights = str(EVERYTHING | user.rights)
            member = {"user": user.payload(), "permissions": rights, **user.member()}
            payload |= {"guild_id": channel.guild.id, "member": member}
            payload["authorizing_integration_owners"] = {"0": channel.guild.id}
        await self.gateway.dispatch("INTERACTION_CREATE", payload | fields)
        return one

    async def changes(self, user: User, channel: Channel, message_id: str, text: str) -> None:
        """A person edits a message of theirs."""
        message = channel.messages[message_id]
        message |= {"content": text, "mentions": mentioned(text, [self.bot, *self.people])}
        message["edited_timestamp"] = now()
        await self.announce("MESSAGE_UPDATE", channel, message, user)

    async def remove(self, channel: Channel, message_id: str) -> None:
        """A message is deleted, by whomever."""
        del channel.messages[message_id]
        data = {"id": message_id, "channel_id": channel.id}
        if channel.guild is not None:
            data["guild_id"] = channel.guild.id
        await self.gateway.dispatch("MESSAGE_DELETE", data)
        self.touch()

    async def announce(
        self, event: str, channel: Channel, message: Json, user: User | None = None
    ) -> None:
        """Send a message event; without the intent its content is not for the bot."""
        author = user or self.bot
        data = dict(message)
        if channel.guild is not None:
            data |= {"guild_id": channel.guild.id, "member": author.member()}
        for_bot = channel.guild is None or author is self.bot
        for_bot |= self.bot.id in [one["id"] for one in message["mentions"]]

        def seen(session: Session) -> Json:
            if for_bot or session.intents & (1 << 15):
                return data
            return data | {"content": "", "attachments": [], "embeds": []}

        await self.gateway.dispatch(event, data, seen)
        self.touch()

    # --- trouble ---------------------------------------------------------------------------

    def fail_next(
        self,
        method: str,
        pattern: str,
        status: int,
        code: int = 0,
        *,
        times: int = 1,
        after: bool = False,
        headers: dict[str, str] | None = None,
        **body: Any,
    ) -> None:
        """Answer coming requests whose path contains `pattern` (a regex) with an error.

        With `after` the request is carried out all the same.
        """
        content = {"message": "scripted", "code": code, **body}
        self._faults.append(
            _Fault(method, re.compile(pattern), times, status, content, headers or {}, after=after)
        )

    def drop_next(self, method: str, pattern: str, *, after: bool, times: int = 1) -> None:
        """Cut the connection before or after the next such requests are carried out."""
        self._faults.append(_Fault(method, re.compile(pattern), times, after=after, drop=True))

    def penalise(self, channel: Channel, seconds: float) -> None:
        """Refuse everything in a channel for a while; only with `limits`."""
        if self.limits is None:
            raise ValueError("this server has no limits")
        self._closed[channel.id] = time.monotonic() + seconds

    def hold(self, method: str, pattern: str) -> asyncio.Event:
        """Keep the next such request waiting until the event that is returned is set."""
        gate = asyncio.Event()
        self._faults.append(_Fault(method, re.compile(pattern), 1, gate=gate))
        return gate

    # --- looking ---------------------------------------------------------------------------

    def messages(self, channel: Channel) -> list[Json]:
        """What the channel shows, oldest first; nothing that still says "thinking".

        As people read it: the text of components is under `content` too.
        """
        shown = [one for one in channel.messages.values() if not one["flags"] & LOADING]
        return [one | {"content": text_of(one)} if one["flags"] & V2 else one for one in shown]

    @property
    def pinging(self) -> list[Call]:
        """Requests that carried text and did not say that nobody is to be pinged."""
        return [call for call in self.requests if may_ping(call.body)]

    def calls(self, method: str, pattern: str) -> list[Call]:
        """Requests by method and path (a regex), in order."""
        wanted = re.compile(pattern)
        return [one for one in self.requests if one.method == method and wanted.search(one.path)]

    async def wait_for(self, predicate: Callable[[], object], seconds: float = 50.0) -> None:
        """Return when a condition holds; it is looked at after everything that happens here."""
        async with asyncio.timeout(seconds):
            while not predicate():
                await self._changed.wait()

    def touch(self) -> None:
        """Something happened: wake who waits."""
        self._changed.set()
        self._changed = asyncio.Event()

    def application(self) -> Json:
        return {
            "id": self.application_id,
            "name": "Janus",
            "description": "",
            "icon": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": User("Owner").payload(),
            "verify_key": "00",
            "flags": CONTENT_FLAG if self.message_content else 0,
        }

    # --- the wire --------------------------------------------------------------------------

    def _welcome(self, session: Session) -> list[tuple[str, Json]]:
        here = [guild for guild in self.guilds if is_for(session, guild.id)]
        ready: Json = {
            "v": 10,
            "user": self.bot.payload(),
            "shard": list(session.shard),
            "guilds": [{"id": guild.id, "unavailable": True} for guild in here],
            "session_id": session.id,
            "application": {"id": self.application_id, "flags": 0},
        }
        created = [("GUILD_CREATE", guild.payload(self.bot)) for guild in here]
        return [("READY", ready), *created]

    async def _download(self, request: web.Request) -> web.Response:
        self.requests.append(Call("GET", request.path))
        if self._fault("GET", request.path) is not None:
            return web.Response(status=503)
        if request.path not in self.rest.cdn:
            return web.Response(status=404)
        data, media_type = self.rest.cdn[request.path]
        return web.Response(body=data, content_type=media_type)

    def _wrapped(self, handler: Handler) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                call = await read_call(request)
                self.requests.append(call)
                self.touch()
                response = await self._answer(handler, call, request)
            except Refusal as error:
                response = answer(error.body, status=error.status, headers=error.headers)
            self._add_limits(request, response)
            self.touch()
            return response

        return handle

    async def _answer(
        self, handler: Handler, call: Call, request: web.Request
    ) -> web.StreamResponse:
        open_routes = ("/webhooks/", "/interactions/")
        if not call.path.startswith(open_routes):
            if request.headers.get("Authorization") != f"Bot {TOKEN}":
                raise Refusal(401, 0, "401: Unauthorized")
            self._count_overall(call)
            self._count(call, request)
        fault = self._fault(call.method, call.path)
        if fault is None:
            response = await handler(call, request)
            if self.create_delay and call.method == "POST" and call.path.endswith("/messages"):
                self.touch()
                await asyncio.sleep(self.create_delay)
            return response
        if fault.gate is not None:
            await fault.gate.wait()
            return await handler(call, request)
        if fault.after:
            await handler(call, request)
        if fault.drop:
            assert request.transport is not None
            request.transport.abort()
        return answer(fault.body, status=fault.status, headers=fault.headers)

    def _fault(self, method: str, path: str) -> _Fault | None:
        for fault in self._faults:
            if fault.times and fault.method == method and fault.pattern.search(path):
                fault.times -= 1
                return fault
        return None

    def _bucket(self, request: web.Request) -> str:
        resource = request.match_info.route.resource
        return f"{request.method} {resource.canonical if resource else ''}"

    def _count_overall(self, call: Call) -> None:
        """Take one of the requests that the whole bot has."""
        if self.overall is None:
            return
        most, seconds = self.overall
        while self._recent and self._recent[0] <= call.at - seconds:
            self._recent.popleft()
        if len(self._recent) >= most:
            self._refuse(call, self._recent[0] + seconds - call.at, overall=True)
        self._recent.append(call.at)

    def _refuse(self, call: Call, wait: float, *, overall: bool) -> NoReturn:
        self.refused.append(call)
        refusal = Refusal(429, 0, "You are being rate limited.")
        refusal.headers = {"Via": "1.1 google", "Retry-After": f"{wait:.3f}"}
        if overall:
            refusal.headers["X-RateLimit-Global"] = "true"
        refusal.body |= {"retry_after": wait, "global": overall}
        raise refusal

    def _count(self, call: Call, request: web.Request) -> None:
        """Take one of the window's requests, as Discord's fixed windows have them."""
        if self.limits is None:
            return
        closed_for = self._closed.get(request.match_info.get("channel", ""), 0.0) - call.at
        if closed_for > 0:
            self._refuse(call, closed_for, overall=False)
        most, seconds = self.limits
        key = f"{self._bucket(request)} {request.match_info.get('channel')}"
        began, taken = self._buckets.get(key, (call.at, 0))
        if call.at >= began + seconds:
            began, taken = call.at, 0
        if taken >= most:
            self._refuse(call, began + seconds - call.at, overall=False)
        self._buckets[key] = (began, taken + 1)

    def _add_limits(self, request: web.Request, response: web.StreamResponse) -> None:
        key = f"{self._bucket(request)} {request.match_info.get('channel')}"
        if self.limits is None or key not in self._buckets:
            return
        most, seconds = self.limits
        began, taken = self._buckets[key]
        left = max(began + seconds - time.monotonic(), 0)
        response.headers["X-RateLimit-Bucket"] = key.replace(" ", "")
        response.headers["X-RateLimit-Limit"] = str(most)
        response.headers["X-RateLimit-Remaining"] = str(most - taken)
        response.headers["X-RateLimit-Reset-After"] = f"{left:.3f}"
