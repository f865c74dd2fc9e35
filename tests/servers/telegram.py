"""A Bot API server on loopback: the real protocol, and the real server's refusals.

    async with TelegramServer() as server:
        ada = server.person("Ada")
        chat = server.private(ada)
        server.say(chat, ada, "Hello")
        await server.wait_for(lambda: server.replies(chat))

Privacy mode is off: everything said in a group reaches the bot. Webhooks may have http addresses on
any port, as with the official server in its local mode.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.servers.telegram_flood import Flood
from tests.servers.telegram_methods import Call, File, Methods, loaded
from tests.servers.telegram_webhook import Hook
from tests.servers.telegram_world import Chat, Json, Refusal, World, entities_of

T = TypeVar("T")

TOKEN = "123456:TEST-secret_token"
_DEFAULT_ALLOWED = ["message", "edited_message", "callback_query", "my_chat_member"]
_CONFLICT = (
    "Conflict: terminated by other getUpdates request; "
    "make sure that only one bot instance is running"
)
_WEBHOOK = (
    "Conflict: can't use getUpdates method while webhook is active; "
    "use deleteWebhook to delete the webhook first"
)


@dataclass
class _Fault:
    """What happens to the next calls of a method."""

    refusal: Refusal | None
    times: int
    stored: bool


class Hold:
    """Requests of one method, kept waiting."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()


class TelegramServer:
    """Serves one bot.

    Args:
        token: the one that is accepted.
        username: of the bot.
        limits: whether flood limits are enforced.
        clock: seconds, for the flood limits.
    """

    def __init__(
        self,
        *,
        token: str = TOKEN,
        username: str = "janus_bot",
        limits: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.token = token
        self.calls: list[Call] = []
        self.refused: list[Call] = []
        """Calls that came too fast."""
        self.by_webhook = False
        """Whether `tests.servers.telegram_support` has bots delivered to, instead of polling."""
        self.unknown: set[str] = set()
        """Methods that this server does not know, in lower case."""
        self.delays: dict[str, float] = {}
        """Seconds between carrying a method out and answering, by its name in lower case."""
        self.world = World(int(token.partition(":")[0]), username)
        self._methods = Methods(self.world)
        self._flood = Flood(clock) if limits else None
        self._updates: list[Json] = []
        self._next_update = 1
        self._allowed = _DEFAULT_ALLOWED
        self._poll = 0
        self._faults: dict[str, list[_Fault]] = {}
        self._holds: dict[str, Hold] = {}
        self._changed = asyncio.Condition()
        self._waking: set[asyncio.Task[None]] = set()
        self.hook = Hook(self._confirm, self._notify)
        self._runner: web.AppRunner | None = None
        self._port = 0

    # Life

    async def start(self) -> None:
        """Listen on a free port, or on the same one again after `stop`."""
        app = web.Application(client_max_size=60_000_000)
        app.router.add_route("*", "/bot{token}/{method}", self._api)
        app.router.add_get("/file/bot{token}/{path:.+}", self._file)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.hook.start(self._updates)

    async def stop(self) -> None:
        """Close all connections. What the server knows stays."""
        await self.hook.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """For `[telegram] api_url`."""
        return f"http://127.0.0.1:{self._port}"

    # What people do

    def person(self, name: str, language: str = "en", **extra: Any) -> Json:
        """A new account."""
        return self.world.person(name, language, **extra)

    def private(self, person: Json) -> Chat:
        """Somebody's private chat with the bot."""
        return self.world.private(person)

    def group(self, title: str = "Friends", *, forum: bool = False) -> Chat:
        """A new group with the bot in it."""
        return self.world.group(title, forum=forum)

    def say(
        self,
        chat: Chat,
        person: Json,
        text: str,
        *,
        topic: int | None = None,
        reply_to: Json | None = None,
        **content: Any,
    ) -> Json:
        """Somebody writes; returns the message, and sends it to the bot."""
        content.setdefault("entities", entities_of(text) or None)
        return self.send(chat, person, text=text, topic=topic, reply_to_message=reply_to, **content)

    def show(
        self,
        chat: Chat,
        person: Json,
        picture: bytes,
        caption: str | None = None,
        **content: Any,
    ) -> Json:
        """Somebody sends a photo."""
        sizes = self.world.photo_sizes(picture)
        return self._show(chat, person, caption, photo=sizes, **content)

    def show_album(
        self, chat: Chat, person: Json, pictures: Sequence[bytes], caption: str | None = None
    ) -> list[Json]:
        """Somebody sends several photos at once; the caption is on the first."""
        group = str(self._next_update)
        return [
            self.show(chat, person, data, None if i else caption, media_group_id=group)
            for i, data in enumerate(pictures)
        ]

    def show_document(
        self,
        chat: Chat,
        person: Json,
        file: File,
        caption: str | None = None,
        *,
        size: int | None = None,
    ) -> Json:
        """Somebody sends a file; `size` may lie about how large it is."""
        document = self.world.document(file.data, file.name, file.media_type, size)
        return self._show(chat, person, caption, document=document)

    def show_sticker(
        self, chat: Chat, person: Json, data: bytes, *, animated: bool = False
    ) -> Json:
        """Somebody sends a sticker."""
        return self.send(chat, person, sticker=self.world.sticker(data, animated=animated))

    def send(self, chat: Chat, person: Json, **content: Any) -> Json:
        """A message with any content; returns it, and sends it to the bot."""
        message = self.world.store(chat, person, **content)
        self.push("message", message)
        return message

    def press(self, person: Json, message: Json, data: str) -> str:
        """Somebody presses a button; returns the id of the query."""
        query = f"query-{len(self.world.presses) + 1}"
        self.world.presses.add(query)
        content = {"id": query, "from": person, "message": message, "data": data}
        self.push("callback_query", {**content, "chat_instance": "1"})
        return query

    def type_inline(self, person: Json, text: str) -> str:
        """Somebody types behind the bot's name in any chat; returns the id of the query."""
        query = f"inline-{len(self.world.inline_queries) + 1}"
        self.world.inline_queries[query] = {}
        self.push("inline_query", {"id": query, "from": person, "query": text, "offset": ""})
        return query

    def choose(self, person: Json, query: str, text: str, result_id: str) -> str | None:
        """Somebody sends a result; returns the id of the message, if the bot is told it."""
        results = self.world.inline_queries[query]["results"]
        result = next(each for each in results if each["id"] == result_id)
        chosen: Json = {"result_id": result_id, "from": person, "query": text}
        message_id = None
        if "reply_markup" in result:  # without a keyboard, Telegram does not say which it is
            message_id = f"message-of-{query}"
            content = result["input_message_content"]
            message = {"text": content["message_text"], "reply_markup": result["reply_markup"]}
            self.world.inline_messages[message_id] = message
            chosen["inline_message_id"] = message_id
        self.push("chosen_inline_result", chosen)
        return message_id

    def edit(self, message: Json, **content: Any) -> None:
        """A person changes a message of theirs."""
        message.update(content, edit_date=message["date"])
        self.push("edited_message", dict(message))

    def delete(self, chat: Chat, message_id: int) -> None:
        """A person deletes a message; the bot is not told."""
        del chat.messages[message_id]

    def push(self, kind: str, content: Any) -> int:
        """Queue an update of any kind; returns its id."""
        update_id = self._next_update
        self._next_update += 1
        if kind in self._allowed:
            self._updates.append({"update_id": update_id, kind: content})
        self.hook.deliver(self._updates)
        self._wake()
        return update_id

    def _show(self, chat: Chat, person: Json, caption: str | None, **content: Any) -> Json:
        found = entities_of(caption or "") or None
        content.setdefault("caption_entities", found)
        return self.send(chat, person, caption=caption, **content)

    # What happened

    def messages(self, chat: Chat) -> list[Json]:
        """What is in a chat."""
        return list(chat.messages.values())

    def replies(self, chat: Chat) -> list[Json]:
        """What the bot wrote there."""
        mine = self.world.me["id"]
        return [
            message
            for message in chat.messages.values()
            if message["from"]["id"] == mine and "forum_topic_created" not in message
        ]

    def called(self, method: str) -> list[Call]:
        """Calls of a method, whatever came of them."""
        return [call for call in self.calls if call.method.lower() == method.lower()]

    @property
    def unconfirmed(self) -> list[int]:
        """Ids of the updates that would be delivered again."""
        return [update["update_id"] for update in self._updates]

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 20.0) -> T:  # noqa: ASYNC109 - a test says how long
        """Wait until a predicate holds; it is asked again after each request."""
        async with asyncio.timeout(timeout), self._changed:
            return await self._changed.wait_for(predicate)

    # Trouble

    def fail_next(
        self,
        method: str,
        status: int,
        description: str,
        *,
        times: int = 1,
        parameters: Json | None = None,
        stored: bool = False,
    ) -> None:
        """Refuse the next calls; with `stored`, only after doing what they ask."""
        fault = _Fault(Refusal(status, description, parameters), times, stored)
        self._faults.setdefault(method.lower(), []).append(fault)

    def drop_next(self, method: str, *, times: int = 1, stored: bool = False) -> None:
        """Close the connection instead of answering."""
        self._faults.setdefault(method.lower(), []).append(_Fault(None, times, stored))

    def penalise(self, chat: Chat, seconds: float) -> None:
        """Close a chat for a while; only with `limits`. Each call meanwhile makes it longer."""
        if self._flood is None:
            raise ValueError("this server has no limits")
        self._flood.penalise(chat.id, seconds)

    @contextmanager
    def hold(self, method: str) -> Iterator[Hold]:
        """Let calls of a method wait, before anything of them is done."""
        hold = self._holds[method.lower()] = Hold()
        try:
            yield hold
        finally:
            del self._holds[method.lower()]
            hold.released.set()

    # The wire

    async def _api(self, request: web.Request) -> web.StreamResponse:
        try:
            self._check(request.match_info["token"])
            call = await _read(request)
            self.calls.append(call)
            result = await self._answer(request, call)
        except Refusal as refusal:
            body: Json = {
                "ok": False,
                "error_code": refusal.status,
                "description": refusal.description,
            }
            if refusal.parameters:
                body["parameters"] = refusal.parameters
            return web.json_response(body, status=refusal.status)
        except ConnectionError:
            # The client went away in the middle of its request; nobody reads this answer.
            return web.Response(status=400)
        finally:
            await self._notify()
        return web.json_response({"ok": True, "result": result})

    def _check(self, token: str) -> None:
        if token != self.token:
            raise Refusal(401, "Unauthorized")

    async def _answer(self, request: web.Request, call: Call) -> Any:
        method = call.method.lower()
        if hold := self._holds.get(method):
            hold.reached.set()
            await hold.released.wait()
        if method in self.unknown:
            raise Refusal(404, "Not Found: method not found")
        fault = self._next_fault(method)
        if fault is not None and not fault.stored:
            self._fail(request, fault)
        if self._flood and (
            wait := self._flood.retry_after(method, int(call.params.get("chat_id", 0)))
        ):
            self.refused.append(call)
            text = f"Too Many Requests: retry after {wait}"
            raise Refusal(429, text, {"retry_after": wait})
        result = await self._do(method, call)
        if fault is not None:
            self._fail(request, fault)
        if method in self.delays:
            await self._notify()
            await asyncio.sleep(self.delays[method])
        return result

    def _next_fault(self, method: str) -> _Fault | None:
        faults = self._faults.get(method)
        if not faults:
            return None
        faults[0].times -= 1
        return faults[0] if faults[0].times else faults.pop(0)

    @staticmethod
    def _fail(request: web.Request, fault: _Fault) -> None:
        if fault.refusal is not None:
            raise fault.refusal
        if request.transport is not None:
            request.transport.close()
        raise Refusal(500, "Internal Server Error: connection dropped")

    async def _do(self, method: str, call: Call) -> Any:
        match method:
            case "getupdates":
                return await self._get_updates(call.params)
            case "setwebhook" | "deletewebhook":
                self.hook.set(call.params if method == "setwebhook" else {})
                self._allowed = call.params.get("allowed_updates") or self._allowed
                self.hook.deliver(self._updates)
                return True
            case "getwebhookinfo":
                return self.hook.info(len(self._updates)) | {"allowed_updates": self._allowed}
            case _:
                return self._methods.find(method)(call)

    async def _get_updates(self, params: Json) -> list[Json]:
        if self.hook.url:
            raise Refusal(409, _WEBHOOK)
        self._poll += 1
        mine = self._poll
        self._allowed = params.get("allowed_updates") or self._allowed
        offset = int(params.get("offset") or 0)
        if offset > 0:
            self._updates[:] = [u for u in self._updates if u["update_id"] >= offset]
        elif offset < 0:
            self._updates[:] = self._updates[offset:]
        await self._notify()
        async with _until(float(params.get("timeout") or 0)), self._changed:
            await self._changed.wait_for(lambda: self._updates or self._poll != mine)
        if self._poll != mine:
            raise Refusal(409, _CONFLICT)
        return self._updates[: int(params.get("limit") or 100)]

    def _confirm(self, update_id: int) -> None:
        """The bot took an update."""
        self._updates[:] = [u for u in self._updates if u["update_id"] != update_id]
        self.hook.deliver(self._updates)
        self._wake()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        stored = next((f for f in self.world.files.values() if f.path == path), None)
        if request.match_info["token"] != self.token or stored is None:
            return web.json_response({"ok": False, "error_code": 404}, status=404)
        return web.Response(body=stored.data, content_type="application/octet-stream")

    def _wake(self) -> None:
        task = asyncio.get_running_loop().create_task(self._notify())
        self._waking.add(task)
        task.add_done_callback(self._waking.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def _until(seconds: float) -> AsyncIterator[None]:
    """Give up after a while, and be content with that."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        return


async def _read(request: web.Request) -> Call:
    form = await request.post()
    params: Json = dict(request.query)
    files: dict[str, File] = {}
    for name, value in form.items():
        if isinstance(value, web.FileField):
            files[name] = File(value.filename, value.file.read(), value.content_type)
        else:
            params[name] = loaded(name, str(value))
    return Call(request.match_info["method"], params, files)
