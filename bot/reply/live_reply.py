"""A live reply: what it should show, what the platform acknowledged, and one task between them.

Setting the desired state never waits. The task brings the acknowledged state after it, one request
in flight, at the pace of the chat. Intermediate states may be skipped; the final one is owed: it is
repeated until acknowledged, through flood waits and outages, and over restarts from the segments
that are stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

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
from bot.models import Ahead, Answer
from bot.provider.responses import Preview, Response
from bot.reply.messages import ReplyMessages, Step
from bot.reply.pacing import Urgency
from bot.reply.previews import MakeSheet, Sheets
from bot.reply.rate_limiter import ChatLimiter
from bot.reply.render import Page, Phase, ReplyState, contents, is_countdown
from bot.reply.surface import Content, Limits, Surface
from bot.support import Backoff

if TYPE_CHECKING:
    # It is handed in; importing it would load the database for who shows replies without one.
    from bot.storage.segments import SegmentStore

log = structlog.get_logger(__name__)

_COUNTDOWN_SECONDS = 5.0
"""Between two looks at a status whose estimate counts down."""
_SUSPEND_TIMEOUT_SECONDS = 2.0
"""What the last word before a stop may take."""
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 1.0, 30.0
"""Between two tries while the platform cannot be reached."""

_LAST = (Phase.SUSPENDED, Phase.FINAL, Phase.REMOVED)
"""Phases that nothing follows in this process."""


_LaidOut: TypeAlias = tuple[ReplyState | None, tuple[Limits, int] | None, list[Content]]
"""The messages of a state, as they were when so many stood there under such limits."""


class LiveReply:
    """The reply of one turn. Only `finish`, `remove` and `suspend` wait for the platform.

    Args:
        turn_id: whose reply it is; one that was begun before goes on with its own messages.
        surface: where it shows.
        limiter: of the chat that it shows in.
        store: keeps what was acknowledged, over restarts.
        words: the language that it is in.
        on_lost: called once when the reply can never be finished: deleted, forbidden, refused.
        make_sheet: for chats that show previews as one sheet; without it those show none.

    Attributes:
        limits: of the surface.

    Use `open` to begin or to go on, and always `aclose` at the end.
    """

    def __init__(  # noqa: PLR0913 - the last is for some chats only
        self,
        turn_id: str,
        surface: Surface,
        limiter: ChatLimiter,
        store: SegmentStore,
        *,
        words: Words,
        on_lost: Callable[[SurfaceError], None],
        make_sheet: MakeSheet | None = None,
    ) -> None:
        self._turn_id = turn_id
        self._surface = surface
        self._limiter = limiter
        self._clock = limiter.clock
        self._words = words
        self._on_lost = on_lost
        self._state = ReplyState()
        self._laid_out: _LaidOut = (None, None, [])
        self._messages = ReplyMessages(
            turn_id,
            surface,
            store,
            creations=limiter.creations,
            clock=limiter.clock,
            acquire=lambda: self._acquire(Urgency.FINAL),
        )
        self._began = limiter.clock()
        self._left = self._began
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._lost: SurfaceError | None = None
        self._task: asyncio.Task[None] | None = None
        self._pacing: asyncio.Timeout | None = None
        self._sheets: Sheets | None = None
        self._sheet_at = float("-inf")
        if make_sheet is not None and self.limits.preview_seconds:
            self._sheets = Sheets(
                make_sheet,
                seconds=self.limits.preview_seconds,
                clock=self._clock,
                show=lambda sheet: self._desire(self._state.with_previews([sheet])),
            )

    @property
    def limits(self) -> Limits:
        return self._surface.limits

    async def open(self, *, begun: bool = True) -> None:
        """Start showing the state.

        Args:
            begun: some of it may be there already, from an earlier process.

        Raises:
            StorageError: the database cannot be used.
        """
        if begun:
            await self._messages.load()
        self._changed.set()
        self._task = asyncio.create_task(self._run(), name=f"reply {self._turn_id}")

    def show(self, response: Response) -> None:
        """Take the newest response in. What is shown catches up by itself."""
        if not isinstance(response, Preview):
            self._desire(self._state.with_response(response, self._clock()))
        elif self._sheets is not None:
            if self._state.phase is not Phase.WORKING:
                self._desire(replace(self._state, phase=Phase.WORKING))
            self._sheets.offer(response.images)
        elif self.limits.preview_seconds == 0:
            self._desire(self._state.with_response(response, self._clock()))

    def waiting(self, ahead: Ahead) -> None:
        """Say what comes before this turn in the bot's own queues."""
        self._desire(replace(self._state, phase=Phase.WAITING, ahead=ahead))

    def parked(self, seconds: float) -> None:
        """Say that the turn waits this long for a Space's quota, and goes on by itself."""
        until = self._clock() + seconds
        self._desire(replace(self._state, phase=Phase.PARKED, parked_until=until))

    def restart(self) -> None:
        """Show nothing of what came so far: the request was edited, and is begun again."""
        self._desire(ReplyState())

    def resumed(self) -> None:
        """Say that the bot was restarted and the turn goes on."""
        self._desire(replace(self._state, resumed=True))

    async def finish(self, answer: Answer, files: Sequence[File]) -> None:
        """Show the final state and return when the platform has acknowledged all of it.

        Args:
            answer: what is owed.
            files: pictures of the answer that are still there, in order.

        Raises:
            SurfaceError: it can never be shown there: gone, forbidden or refused.
            StorageError: the database cannot be used.

        Cancelling: what was acknowledged is stored; a later reply for the same turn goes on there.
        """
        self._desire(
            replace(
                self._state, phase=Phase.FINAL, answer=answer, files=tuple(files), resumed=False
            )
        )
        await self._settled.wait()
        if self._lost is not None:
            raise self._lost
        if self._task is not None and self._task.done():
            self._task.result()  # a fault that is nobody's message: raise it where it is seen

    async def remove(self) -> None:
        """Remove all of it; returns when the platform has acknowledged that, or never can."""
        self._desire(ReplyState(phase=Phase.REMOVED))
        await self._settled.wait()

    async def suspend(self) -> None:
        """Say that the bot stops now and goes on later; give up after a moment."""
        if self._state.phase not in _LAST:
            self._desire(replace(self._state, phase=Phase.SUSPENDED, text=""))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SUSPEND_TIMEOUT_SECONDS):
                    await self._settled.wait()

    async def aclose(self) -> None:
        """Stop editing. Idempotent."""
        if self._sheets is not None:
            await self._sheets.aclose()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)  # finish raised its fault

    def _desire(self, state: ReplyState) -> None:
        self._state = state
        self._changed.set()
        if self._sheets is not None and state.phase is not Phase.WORKING:
            self._sheets.stop()
        if state.phase in _LAST and self._pacing is not None:
            self._pacing.reschedule(0.0)  # what is owed does not wait as progress does
            self._pacing = None
        if self._task is None or not self._task.done():
            self._settled.clear()

    async def _run(self) -> None:
        """Bring the channel after the desired state until cancelled or lost."""
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS)
        try:
            while self._lost is None:
                owed = self._state.phase in _LAST
                if self._next_step() is None:
                    if owed:
                        self._settled.set()
                    # Until there is a new state, or the one there looks different by itself.
                    self._changed.clear()
                    pause = min(_COUNTDOWN_SECONDS, self._held() or _COUNTDOWN_SECONDS)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(None if owed else pause):
                            await self._changed.wait()
                    continue
                later = Urgency.PROGRESS if self._messages.begun else Urgency.FIRST
                if await self._acquire(Urgency.FINAL if owed else later):
                    step = self._next_step()  # the newest state, after the wait
                    if step is not None:
                        await self._perform(step, backoff)
        finally:
            self._settled.set()  # nobody waits for a task that ended

    async def _perform(self, step: Step, backoff: Backoff) -> None:
        """Make one request; whether it is tried again is decided by the next look at the state."""
        try:
            await self._messages.perform(step)
        except RateLimited as error:
            log.warning("rate limited", retry_after=error.retry_after)
            self._limiter.refused(error.retry_after)
        except PreviewUnsupported:
            log.info("drafts are not possible here; editing instead")
        except (SurfaceUnavailable, DeliveryUnknown) as error:
            pause = backoff.next()
            log.warning("delivery delayed", reason=str(error), next_try=pause)
            await self._sleep(pause)
        except SurfaceError as error:
            refused = step.content is not None and step.content.previews
            if refused and not isinstance(error, MessageGone):
                log.info("no previews here", reason=str(error))
                await self._stop_previews()
                return
            level = log.info if isinstance(error, MessageGone) else log.warning
            level("reply lost", reason=str(error), kind=type(error).__name__)
            self._lost = error
            self._settled.set()
            self._on_lost(error)
        else:
            backoff.reset()
            if step.content is not None and step.content.previews:
                self._sheet_at = self._clock()
            self._limiter.answered(self._left, self._surface.rate_limit_info)

    async def _acquire(self, urgency: Urgency) -> bool:
        """Wait until a request may leave; false if what is owed came meanwhile, and waits less."""
        age = self._clock() - self._began
        try:
            async with asyncio.timeout(None) as pacing:
                self._pacing = pacing if urgency is Urgency.PROGRESS else None
                self._left = await self._limiter.acquire(urgency, self._surface.limits, age)
        except TimeoutError:
            return False
        finally:
            self._pacing = None
        return True

    async def _sleep(self, seconds: float) -> None:
        """Pause, but if nothing is owed yet no longer than until something is."""
        owed = self._state.phase in _LAST
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds) as pacing:
                self._pacing = None if owed else pacing
                await asyncio.Event().wait()
        self._pacing = None

    async def _stop_previews(self) -> None:
        """Show none any more: what must be shown is more important than what may be."""
        if self._sheets is not None:
            await self._sheets.aclose()
            self._sheets = None
        self._desire(self._state.with_previews(()))

    def _held(self) -> float:
        """Seconds for which a message with a sheet stays as it is; 0.0 if it need not."""
        shown, state = self._laid_out[0], self._state
        if self._sheets is None or shown is None or not (shown.previews and state.previews):
            return 0.0
        if not (shown.phase is state.phase is Phase.WORKING):
            return 0.0
        return max(0.0, self._sheet_at + (self.limits.preview_seconds or 0.0) - self._clock())

    def _next_step(self) -> Step | None:
        """The first difference between the desired state and what stands there.

        A state is rendered and split once; a status depends on the time as well, and costs little.
        """
        state, limits, messages = self._state, self._surface.limits, self._messages
        look = (limits, len(messages.segments))
        if self._held():
            return messages.next_step(self._laid_out[2])
        if is_countdown(state) or self._laid_out[0] is not state or self._laid_out[1] != look:
            page = Page(limits, self._surface.measure, self._words, messages.begins_with)
            wanted = contents(state, page, self._clock(), self._turn_id)
            self._laid_out = (state, look, wanted)
        drafting = limits.previews and state.phase not in (Phase.FINAL, Phase.REMOVED)
        return messages.next_step(self._laid_out[2], drafting=drafting)
