"""Many replies that stream at once, against platforms that enforce their limits.

Real surfaces, rate limiters and live replies over sockets; only the text comes from a task here
instead of a Space, and acknowledgements are kept in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bot.errors import SurfaceError
from bot.i18n import Catalogue
from bot.models import Address, Answer, TurnState, new_id
from bot.platforms.discord.adapter import DiscordAdapter
from bot.platforms.telegram.adapter import TelegramAdapter
from bot.platforms.telegram.client import TelegramTarget
from bot.provider.responses import Text
from bot.reply.live_reply import LiveReply
from bot.reply.rate_limiter import RateLimiter
from tests.scripted_surface import MemorySegments
from tests.servers import discord_running, telegram_support
from tests.servers.discord import DiscordServer
from tests.servers.discord_components import text_of
from tests.servers.discord_world import Channel, User
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_world import Chat

PIECE = 0.25
"""Seconds between two pieces of a text."""
GLANCE = 0.05
WORDS = Catalogue().words()
STORY = "Foxes hunt mice, beetles and berries at the edge of the wood. "
DISCORD_LIMITS = (5, 5.0)
DISCORD_OVERALL = (50, 1.0)
SHOWN = frozenset({"sendmessage", "editmessagetext", "sendmessagedraft"})


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to stream where.

    Attributes:
        privates: Telegram private chats.
        groups: Telegram groups.
        channels: Discord channels.
        seconds: length of each stream.
        spread: seconds over which the streams begin.
        penalty: seconds for which one chat of each kind is closed in the middle; 0 for none.
    """

    privates: int
    groups: int
    channels: int
    seconds: float
    spread: float
    penalty: float = 0.0


@dataclass(slots=True)
class Stream:
    """One reply and how it went.

    Attributes:
        kind: `"private"`, `"group"` or `"channel"`.
        place: the chat or channel on its server.
        address: of the reply.
        text: all that was streamed.
        ended_at: monotonic time at which the stream ended.
        late: seconds from then until the platform acknowledged the final text.
        closed_until: monotonic end of this chat's penalty; 0.0 if it had none.
        failure: why the reply was lost, if it was.
    """

    kind: str
    place: Chat | Channel
    address: Address
    text: str = ""
    ended_at: float = 0.0
    late: float = 0.0
    closed_until: float = 0.0
    failure: SurfaceError | None = None

    @property
    def overdue(self) -> float:
        """Seconds from when the final text could be shown until it was."""
        return self.late - max(0.0, self.closed_until - self.ended_at)


@dataclass(slots=True)
class Flood:
    """Servers, adapters and the streams on them."""

    plan: Plan
    telegram: TelegramServer
    discord: DiscordServer
    open_reply: Callable[[Address], Awaitable[LiveReply]]
    streams: list[Stream] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    """How late this process woke up, in seconds: what a busy machine adds to everything."""

    @property
    def refused(self) -> int:
        """429s of both platforms."""
        return len(self.telegram.refused) + len(self.discord.refused)

    def shown_text(self, stream: Stream) -> str:
        """What the channel shows of the reply, in one message or, if it is long, in several."""
        if isinstance(stream.place, Chat):
            texts = [str(one["text"]) for one in self.telegram.replies(stream.place)]
        else:
            mine = self.discord.bot.id
            messages = self.discord.messages(stream.place)
            texts = [text_of(one) for one in messages if one["author"]["id"] == mine]
        return " ".join(text.strip() for text in texts)

    def updates(self, stream: Stream) -> int:
        """How often the reply was shown anew."""
        if isinstance(stream.place, Chat):
            return sum(
                call.method.lower() in SHOWN
                and str(call.params.get("chat_id")) == stream.address.chat
                for call in self.telegram.calls
            )
        where = f"/channels/{stream.address.chat}/messages"
        return sum(len(self.discord.calls(method, where)) for method in ("POST", "PATCH"))

    async def run(self) -> None:
        """Stream everywhere."""
        plan = self.plan
        watch = asyncio.create_task(self._watch())
        async with asyncio.TaskGroup() as tasks:
            for number, stream in enumerate(self.streams):
                begin = plan.spread * number / len(self.streams)
                tasks.create_task(self._stream(stream, begin))
            if plan.penalty:
                tasks.create_task(self._penalise(plan.spread + plan.seconds / 2))
        watch.cancel()

    async def _watch(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(GLANCE)
            self.lags.append(time.monotonic() - begun - GLANCE)

    async def _stream(self, stream: Stream, begin: float) -> None:
        await asyncio.sleep(begin)
        reply = await self.open_reply(stream.address)
        try:
            began = time.monotonic()
            while time.monotonic() < began + self.plan.seconds:
                piece = STORY if not stream.text else f"({stream.text.count('(') + 1}) {STORY}"
                stream.text += piece
                reply.show(Text(piece))
                await asyncio.sleep(PIECE)
            stream.text = stream.text.strip()
            stream.ended_at = time.monotonic()
            try:
                await reply.finish(Answer(TurnState.DONE, stream.text), [])
            except SurfaceError as error:
                stream.failure = error
            stream.late = time.monotonic() - stream.ended_at
        finally:
            await reply.aclose()

    async def _penalise(self, after: float) -> None:
        """Close the last chat of each kind."""
        await asyncio.sleep(after)
        for stream in {stream.kind: stream for stream in self.streams}.values():
            stream.closed_until = time.monotonic() + self.plan.penalty
            if isinstance(stream.place, Chat):
                self.telegram.penalise(stream.place, self.plan.penalty)
            else:
                self.discord.penalise(stream.place, self.plan.penalty)


@asynccontextmanager
async def flood(plan: Plan) -> AsyncIterator[Flood]:
    """Servers with limits, and adapters that are logged in; nothing streams yet."""
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(TelegramServer(limits=True))
        discord = await stack.enter_async_context(DiscordServer())
        streams = [*_chats(telegram, plan), *await _channels(discord, plan.channels)]
        speaker = await stack.enter_async_context(telegram_support.opened(telegram))
        writer = discord_running.make(discord)
        await stack.enter_async_context(discord_running.closing(writer))
        await writer.open()
        discord.limits, discord.overall = DISCORD_LIMITS, DISCORD_OVERALL
        adapters: dict[str, TelegramAdapter | DiscordAdapter] = {
            "telegram": speaker,
            "discord": writer,
        }
        rate_limiter, segments = RateLimiter(time.monotonic), MemorySegments()

        async def open_reply(address: Address) -> LiveReply:
            surface = adapters[address.platform].surface(address)
            limiter = rate_limiter.chat(address, surface.limits)
            reply = LiveReply(
                new_id(), surface, limiter, segments, words=WORDS, on_lost=lambda _: None
            )
            await reply.open()
            return reply

        yield Flood(plan, telegram, discord, open_reply, streams)


def _chats(server: TelegramServer, plan: Plan) -> Sequence[Stream]:
    streams = []
    for number in range(plan.privates + plan.groups):
        person = server.person(f"Ann{number}")
        private = number < plan.privates
        chat = server.private(person) if private else server.group(f"Group {number}")
        question = server.say(chat, person, "@janus_bot what do foxes eat?")["message_id"]
        target = TelegramTarget(chat.id, None, question, private, draft_id=question)
        kind = "private" if private else "group"
        streams.append(Stream(kind, chat, target.to_address()))
    return streams


async def _channels(server: DiscordServer, count: int) -> Sequence[Stream]:
    guild = server.guild()
    streams = []
    for number in range(count):
        user: User = server.person(f"Bea{number}")
        channel = server.channel(guild, f"channel-{number}")
        question = await server.says(user, channel, f"<@{server.bot.id}> what do foxes eat?")
        data = {"channel_id": channel.id, "reply_to": question}
        streams.append(Stream("channel", channel, Address("discord", channel.id, data)))
    return streams
