"""Works on the answer of a turn: waits for its turn, asks the provider, waits out a quota."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import structlog

from bot.errors import QuotaExceeded
from bot.language import Words
from bot.provider.response import JsonConversation, Reasoning, Stage
from bot.turn import Answer, Turn, TurnState
from bot.turns.answering import Answering
from bot.turns.lanes import Place
from bot.turns.ports import Reply, Tools
from bot.turns.turnstile import Turnstile

log = structlog.get_logger(__name__)


class Worker:
    """Makes one answer.

    Args:
        turn: what was asked.
        place: its place in the lane of its channel.
        turnstile: lets it ask a Space.
        tools: what to work with.
        words: the language of its person.

    Attributes:
        turn: as it is stored.
    """

    def __init__(
        self, turn: Turn, place: Place, turnstile: Turnstile, tools: Tools, words: Words
    ) -> None:
        self.turn = turn
        self._place = place
        self._turnstile = turnstile
        self._tools = tools
        self._words = words
        self._answering: Answering | None = None

    @property
    def text(self) -> str:
        """What the provider wrote so far."""
        return self._answering.text if self._answering else ""

    @property
    def conversation(self) -> JsonConversation | None:
        """What the provider wants kept for the channel, once it said so."""
        return self._answering.conversation if self._answering else None

    async def work(self, reply: Reply) -> Answer:
        """Wait, ask, and wait again if a quota is used up for a while.

        Args:
            reply: is shown everything as it comes.

        Raises:
            ProviderError: no answer; `text` is what came before.
            ImageError: a picture cannot be used.
            StorageError: the database cannot be used.

        Cancelling: hangs up; the turn is as it was stored last.
        """
        answering = Answering(
            self.turn, self._tools, reply, self._words, heard=self._turnstile.heard
        )
        self._answering = answering
        self.turn = replace(self.turn, pictures=await answering.pictures())
        if self.turn.state is TurnState.ACCEPTED:
            await self._save_as(TurnState.QUEUED)
        while True:
            if self.turn.parked_until is not None:
                await self._sit_out(self.turn.parked_until, reply)
            await self._place.reached(reply.waiting)
            async with self._turnstile.through(self.turn, reply.waiting):
                await self._save_as(TurnState.RUNNING, attempts=self.turn.attempts + 1)
                reply.show(Reasoning(Stage.CONNECTING))
                try:
                    return await answering.answer(self.turn.pictures)
                except QuotaExceeded as error:
                    until = self._worth_waiting_for(error)
                    if until is None:
                        raise
            await self._save_as(TurnState.PARKED, parked_until=until)

    def _worth_waiting_for(self, error: QuotaExceeded) -> float | None:
        """When the quota is there again, if that is known, soon enough, and nothing was shown."""
        if error.retry_after is None or self.text:
            return None
        until = time.time() + error.retry_after
        longest = self._tools.quota_wait
        return until if not longest or until - self.turn.accepted_at <= longest else None

    async def _sit_out(self, until: float, reply: Reply) -> None:
        """Let others of the channel go meanwhile; they may be questions to another Space."""
        seconds = max(0.0, until - time.time())
        log.info("turn parked", seconds=round(seconds))
        self._place.leave()
        try:
            reply.parked(seconds)
            await asyncio.sleep(seconds)
        finally:
            self._place.rejoin()
        await self._save_as(TurnState.QUEUED, parked_until=None)

    async def _save_as(self, state: TurnState, **changes: Any) -> None:
        if self.turn.state is not state or changes:
            self.turn = self.turn.to(state, **changes)
            await self._tools.store.save(self.turn)
