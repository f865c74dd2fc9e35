"""Pictures as files to send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from bot.errors import (
    DeliveryUnknown,
    MessageGone,
    PreviewUnsupported,
    RateLimited,
    SurfaceError,
    SurfaceUnavailable,
)
from bot.files import File
from bot.i18n import Words
from bot.models import Address, Ahead, Answer, Person, Turn
from bot.provider.responses import Response
from bot.reply.messages import Ledger, ReplyMessages, Step
from bot.reply.pacing import Urgency
from bot.reply.rate_limiter import ChatLimiter, RateLimiter
from bot.reply.render import Page, Phase, ReplyState, buttons, contents
from bot.reply.surface import Content, Surface

log = structlog.get_logger(__name__)

COUNTDOWN = 5.0
"""Seconds between two looks at a status whose estimate counts down."""

SUSPEND_PATIENCE = 2.0
"""Seconds that the last word before a stop may take."""

MAX_BACKOFF = 30.0

_LAST = (Phase.SUSPENDED, Phase.FINAL, Phase.REMOVED)
"""Phases that nothing follows in this process."""


class LiveReply:
    """The reply of one turn.

    Args:
        turn_id: under which `ledger` keeps what was acknowledged.
        surface: where it shows.
        gate: of the chat that it shows in.
        ledger: what survives a restart.
        words: the language that it is in.
        on_lost: called once when the reply can never be finished: deleted, forbidden, refused.

    Use `open` to begin or to go on, and always `aclose` at the end.
    """

    def __init__(
        self,
        turn_id: str,
        surface: Surface,
        gate: ChatLimiter,
        ledger: Ledger,
        *,
        words: Words,
        on_lost: Callable[[SurfaceError], None],
    ) -> None:
        self._turn_id = turn_id
        self._surface = surface
        self._gate = gate
        self._clock = gate.clock
        self._words = words
        self._on_lost = on_lost
        self._state = ReplyState()
        self._standing = ReplyMessages(
            turn_id,
            surface,
            ledger,
            creations=gate.creations,
            clock=gate.clock,
            turn=lambda: self._turn(Urgency.FINAL),
        )
        self._began = gate.clock()
        self._left = self._began
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._lost: SurfaceError | None = None
        self._task: asyncio.Task[None] | None = None
        self._patience: asyncio.Timeout | None = None

    async def open(self) -> None:
        """Load what was acknowledged before and start showing the state."""
        await self._standing.load()
        self._changed.set()
        self._task = asyncio.create_task(self._run(), name=f"reply {self._turn_id}")

    def show(self, response: Response) -> None:
        """As `bot.turns.services.Reply.show`."""
        self._desire(self._state.with_response(response, self._clock()))

    def waiting(self, ahead: Ahead) -> None:
        """As `bot.turns.services.Reply.waiting`."""
        self._desire(replace(self._state, phase=Phase.WAITING, ahead=ahead))

    def parked(self, seconds: float) -> None:
        """As `bot.turns.services.Reply.parked`."""
        until = self._clock() + seconds
        self._desire(replace(self._state, phase=Phase.PARKED, parked_until=until))

    def restart(self) -> None:
        """As `bot.turns.services.Reply.restart`."""
        self._desire(ReplyState())

    def resumed(self) -> None:
        """As `bot.turns.services.Reply.resumed`."""
        self._desire(replace(self._state, resumed=True))

    async def finish(self, answer: Answer, files: Sequence[File]) -> None:
        """As `bot.turns.services.Reply.finish`."""
        self._desire(
            replace(
                self._state, phase=Phase.FINAL, answer=answer, uploads=tuple(files), resumed=False
            )
        )
        await self._settled.wait()
        if self._lost is not None:
            raise self._lost
        if self._task is not None and self._task.done():
            self._task.result()  # a fault that is nobody's message: raise it where it is seen

    async def remove(self) -> None:
        """As `bot.turns.services.Reply.remove`."""
        self._desire(ReplyState(phase=Phase.REMOVED))
        await self._settled.wait()

    async def suspend(self) -> None:
        """As `bot.turns.services.Reply.suspend`."""
        if self._state.phase not in _LAST:
            self._desire(replace(self._state, phase=Phase.SUSPENDED, text=""))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SUSPEND_PATIENCE):
                    await self._settled.wait()

    async def aclose(self) -> None:
        """As `bot.turns.services.Reply.aclose`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)  # finish raised its fault

    def _desire(self, state: ReplyState) -> None:
        self._state = state
        self._changed.set()
        if state.phase in _LAST and self._patience is not None:
            self._patience.reschedule(0.0)  # what is owed does not wait as progress does
            self._patience = None
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
            if not await self._turn_unless_last(urgency):
                continue
            step = self._next_step()  # the newest state, after the wait
            if step is None:
                continue
            try:
                await self._standing.perform(step)
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
                self._gate.answered(self._left, self._surface.rate_limit_info)

    async def _turn_unless_last(self, urgency: Urgency) -> bool:
        """Wait as `_turn`; false if what is owed came meanwhile, which waits less."""
        if urgency is not Urgency.PROGRESS:
            await self._turn(urgency)
            return True
        try:
            async with asyncio.timeout(None) as self._patience:
                await self._turn(urgency)
        except TimeoutError:
            return False
        finally:
            self._patience = None
        return True

    async def _turn(self, urgency: Urgency) -> None:
        """Wait until a request may leave."""
        age = self._clock() - self._began
        self._left = await self._gate.pass_through(urgency, self._surface.limits, age)

    def _urgency(self) -> Urgency:
        if self._state.phase in _LAST:
            return Urgency.FINAL
        return Urgency.PROGRESS if self._standing.begun else Urgency.FIRST

    async def _rest(self) -> None:
        """Wait for a new state, or until the one there looks different by itself."""
        if self._state.phase in _LAST:
            self._settled.set()
        self._changed.clear()
        patience = None if self._state.phase in _LAST else COUNTDOWN
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._changed.wait()

    def _next_step(self) -> Step | None:
        """The first difference between the desired state and what stands there."""
        limits, standing = self._surface.limits, self._standing
        wanted = self._wanted(fresh=True)
        if wanted and not standing.begins_with(wanted[0]):
            # What stands there is not the beginning of this, so it was a placeholder.
            wanted = self._wanted(fresh=False)
        drafting = limits.previews and self._state.phase not in (Phase.FINAL, Phase.REMOVED)
        if drafting and not standing.segments:
            return standing.next_preview(wanted[-1])
        return standing.next_step(wanted)

    def _wanted(self, *, fresh: bool) -> list[Content]:
        surface = self._surface
        page = Page(surface.limits, surface.measure, self._words)
        rows = buttons(self._state, self._turn_id, self._words)
        return contents(self._state, page, self._clock(), fresh=fresh, rows=rows)

    def _lose(self, error: SurfaceError) -> None:
        level = log.info if isinstance(error, MessageGone) else log.warning
        level("reply lost", reason=str(error), kind=type(error).__name__)
        self._lost = error
        self._settled.set()
        self._on_lost(error)


class LiveReplies:
    """Implements `bot.turns.services.Replies`.

    Args:
        surface: finds the surface of an address, whichever platform it is on.
        gates: shared by all replies.
        ledger: what survives a restart.
        tell: tells a person something outside any reply; false if there is no way.
    """

    def __init__(
        self,
        surface: Callable[[Address], Surface],
        gates: RateLimiter,
        ledger: Ledger,
        tell: Callable[[Person, str], Awaitable[bool]],
    ) -> None:
        self._surface = surface
        self._gates = gates
        self._ledger = ledger
        self._tell = tell

    async def open(
        self, turn: Turn, words: Words, on_lost: Callable[[SurfaceError], None]
    ) -> LiveReply:
        """As `bot.turns.services.Replies.open`."""
        surface = self._surface(turn.address)
        reply = LiveReply(
            turn.id,
            surface,
            self._gates.gate(turn.address, surface.limits),
            self._ledger,
            words=words,
            on_lost=on_lost,
        )
        await reply.open()
        return reply

    async def tell(self, person: Person, text: str) -> bool:
        """As `bot.turns.services.Replies.tell`."""
        return await self._tell(person, text)
