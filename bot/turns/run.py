"""One turn on its way from accepted to finished.

Two tasks: the outer one opens the reply, stores the answer and delivers it; the inner one, the
worker, waits in the lane and drains the provider. Stopping and suspending cancel only the worker,
so that whatever the turn came to is still delivered or kept.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Sequence
from dataclasses import replace

import structlog

from bot.errors import ImageError, MessageGone, ProviderError, SurfaceError
from bot.provider.response import Reasoning, Stage
from bot.turn import Answer, Imagine, Picture, Turn, TurnState
from bot.turns import answers
from bot.turns.answering import Answering
from bot.turns.lanes import Place
from bot.turns.ports import Reply, Tools

log = structlog.get_logger(__name__)


class _Why(enum.Enum):
    """Why a worker was cancelled."""

    STOPPED = enum.auto()
    SUSPENDED = enum.auto()
    LOST = enum.auto()


class _Suspended(Exception):
    """The process stops; the turn stays unfinished on purpose."""


class TurnRun:
    """Carries one turn through.

    Args:
        turn: in any state that is not final.
        place: its place in the lane of its channel; given up at the end.
        tools: what to work with.
        resumed: the turn was begun by an earlier process.
    """

    def __init__(self, turn: Turn, place: Place, tools: Tools, *, resumed: bool = False) -> None:
        self.turn = turn
        self._place = place
        self._tools = tools
        self._resumed = resumed
        self._worker: asyncio.Task[Answer] | None = None
        self._why: _Why | None = None
        self._reply: Reply | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._answering: Answering | None = None

    async def run(self) -> None:
        """Carry the turn to its end, or to where another process can take it up.

        Never raises but when cancelled: this is the task boundary of a turn.

        Cancelling: the turn stays resumable from its row.
        """
        where = {"turn": self.turn.id, "channel": str(self.turn.channel)}
        with structlog.contextvars.bound_contextvars(**where):
            try:
                await self._run()
            except Exception:
                log.exception("turn broke off; it will be taken up at the next start")
            finally:
                self._place.leave()

    def stop(self) -> bool:
        """Stop because its person wants that. False if there is nothing to stop any more."""
        return self._end_worker(_Why.STOPPED)

    def suspend(self) -> None:
        """Stop because the process stops."""
        if self._end_worker(_Why.SUSPENDED) and self._reply is not None:
            # Said while the provider hangs up, which can take a moment.
            self._farewell = asyncio.create_task(self._reply.suspend())

    def _end_worker(self, why: _Why) -> bool:
        if self.turn.answer is not None or self._why is not None:
            return False
        self._why = why
        if self._worker is not None:
            self._worker.cancel()
        return True

    async def _run(self) -> None:
        reply = self._reply = await self._tools.replies.open(self.turn, self._lost)
        try:
            if self._resumed and self.turn.answer is None:
                reply.resumed()
            answer = self.turn.answer
            if answer is None:
                answer = await self._answer(reply)
                self.turn = self.turn.to(TurnState.DELIVERING, answer=answer)
                conversation = self._answering.conversation if self._answering else None
                await self._tools.store.finish(self.turn, conversation)
            await self._deliver(reply, answer)
        except _Suspended:
            log.info("turn suspended", state=self.turn.state)
            await self._save_as(TurnState.QUEUED)
            await (self._farewell or reply.suspend())
        finally:
            await reply.aclose()

    def _lost(self, error: SurfaceError) -> None:
        log.info("reply cannot be finished", reason=str(error))
        self._end_worker(_Why.LOST)

    async def _answer(self, reply: Reply) -> Answer:
        """Let the worker make the answer; whatever ends it becomes one."""
        worker = self._worker = asyncio.create_task(self._work(reply), name=f"turn {self.turn.id}")
        if self._why is not None:  # stopped before it began
            worker.cancel()
        try:
            await asyncio.wait([worker])
        finally:
            if not worker.done():
                worker.cancel()
                await asyncio.gather(worker, return_exceptions=True)
        partial = self._answering.text if self._answering else ""
        if worker.cancelled():
            if self._why is _Why.SUSPENDED:
                raise _Suspended
            return answers.stopped(partial)
        try:
            return worker.result()
        except (ProviderError, ImageError) as error:
            log.info("no answer", kind=type(error).__name__, reason=str(error))
            return answers.failed(self.turn, error, partial)
        except Exception:
            log.exception("turn failed")
            return answers.broken(self.turn)

    async def _work(self, reply: Reply) -> Answer:
        answering = self._answering = Answering(self.turn, self._tools, reply)
        self.turn = replace(self.turn, pictures=await answering.pictures())
        if self.turn.state is TurnState.ACCEPTED:
            await self._save_as(TurnState.QUEUED)
        await self._place.reached(reply.waiting)
        await self._save_as(TurnState.RUNNING, attempts=self.turn.attempts + 1)
        reply.show(Reasoning(Stage.CONNECTING))
        return await answering.answer(self.turn.pictures)

    async def _save_as(self, state: TurnState, **changes: int) -> None:
        if self.turn.state is not state or changes:
            self.turn = self.turn.to(state, **changes)
            await self._tools.store.save(self.turn)

    async def _deliver(self, reply: Reply, answer: Answer) -> None:
        end = answer.outcome
        try:
            await reply.finish(answer, await self._made(answer))
        except MessageGone:
            end = TurnState.CANCELLED
        except SurfaceError as error:
            log.warning("answer could not be delivered", reason=str(error))
            end = TurnState.FAILED
        await self._save_as(end)
        seconds = time.time() - self.turn.accepted_at
        log.info("turn ended", state=end, seconds=round(seconds, 2), attempts=self.turn.attempts)
        self._tools.observer.turn_ended(self.turn, end, seconds)

    async def _made(self, answer: Answer) -> Sequence[Picture]:
        pictures = []
        prompt = self.turn.command.prompt if isinstance(self.turn.command, Imagine) else ""
        for number, key in enumerate(answer.pictures, start=1):
            try:
                data, media_type = await self._tools.pictures.get(key)
            except KeyError:
                log.warning("picture is gone", key=key)
                continue
            alt = f"{prompt} ({number} of {len(answer.pictures)})"
            pictures.append(Picture(key, data, media_type, alt))
        return pictures
