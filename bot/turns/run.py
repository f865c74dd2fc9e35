"""One turn on its way from accepted to finished.

Two tasks: the outer one opens the reply, stores the answer and delivers it; the inner one makes the
answer: it waits for its turn and drains the provider. Whatever interrupts a turn cancels only the
inner one, so that what it came to is still delivered or kept.
"""

from __future__ import annotations

import asyncio
import enum
import time
from dataclasses import replace

import structlog

from bot.errors import ImageError, ProviderError, StorageError, SurfaceError
from bot.models import Answer, Turn, TurnState
from bot.reply.live_reply import LiveReply
from bot.turns import answers
from bot.turns.attempt import Attempt
from bot.turns.scheduler import QueueEntry, Scheduler
from bot.turns.services import Services

log = structlog.get_logger(__name__)

MAX_AGE_SECONDS = 86_400.0
"""After this a turn that was left unfinished is not taken up again."""
MAX_ATTEMPTS = 5
"""How often the provider is asked: a turn that takes the process down each time must end."""


class _Why(enum.Enum):
    """Why an attempt was cancelled."""

    STOPPED = enum.auto()
    SUSPENDED = enum.auto()
    LOST = enum.auto()
    EDITED = enum.auto()
    WITHDRAWN = enum.auto()


class TurnRun:
    """Carries one turn through.

    Args:
        turn: in any state that is not final.
        entry: its place in the queue of its channel; given up at the end.
        scheduler: gives it a slot at the Spaces.
        services: what to work with.
        resumed: the turn was begun by an earlier process.
    """

    def __init__(
        self,
        turn: Turn,
        entry: QueueEntry,
        scheduler: Scheduler,
        services: Services,
        *,
        resumed: bool = False,
    ) -> None:
        self.turn = turn
        self._entry = entry
        self._scheduler = scheduler
        self._services = services
        self._words = services.settings.catalogue.words()
        self._resumed = resumed
        self._making: asyncio.Task[Answer] | None = None
        self._why: _Why | None = None
        self._lost_to: SurfaceError | None = None
        self._edited: Turn | None = None
        self._settled = asyncio.Event()
        self._settled.set()
        self._reply: LiveReply | None = None
        self._farewell: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Carry the turn to its end, or to where another process can take it up.

        Never raises but when cancelled: this is the task boundary of a turn.

        Cancelling: the turn stays resumable from its row.
        """
        where = {"turn": self.turn.id, "channel": str(self.turn.channel)}
        with structlog.contextvars.bound_contextvars(**where):
            try:
                await self._run()
            except StorageError as error:
                log.error("turn kept for the next start", reason=str(error))  # noqa: TRY400 - no bug, no traceback
            except Exception:
                log.exception("turn broke off; it will be taken up at the next start")
            finally:
                self._settled.set()
                self._entry.leave()

    @property
    def wanted(self) -> Turn:
        """The turn as its person wants it: with an edit that has not been taken up yet."""
        return self._edited or self.turn

    def stop(self) -> bool:
        """Stop because its person wants that. False if there is nothing to stop any more."""
        return self._interrupt(_Why.STOPPED)

    def withdraw(self) -> bool:
        """End without an answer and remove the reply: its person deleted the request."""
        return self._interrupt(_Why.WITHDRAWN)

    def redo(self, edited: Turn) -> bool:
        """Begin again, in the same reply, with an edited request. False if it is too late.

        Args:
            edited: the same turn with what changed: command, attachments, pictures.
        """
        again = self._why is _Why.EDITED and self.turn.answer is None
        if not again and not self._interrupt(_Why.EDITED):
            return False
        self._edited = edited
        self._settled.clear()
        return True

    async def settled(self) -> None:
        """Return when the newest edit is stored, or the run has ended.

        Cancelling: changes nothing.
        """
        await self._settled.wait()

    def suspend(self) -> None:
        """Stop because the process stops."""
        if self._interrupt(_Why.SUSPENDED) and self._reply is not None:
            # Said while the provider hangs up, which can take a moment.
            self._farewell = asyncio.create_task(self._reply.suspend())

    def _interrupt(self, why: _Why) -> bool:
        if self.turn.answer is not None or self._why is not None:
            return False
        self._why = why
        if self._making is not None:
            self._making.cancel()
        return True

    async def _run(self) -> None:
        services, turn = self._services, self.turn
        self._words = await services.settings.words(turn.channel, turn.server, turn.person)
        reply = self._reply = await services.open_reply(
            turn, self._words, self._lost, begun=self._resumed
        )
        try:
            if self._resumed and self.turn.answer is None:
                reply.resumed()
            attempt, answer = await self._answered(reply)
            if answer is None:
                await self._suspended(reply)
                return
            if self.turn.answer is None:
                self.turn = self.turn.to(TurnState.DELIVERING, answer=answer, parked_until=None)
                await services.storage.turns.finish(self.turn, attempt.conversation)
            if self._why is _Why.WITHDRAWN:
                await reply.remove()
                end = TurnState.CANCELLED
            else:
                end = await attempt.deliver(answer)
        finally:
            await reply.aclose()
        self.turn = self.turn.to(end)
        await services.storage.turns.save(self.turn)
        seconds = time.time() - self.turn.accepted_at
        log.info("turn ended", state=end, seconds=round(seconds, 2), attempts=self.turn.attempts)
        services.metrics.turn_ended(self.turn, end, seconds)

    def _lost(self, error: SurfaceError) -> None:
        log.info("reply cannot be finished", reason=str(error))
        self._lost_to = error
        self._interrupt(_Why.LOST)

    async def _answered(self, reply: LiveReply) -> tuple[Attempt, Answer | None]:
        """The last attempt, and what it came to; no answer if the process stops."""
        answer = self.turn.answer or (self._hopeless() if self._resumed else None)
        while True:
            attempt = Attempt(
                self.turn,
                self._entry,
                self._scheduler,
                self._services,
                reply=reply,
                words=self._words,
            )
            if answer is not None:
                return attempt, answer
            making = self._making = asyncio.create_task(attempt.make(), name=f"turn {self.turn.id}")
            if self._why is not None:  # interrupted before it began
                making.cancel()
            try:
                await asyncio.wait([making])
            finally:
                if not making.done():
                    making.cancel()
                    await asyncio.gather(making, return_exceptions=True)
                self.turn = attempt.turn
            if self._why is not _Why.EDITED or self._edited is None:
                return attempt, self._outcome(making, attempt.text)
            if not making.cancelled():
                making.exception()  # it came to an end at the same moment: to the old words
            await self._begin_again(self._edited, reply)

    def _hopeless(self) -> Answer | None:
        """What to say of a turn that should not be tried again; `None` if it should."""
        if time.time() - self.turn.accepted_at > MAX_AGE_SECONDS:
            return answers.too_old(self.turn, self._words)
        if self.turn.attempts >= MAX_ATTEMPTS:
            return answers.given_up(self.turn, self._words)
        return None

    async def _begin_again(self, edited: Turn, reply: LiveReply) -> None:
        self._why = self._edited = None  # whatever comes while this is stored is next
        if self.turn.state in (TurnState.RUNNING, TurnState.PARKED):
            self.turn = self.turn.to(TurnState.QUEUED)
        self.turn = replace(
            self.turn,
            command=edited.command,
            attachments=edited.attachments,
            pictures=edited.pictures,
            seed=edited.seed,
            parked_until=None,
        )
        await self._services.storage.turns.rewrite(self.turn)
        if self._edited is None:
            self._settled.set()
        reply.restart()
        log.info("request edited; begun again")

    def _outcome(self, making: asyncio.Task[Answer], partial: str) -> Answer | None:
        """What an attempt came to; `None` if the process stops."""
        if making.cancelled():
            if self._why is _Why.SUSPENDED:
                return None
            if self._lost_to is not None:
                return answers.lost(self._lost_to, self._words)
            return answers.stopped(partial, self._words)
        error = making.exception()
        if error is None:
            return making.result()
        if isinstance(error, ProviderError | ImageError | StorageError):
            log.info("no answer", kind=type(error).__name__, reason=str(error))
            return answers.failed(self.turn, error, self._words, partial)
        log.error("turn failed", exc_info=error)
        return answers.broken(self.turn, self._words)

    async def _suspended(self, reply: LiveReply) -> None:
        """To where another process can take it up; a parked turn stays parked."""
        log.info("turn suspended", state=self.turn.state)
        if self.turn.state is TurnState.RUNNING:
            self.turn = self.turn.to(TurnState.QUEUED)
            await self._services.storage.turns.save(self.turn)
        await (self._farewell or reply.suspend())
