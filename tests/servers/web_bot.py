"""A web adapter with everything behind it scripted: the test decides what is answered, and when."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image, ImageDraw

from bot.actions import Action, Verb
from bot.files import File
from bot.models import Answer, Ask, ChannelKey, Imagine, IncomingMessage, Notice, Turn, TurnState
from bot.platforms.web import WebAdapter
from bot.reply.render import Page, Phase, ReplyState, contents
from bot.reply.surface import Content, Receipt
from bot.turns.commands import Command, Retry
from bot.turns.transcripts import Transcripts
from tests.scripted_dispatcher import RememberingDispatcher

WAIT = 45.0
"""Seconds after which something that should have happened has not."""


def picture(red: int, green: int, blue: int, size: int = 96) -> bytes:
    """A PNG with a hill under a sky of this colour."""
    image = Image.new("RGB", (size, size), (red, green, blue))
    draw = ImageDraw.Draw(image)
    draw.ellipse((size * 0.6, size * 0.1, size * 0.85, size * 0.35), fill=(255, 240, 200))
    draw.ellipse((-size * 0.3, size * 0.6, size * 1.1, size * 1.6), fill=(red // 2, green // 2, 60))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def messages_url(web: WebAdapter, room: str = "room-of-the-test") -> str:
    """Where a page sends messages."""
    return f"{web.url}api/rooms/{room}/messages"


def form(text: str = "hello", files: dict[str, bytes] | None = None, **fields: str) -> Any:
    """A message as a page sends it; `files` by name."""
    data = aiohttp.FormData(default_to_multipart=True)
    data.add_field("text", text)
    for name, value in fields.items():
        data.add_field(name, value)
    for name, content in (files or {}).items():
        data.add_field("file", content, filename=name, content_type="image/png")
    return data


@dataclass
class ScriptedWebBot(RememberingDispatcher, Transcripts):
    """Dispatcher and archive in one, in memory.

    Attributes:
        notice: what is answered to everything that starts no turn.
        error: raised by `handle` instead.
    """

    notice: Notice | None = None
    error: Exception | None = None
    received: list[tuple[IncomingMessage, Command]] = field(default_factory=list)
    commands: asyncio.Queue[Command] = field(default_factory=asyncio.Queue)
    accepted: asyncio.Queue[Turn] = field(default_factory=asyncio.Queue)
    stored: dict[str, Turn] = field(default_factory=dict)
    pictures: dict[str, File] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        """Accept a turn, or answer with the notice; a message twice is one turn."""
        self.received.append((message, command))
        self.commands.put_nowait(command)
        if self.error is not None:
            raise self.error
        if isinstance(command, Retry):
            command = list(self.stored.values())[-1].command
        if not isinstance(command, Ask | Imagine):
            return self.notice
        if message.message_id not in self.stored:
            turn = Turn.accept(message, command)
            self.stored[message.message_id] = turn
            self.accepted.put_nowait(turn)
        return None

    async def press(self, message: IncomingMessage, action: Action) -> Notice | None:
        """Remember it; what asks for another answer begins a turn."""
        notice = await super().press(message, action)
        if notice is None and action.verb in {Verb.RETRY, Verb.AGAIN}:
            for turn in [turn for turn in self.stored.values() if turn.id == action.target]:
                await self.handle(message, turn.command)
        return notice

    async def turns(self, channel: ChannelKey, limit: int) -> Sequence[Turn]:
        """The turns of a room."""
        return [turn for turn in self.stored.values() if turn.channel == channel][-limit:]

    async def removed(self, turns: Sequence[Turn]) -> frozenset[str]:
        """The turns whose replies `remove` took away."""
        return frozenset(turn.id for turn in turns) & self.gone

    async def picture(self, key: str) -> File:
        """A stored picture."""
        return self.pictures[key]

    def keep(self, data: bytes, media_type: str = "image/png") -> str:
        """Store a picture; its key."""
        file = File(data, media_type)
        self.pictures[file.key] = file
        return file.key

    async def next_turn(self) -> Turn:
        """Wait for the next turn."""
        return await asyncio.wait_for(self.accepted.get(), WAIT)

    async def next_command(self) -> Command:
        """Wait for the next command."""
        return await asyncio.wait_for(self.commands.get(), WAIT)

    async def show(self, web: WebAdapter, turn: Turn, content: Content) -> None:
        """Make the reply of a turn show something."""
        surface = web.surface(turn.address)
        receipt = self.receipts.get(turn.message_id)
        if receipt is None:
            self.receipts[turn.message_id] = await surface.create(content, f"{turn.id}-0")
        else:
            await surface.edit(receipt, content)

    async def finish(
        self,
        web: WebAdapter,
        turn: Turn,
        text: str = "",
        pictures: Sequence[bytes] = (),
        outcome: TurnState = TurnState.DONE,
        note: str = "",
    ) -> None:
        """Store an answer, then show it: the order in which the engine does it."""
        keys = tuple(self.keep(data) for data in pictures)
        answer = Answer(outcome, text, keys, note)
        self.stored[turn.message_id] = replace(turn, state=TurnState.DELIVERING, answer=answer)
        files = tuple(
            self.pictures[key].described(f"picture-{number}.png", f"Picture {number}")
            for number, key in enumerate(keys, 1)
        )
        surface = web.surface(turn.address)
        words = self.catalogue.words(turn.person.language)
        (content,) = contents(
            ReplyState(phase=Phase.FINAL, answer=answer, files=files),
            Page(surface.limits, surface.measure, words),
            0.0,
            turn.id,
        )
        await self.show(web, turn, content)

    async def remove(self, web: WebAdapter, turn: Turn) -> None:
        """Take the reply of a turn away."""
        self.gone.add(turn.id)
        await web.surface(turn.address).delete(self.receipts.pop(turn.message_id))


@asynccontextmanager
async def serving(bot: ScriptedWebBot, folder: Path, **settings: Any) -> AsyncIterator[WebAdapter]:
    """A web adapter that is open and serves."""
    connected = {"web": False}
    settings = {
        "health": lambda: connected,
        "metrics": lambda: b"# nothing\n",
        "port": 0,
        **settings,
    }
    web = WebAdapter(transcripts=bot, folder=folder, **settings)
    await web.open()
    ready = asyncio.Event()

    def on_ready(state: bool) -> None:
        connected["web"] = state
        if state:
            ready.set()

    serve = asyncio.create_task(web.serve(bot, on_ready))
    try:
        await asyncio.wait_for(ready.wait(), WAIT)
        yield web
    finally:
        serve.cancel()
        await asyncio.wait([serve])
        await web.close()


@pytest.fixture
def web_bot() -> ScriptedWebBot:
    return ScriptedWebBot()


@pytest.fixture
async def web(web_bot: ScriptedWebBot, tmp_path: Path) -> AsyncIterator[WebAdapter]:
    """The web chat with `web_bot` behind it; its files are in `tmp_path / "files"`."""
    async with serving(web_bot, tmp_path / "files") as adapter:
        yield adapter


@pytest.fixture
async def visitor() -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody who keeps cookies, also those of an IP address, as browsers do."""
    timeout = aiohttp.ClientTimeout(total=WAIT)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as session:
        yield session
