"""When the next request of a reply may leave. Pure: time goes in, seconds come out.

Platforms count requests per chat and per bot, and edits like sends (facts of both platforms), so
pacing belongs to the chat and not to a reply.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

STRIKE_MEMORY = 300.0
"""Seconds for which a 429 makes intermediate edits rarer."""

MAX_SLOWDOWN = 8.0


class Urgency(enum.IntEnum):
    """What a request is for; the smaller goes first."""

    FIRST = 0
    """The first sign of life of a reply."""
    FINAL = 1
    """The state that is owed."""
    PROGRESS = 2
    """Anything between; may be skipped for a newer one."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What is known about one chat. Times are seconds on one monotonic clock.

    Attributes:
        last: when the last request was answered.
        closed_until: no request at all before this.
        strikes: times of recent 429s.
    """

    last: float = float("-inf")
    closed_until: float = float("-inf")
    strikes: tuple[float, ...] = ()

    def answered(self, now: float) -> Pace:
        """After a request was answered at `now`."""
        return replace(self, last=now)

    def refused(self, now: float, retry_after: float) -> Pace:
        """After a 429 at `now`: closed for `retry_after` seconds, rarer for some minutes."""
        recent = tuple(strike for strike in self.strikes if now - strike < STRIKE_MEMORY)
        return replace(
            self, closed_until=max(self.closed_until, now + retry_after), strikes=(*recent, now)
        )


def interval(base: float, age: float, strikes: int) -> float:
    """Seconds between two intermediate states.

    Args:
        base: the shortest that never earns a 429 in this chat.
        age: seconds since the reply began; a long wait needs fewer words.
        strikes: 429s in the last `STRIKE_MEMORY` seconds.
    """
    slower = 1.0 if age < 30 else 1.5 if age < 60 else 2.0 if age < 180 else 3.0  # noqa: PLR2004 - the steps themselves
    return base * min(MAX_SLOWDOWN, slower * 2.0**strikes)


def wait(pace: Pace, now: float, urgency: Urgency, base: float, age: float) -> float:
    """Seconds until a request of this urgency may leave; 0.0 for now.

    First signs of life and final states use the room that the interval of intermediate states
    leaves, so they wait only while the chat is closed.
    """
    closed = max(0.0, pace.closed_until - now)
    if urgency is not Urgency.PROGRESS:
        return closed
    strikes = sum(now - strike < STRIKE_MEMORY for strike in pace.strikes)
    return max(closed, pace.last + interval(base, age, strikes) - now, 0.0)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The bot's budget on one platform: a token bucket with a reserve for what cannot wait.

    Attributes:
        rate: requests per second.
        tokens: left at `at`; at most `rate`, i.e. one second's worth.
        at: when `tokens` was true.
    """

    rate: float
    tokens: float
    at: float

    def take(self, now: float, urgency: Urgency) -> tuple[Bucket, float]:
        """Take a token for a request that leaves after the returned seconds.

        Intermediate states leave a third of the bucket to first and final ones: when it runs low
        they wait, and a newer state takes their place meanwhile.

        Returns:
            The bucket afterwards, unchanged if the wait is not 0.0, and the seconds to wait.
        """
        tokens = min(self.rate, self.tokens + (now - self.at) * self.rate)
        reserve = self.rate / 3 if urgency is Urgency.PROGRESS else 0.0
        # A full bucket always has one to give, however small the rate.
        needed = min(1.0 + reserve, self.rate)
        if tokens >= needed:
            return Bucket(self.rate, tokens - 1.0, now), 0.0
        return self, (needed - tokens) / self.rate
