"""Replies that stream to a surface of a known round trip, and how old what people see is.

All times are those of the running event loop, which may be a `JumpingLoop`.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.errors import RateLimited
from bot.i18n import Catalogue
from bot.models import Address, Answer, TurnState, new_id
from bot.provider.responses import Text
from bot.reply.live_reply import LiveReply
from bot.reply.rate_limiter import RateLimiter
from bot.reply.surface import Content, Limits, Receipt
from tests.scripted_surface import MemorySegments, ScriptedSurface

TRIP = 0.03
"""Seconds that a request takes."""
WORDS = Catalogue().words()
Open = Callable[["Stream"], Awaitable[LiveReply]]
ROUND = 1e-6
"""Seconds for one round of a `JumpingLoop`, so that time passes even for who waits for no time."""


class _Hasty(selectors.DefaultSelector):
    """Lets time pass instead of waiting."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None:
            self.passed += max(timeout, ROUND)
            timeout = 0
        return super().select(timeout)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer: the work itself takes no time.

    What it shows is what was decided, however busy the machine is.
    """

    def __init__(self) -> None:
        self._hasty = _Hasty()
        super().__init__(self._hasty)

    def time(self) -> float:
        """Seconds that were not waited."""
        return self._hasty.passed


def _now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Platform:
    """Counts the requests of the whole bot, and refuses those beyond its limit.

    Attributes:
        most: requests in any second.
        per_chat: requests in any so many seconds in one chat.
        refused: requests that came too fast.
    """

    most: int
    per_chat: tuple[int, float]
    refused: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def admit(self, chat: deque[float], now: float) -> None:
        """Count a request.

        Raises:
            RateLimited: one too many.
        """
        requests, seconds = self.per_chat
        for times, most, window in ((self._recent, self.most, 1.0), (chat, requests, seconds)):
            while times and times[0] <= now - window:
                times.popleft()
            if len(times) >= most:
                self.refused += 1
                raise RateLimited(times[0] + window - now)
        self._recent.append(now)
        chat.append(now)


@dataclass
class TimedSurface(ScriptedSurface):
    """Takes `TRIP` seconds for each request and says what is shown."""

    shown: Callable[[str], None] = lambda _: None
    platform: Platform | None = None
    times: deque[float] = field(default_factory=deque)

    async def create(self, content: Content, nonce: str) -> Receipt:
        await self._travel()
        receipt = await super().create(content, nonce)
        self.shown(content.text)
        return receipt

    async def edit(self, receipt: Receipt, content: Content) -> None:
        await self._travel()
        await super().edit(receipt, content)
        self.shown(content.text)

    async def preview(self, content: Content) -> None:
        await self._travel()
        await super().preview(content)
        self.shown(content.text)

    async def _travel(self) -> None:
        await asyncio.sleep(TRIP / 2)
        if self.platform is not None:
            self.platform.admit(self.times, _now())
        await asyncio.sleep(TRIP / 2)


@dataclass
class Stream:
    """One reply, its text, and how long each piece of it took to be seen.

    Attributes:
        name: of the platform whose budget it shares.
        chat: unique in a run.
        stale: seconds from a piece's arrival until it was shown, and when that was.
        first: seconds from opening the reply until anything was shown; 0.0 before.
        final: seconds from the end of the stream until the final text was acknowledged.
    """

    name: str
    chat: str
    limits: Limits
    platform: Platform | None = None
    stale: list[tuple[float, float]] = field(default_factory=list)
    first: float = 0.0
    final: float = 0.0
    _text: str = ""
    _unseen: deque[tuple[int, float]] = field(default_factory=deque)
    _opened: float = 0.0

    def __post_init__(self) -> None:
        self.surface = TimedSurface(self.limits, shown=self._shown, platform=self.platform)

    async def run(self, open_reply: Open, seconds: float, every: float) -> None:
        """Stream a piece every so often, then finish."""
        self._opened = _now()
        reply = await open_reply(self)
        try:
            # Streams do not march in step.
            await asyncio.sleep(random.uniform(0.0, every))  # noqa: S311 - no secret
            end = _now() + seconds
            while _now() < end:
                self._text += "berry "
                self._unseen.append((len(self._text) - 1, _now()))
                reply.show(Text("berry "))
                await asyncio.sleep(every)
            ended = _now()
            self._unseen.clear()
            await reply.finish(Answer(TurnState.DONE, self._text.strip() + "!"), [])
            self.final = _now() - ended
        finally:
            await reply.aclose()

    def _shown(self, text: str) -> None:
        now = _now()
        self.first = self.first or now - self._opened
        if not text.startswith("berry"):
            return
        while self._unseen and self._unseen[0][0] <= len(text):
            self.stale.append((now, now - self._unseen.popleft()[1]))


def open_replies() -> Open:
    """Opens the live replies of one bot, to the surfaces of streams."""
    rate_limiter, segments = RateLimiter(_now), MemorySegments()

    async def open_reply(stream: Stream) -> LiveReply:
        limiter = rate_limiter.chat(Address(stream.name, stream.chat, {}), stream.limits)
        reply = LiveReply(
            new_id(), stream.surface, limiter, segments, words=WORDS, on_lost=lambda _: None
        )
        await reply.open()
        return reply

    return open_reply


async def lag(values: list[float]) -> None:
    """Note how late this process wakes up, until cancelled."""
    while True:
        begun = _now()
        await asyncio.sleep(TRIP)
        values.append(_now() - begun - TRIP)
