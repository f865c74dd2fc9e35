"""A live reply: what it should show, what the platform acknowledged, and one task between them.

Setting the desired state never waits. The task brings the acknowledged state after it, one request
in flight, at the pace of the chat. Intermediate states may be skipped; the final one is owed: it is
repeated until acknowledged, through flood waits and outages, and over restarts from what `Ledger`
keeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from bot.errors import (
    DeliveryUnknown,
    MessageGone,
    PreviewUnsupported,
    RateLimited,
    SurfaceError,
    SurfaceUnavailable,
)
from bot.provider.response import Response
from bot.reply.gates import Gate
from bot.reply.pacing import Urgency
from bot.reply.state import Phase, ReplyState
from bot.reply.surface import Content, Receipt, Surface, Upload
from bot.reply.wording import contents
from bot.turn import Answer, Picture

log = structlog.get_logger(__name__)

PREVIEW_REFRESH = 20.0
"""Seconds after which an unchanged draft is sent again; it fades after 30 (facts of Telegram)."""

COUNTDOWN = 5.0
"""Seconds between two looks at a status whose estimate counts down."""

SUSPEND_PATIENCE = 2.0
"""Seconds that the last word before a stop may take."""

MAX_BACKOFF = 30.0


class Ledger(Protocol):
    """Keeps what platforms acknowledged of each reply; implemented by storage."""

    async def segments(self, turn_id: str) -> Sequence[tuple[int, Receipt, str]]:
        """Index, receipt and digest of each acknowledged message, in order."""
        ...

    async def save_segment(self, turn_id: str, index: int, receipt: Receipt, digest: str) -> None:
        """Store that a message shows what `digest` stands for."""
        ...

    async def delete_segment(self, turn_id: str, index: int) -> None:
        """Store that a message is no more."""
        ...


@dataclass(slots=True)
class _Acknowledged:
    """What stands in the channel, as far as the platform said so."""

    segments: list[tuple[Receipt, str]] = field(default_factory=list)
    preview: str = ""
    preview_at: float = float("-inf")


class LiveReply:
    """The reply of one turn.

    Args:
        turn_id: under which `ledger` keeps what was acknowledged.
        surface: where it shows.
        gate: of the chat that it shows in.
        ledger: what survives a restart.
        clock: monotonic seconds, the same as the gate's.
        on_lost: called once when the reply can never be finished: deleted, forbidden, refused.

    Use `open` to begin or to go on, and always `aclose` at the end.
    """

    def __init__(
        self,
        turn_id: str,
        surface: Surface,
        gate: Gate,
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        on_lost: Callable[[SurfaceError], None],
    ) -> None:
        self._turn_id = turn_id
        self._surface = surface
        self._gate = gate
        self._ledger = ledger
        self._clock = clock
        self._on_lost = on_lost
        self._state = ReplyState()
        self._acknowledged = _Acknowledged()
        self._began = clock()
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._lost: SurfaceError | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load what was acknowledged before and start showing the state."""
        rows = await self._ledger.segments(self._turn_id)
        self._acknowledged.segments = [(receipt, digest) for _, receipt, digest in rows]
        self._changed.set()
        self._task = asyncio.create_task(self._run(), name=f"reply {self._turn_id}")

    def show(self, response: Response) -> None:
        """As `bot.turns.ports.Reply.show`."""
        self._desire(self._state.with_response(response, self._clock()))

    def waiting(self, ahead: int, mine: int) -> None:
        """As `bot.turns.ports.Reply.waiting`."""
        self._desire(replace(self._state, phase=Phase.WAITING, ahead=ahead, mine=mine))

    def resumed(self) -> None:
        """As `bot.turns.ports.Reply.resumed`."""
        self._desire(replace(self._state, resumed=True))

    async def finish(self, answer: Answer, pictures: Sequence[Picture]) -> None:
        """As `bot.turns.ports.Reply.finish`."""
        uploads = tuple(
            _upload(self._turn_id, number, picture) for number, picture in enumerate(pictures, 1)
        )
        self._desire(
            replace(self._state, phase=Phase.FINAL, answer=answer, uploads=uploads, resumed=False)
        )
        await self._settled.wait()
        if self._lost is not None:
            raise self._lost
        if self._task is not None and self._task.done():
            self._task.result()  # a fault that is nobody's message: raise it where it is seen

    async def suspend(self) -> None:
        """As `bot.turns.ports.Reply.suspend`."""
        if self._state.phase is not Phase.FINAL:
            self._desire(replace(self._state, phase=Phase.SUSPENDED, text=""))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SUSPEND_PATIENCE):
                    await self._settled.wait()

    async def aclose(self) -> None:
        """As `bot.turns.ports.Reply.aclose`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)  # finish raised its fault

    def _desire(self, state: ReplyState) -> None:
        self._state = state
        self._changed.set()
        if self._task is None or not self._task.done():
            self._settled.clear()

    async def _run(self) -> None:
        try:
            await self._pursue()
        finally:
            self._settled.set()  # nobody waits for a task that ended

    async def _pursue(self) -> None:
        """Bring the channel after the desired state until cancelled or lost."""
        backoff = 1.0
        while True:
            step = self._next_step()
            if step is None:
                await self._rest()
                continue
            urgency = self._urgency()
            await self._gate.pass_through(
                urgency, self._surface.limits, self._clock() - self._began
            )
            step = self._next_step()  # the newest state, after the wait
            if step is None:
                continue
            try:
                await self._perform(*step)
                backoff = 1.0
            except RateLimited as error:
                log.warning("rate limited", retry_after=error.retry_after)
                self._gate.refused(error.retry_after)
            except PreviewUnsupported:
                log.info("drafts are not possible here; editing instead")
            except (SurfaceUnavailable, DeliveryUnknown) as error:
                log.warning("delivery delayed", reason=str(error), again_in=backoff)
                await asyncio.sleep(backoff)
                backoff = min(MAX_BACKOFF, backoff * 2)
            except SurfaceError as error:
                self._lose(error)
                return
            else:
                self._gate.answered()

    def _urgency(self) -> Urgency:
        if self._state.phase in (Phase.FINAL, Phase.SUSPENDED):
            return Urgency.FINAL
        begun = self._acknowledged.segments or self._acknowledged.preview
        return Urgency.PROGRESS if begun else Urgency.FIRST

    async def _rest(self) -> None:
        """Wait for a new state, or until the one there looks different by itself."""
        if self._state.phase in (Phase.FINAL, Phase.SUSPENDED):
            self._settled.set()
        self._changed.clear()
        patience = None
        if self._state.phase in (Phase.WAITING, Phase.WORKING):
            patience = COUNTDOWN
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._changed.wait()

    def _next_step(self) -> tuple[int, Content | None] | None:
        """The first difference between desired and acknowledged.

        Returns:
            Index and content of a message to create or edit (-1: a draft), index and `None` of one
            to delete, or `None` if there is no difference.
        """
        done = self._acknowledged
        limits = self._surface.limits
        wanted = self._wanted(fresh=True)
        if done.segments and done.segments[0][1] != self._digest(wanted[0]):
            # What stands there is not the beginning of this, so it was a placeholder.
            wanted = self._wanted(fresh=False)
        if limits.previews and self._state.phase is not Phase.FINAL and not done.segments:
            stale = self._clock() - done.preview_at > PREVIEW_REFRESH
            if done.preview == self._digest(wanted[-1]) and not stale:
                return None
            return -1, wanted[-1]
        for index, content in enumerate(wanted):
            if index >= len(done.segments) or done.segments[index][1] != self._digest(content):
                return index, content
        if len(done.segments) > len(wanted):
            return len(done.segments) - 1, None
        return None

    def _wanted(self, *, fresh: bool) -> list[Content]:
        surface = self._surface
        return contents(self._state, surface.limits, surface.measure, self._clock(), fresh=fresh)

    async def _perform(self, index: int, content: Content | None) -> None:
        """Make one request and store its acknowledgement."""
        done = self._acknowledged
        if index < 0 and content is not None:
            await self._surface.preview(content)
            done.preview, done.preview_at = self._digest(content), self._clock()
            return
        if content is None:
            await self._surface.delete(done.segments[index][0])
            del done.segments[index]
            await self._ledger.delete_segment(self._turn_id, index)
            return
        if index < len(done.segments):
            receipt = done.segments[index][0]
            await self._surface.edit(receipt, content)
            done.segments[index] = (receipt, self._digest(content))
        else:
            receipt = await self._surface.create(content, f"{self._turn_id}-{index}")
            done.segments.append((receipt, self._digest(content)))
        await self._ledger.save_segment(self._turn_id, index, *done.segments[index])

    def _digest(self, content: Content) -> str:
        """Stands for all that a person can see of `content`."""
        mood = str(content.mood) if self._surface.limits.moods else ""
        parts = (content.text, mood, *(upload.key for upload in content.files))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    def _lose(self, error: SurfaceError) -> None:
        level = log.info if isinstance(error, MessageGone) else log.warning
        level("reply lost", reason=str(error), kind=type(error).__name__)
        self._lost = error
        self._settled.set()
        self._on_lost(error)


_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


def _upload(turn_id: str, number: int, picture: Picture) -> Upload:
    suffix = _SUFFIXES.get(picture.media_type, "bin")
    name = f"janus-{turn_id}-{number}.{suffix}"
    return Upload(name, picture.data, picture.media_type, picture.alt[:1024], picture.key)
