"""How much one person may ask of the bot. Pure but for the counts that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.turn import Ask, Imagine

MINUTE = 60.0
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """Limits per person; 0 means no limit.

    Attributes:
        turns_per_minute: requests in any 60 seconds.
        images_per_day: `/imagine` in any 24 hours. Five pictures of one call count as one.
        queued_turns: unfinished turns at a time.
    """

    turns_per_minute: int = 6
    images_per_day: int = 20
    queued_turns: int = 3


@dataclass(frozen=True, slots=True)
class Usage:
    """What a person asked for lately.

    Attributes:
        unfinished: turns that have no answer yet.
        turns: Unix times of the turns of the last minute, oldest first.
        images: Unix times of the `/imagine` of the last day, oldest first.
    """

    unfinished: int
    turns: Sequence[float]
    images: Sequence[float]


def refusal(allowance: Allowance, usage: Usage, command: Ask | Imagine, now: float) -> str | None:
    """Why a person may not ask now, with the time from which it works; `None` if they may."""
    if allowance.queued_turns and usage.unfinished >= allowance.queued_turns:
        many = f"{usage.unfinished} requests" if usage.unfinished > 1 else "a request"
        return f"You have {many} waiting already. Please wait for an answer, or /stop one."
    if allowance.turns_per_minute and len(usage.turns) >= allowance.turns_per_minute:
        free = usage.turns[-allowance.turns_per_minute] + MINUTE
        return (
            f"That is {len(usage.turns)} requests within a minute, which is the limit here. "
            f"Please try again in {_span(free - now)}."
        )
    drawing = isinstance(command, Imagine)
    if drawing and allowance.images_per_day and len(usage.images) >= allowance.images_per_day:
        free = usage.images[-allowance.images_per_day] + DAY
        return (
            f"You have used today's {allowance.images_per_day} drawings. "
            f"The next one is free in {_span(free - now)}; questions still work."
        )
    return None


def _span(seconds: float) -> str:
    seconds = max(1, round(seconds))
    if seconds < 90:  # noqa: PLR2004 - from here on minutes say more than seconds
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 90:  # noqa: PLR2004 - likewise hours
        return f"{minutes} minutes"
    return f"{round(minutes / 60)} hours"
