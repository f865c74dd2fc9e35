"""A surface that does what a test says: our own seam, so no platform is imitated here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bot.errors import PreviewUnsupported, SurfaceError, SurfaceUnavailable
from bot.models import Segment
from bot.reply.render import markdown
from bot.reply.surface import Anchor, Content, Limits, RateLimitInfo, Receipt, Search
from bot.storage.segments import SegmentStore

PLAIN = Limits(text=2000, caption=2000, files=10, interval=0.0, moods=True, rate=1e9)


@dataclass
class ScriptedSurface:
    """Keeps messages in a dictionary; `faults` are raised by the next calls, one each.

    A fault given as `(error, True)` is raised after the request took effect, like an answer that
    was lost on the way.
    """

    limits: Limits = PLAIN
    faults: deque[SurfaceError | tuple[SurfaceError, bool] | None] = field(default_factory=deque)
    messages: dict[str, Content] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    drafts: list[Content] = field(default_factory=list)
    in_flight: int = 0
    gate: asyncio.Event | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    rate_limit_info: RateLimitInfo | None = None
    searches: list[Search] = field(default_factory=list)
    finds: bool = False
    cut_off_at: deque[Anchor] = field(default_factory=deque)

    def measure(self, text: str) -> int:
        return len(text)

    def anchor(self) -> Anchor:
        return {"after": len(self.messages)}

    async def find(self, search: Search) -> Receipt | None:
        """The message with this nonce, if the test wants a surface without idempotent creates.

        The first searches get no further than `cut_off_at`.
        """
        self.searches.append(search)
        await search.acquire()
        if self.cut_off_at:
            await search.leave(self.cut_off_at.popleft())
            async with self._changed:
                self._changed.notify_all()
            raise SurfaceUnavailable("cut off")
        there = self.finds and search.nonce in self.messages and not await search.is_known("?")
        return {"ids": [search.nonce]} if there else None

    async def create(self, content: Content, nonce: str) -> Receipt:
        async with _Call(self, "create", markdown(content)) as effect:
            effect(lambda: self.messages.__setitem__(nonce, content))
        return {"ids": [nonce]}

    async def edit(self, receipt: Receipt, content: Content) -> None:
        async with _Call(self, "edit", markdown(content)) as effect:
            assert receipt["ids"][0] in self.messages
            effect(lambda: self.messages.__setitem__(receipt["ids"][0], content))

    async def delete(self, receipt: Receipt) -> None:
        async with _Call(self, "delete", "") as effect:
            effect(lambda: self.messages.pop(receipt["ids"][0], None))

    async def preview(self, content: Content) -> None:
        try:
            async with _Call(self, "preview", markdown(content)) as effect:
                effect(lambda: self.drafts.append(content))
        except PreviewUnsupported:
            self.limits = replace(self.limits, previews=False)
            raise

    async def until(self, condition: Callable[[ScriptedSurface], bool]) -> None:
        """Wait until `condition` holds; five seconds at most."""
        async with asyncio.timeout(50), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    @property
    def texts(self) -> list[str]:
        return [markdown(content) for content in self.messages.values()]


class _Call:
    """One request: never two at a time, and faults as scripted."""

    def __init__(self, surface: ScriptedSurface, kind: str, text: str) -> None:
        self._surface = surface
        self._kind = kind
        self._text = text
        self._effects: list[Callable[[], object]] = []

    async def __aenter__(self) -> Callable[[Callable[[], object]], None]:
        surface = self._surface
        assert not surface.in_flight, "one request in flight"
        surface.in_flight += 1
        if surface.gate is not None:
            await surface.gate.wait()
        return self._effects.append

    async def __aexit__(self, *failure: object) -> None:
        surface = self._surface
        surface.in_flight -= 1
        fault = surface.faults.popleft() if surface.faults else None
        error, stored = fault if isinstance(fault, tuple) else (fault, False)
        if error is None or stored:
            for effect in self._effects:
                effect()
        surface.requests.append((self._kind, self._text))
        async with surface._changed:
            surface._changed.notify_all()
        if error is not None:
            raise error


class MemorySegments(SegmentStore):
    """Keeps acknowledgements as storage does, in memory."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Segment] = {}

    async def of_turn(self, turn_id: str) -> Sequence[Segment]:
        return [self.rows[key] for key in sorted(self.rows) if key[0] == turn_id]

    async def save(self, turn_id: str, index: int, segment: Segment) -> None:
        self.rows[turn_id, index] = segment

    async def delete(self, turn_id: str, index: int) -> None:
        self.rows.pop((turn_id, index), None)

    async def is_reply(self, turn_id: str, message_id: str) -> bool:
        del turn_id
        return any(message_id in each.receipt["ids"] for each in self.rows.values() if each.receipt)
