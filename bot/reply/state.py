"""What a reply should look like, as one frozen value. The newest one wins."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from bot.provider.response import ImageResponse, JsonConversation, Reasoning, Response, Text
from bot.reply.surface import Upload
from bot.turn import Ahead, Answer


class Phase(enum.StrEnum):
    """How far a reply is."""

    WAITING = "waiting"
    """In the lane of its channel."""
    PARKED = "parked"
    """Waits for a Space's quota."""
    WORKING = "working"
    SUSPENDED = "suspended"
    """The bot stops; the turn goes on after the restart."""
    FINAL = "final"
    REMOVED = "removed"
    """Nothing should stand there any more."""


@dataclass(frozen=True, slots=True)
class ReplyState:
    """Everything that a reply's look depends on, but the time.

    Attributes:
        phase: how far it is.
        ahead: what comes before it in the bot's own queues, while it waits.
        parked_until: when it goes on, in seconds of the reply's clock, while it is parked.
        text: what the provider wrote so far.
        progress: the newest progress, if any.
        progress_at: when `progress` came, in seconds of the reply's clock.
        resumed: the bot was restarted since the turn was accepted.
        answer: what is owed, in the final phase.
        uploads: the pictures of `answer`.
    """

    phase: Phase = Phase.WAITING
    ahead: Ahead | None = None
    parked_until: float = 0.0
    text: str = ""
    progress: Reasoning | None = None
    progress_at: float = 0.0
    resumed: bool = False
    answer: Answer | None = None
    uploads: tuple[Upload, ...] = ()

    def with_response(self, response: Response, now: float) -> ReplyState:
        """The state after the provider yielded `response` at `now`."""
        match response:
            case Text():
                return replace(self, phase=Phase.WORKING, text=self.text + response)
            case Reasoning():
                return replace(
                    self,
                    phase=Phase.WORKING,
                    progress=_merged(self.progress, response),
                    progress_at=now,
                )
            case ImageResponse() | JsonConversation():
                # Pictures are shown when they are stored, as part of the answer.
                return self


def _merged(before: Reasoning | None, after: Reasoning) -> Reasoning:
    """A log line says nothing about steps, so those known stay."""
    if before is None or not after.level or before.stage is not after.stage:
        return after
    return replace(before, note=after.note, level=after.level)
