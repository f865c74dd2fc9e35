"""Who may use the bot, and how much. Pure but for the counts that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.i18n import Words
from bot.models import Ask, Imagine, IncomingMessage

MINUTE_SECONDS = 60.0
DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """Limits; 0 means no limit.

    Attributes:
        turns_per_minute: requests of a person in any 60 seconds.
        images_per_day: `/imagine` of a person in any 24 hours. Five pictures of one call count as
            one.
        queued_turns: unfinished turns of a person at a time.
        images_per_day_total: `/imagine` of all people in any 24 hours.
    """

    turns_per_minute: int = 6
    images_per_day: int = 20
    queued_turns: int = 3
    images_per_day_total: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """Who may use the bot.

    Entries are `platform:id` of a person, or `platform:kind:id` with the kind `role`, `channel` or
    `server`.

    Attributes:
        allow: only these; empty for everybody.
        deny: none of these, whatever `allow` says.
        admins: people who may do everything, whatever the other two say.
    """

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()

    def is_admin(self, message: IncomingMessage) -> bool:
        return str(message.person) in self.admins

    def allows(self, message: IncomingMessage) -> bool:
        # A topic is in the channel of its group as well.
        platform, ids = message.channel.platform, message.channel.ids
        channels = {f"{platform}:channel:{':'.join(ids[: n + 1])}" for n in range(len(ids))}
        roles = {f"{platform}:role:{role}" for role in message.roles}
        server = {f"{platform}:server:{message.server}"} if message.server else set()
        person = str(message.person)
        names = {person} | channels | roles | server
        allowed = not names & self.deny and (not self.allow or bool(names & self.allow))
        return allowed or person in self.admins


@dataclass(frozen=True, slots=True)
class Policy:
    """All that the operator decides about people; replaced as a whole when it is reloaded."""

    allowance: Allowance = field(default_factory=Allowance)
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked lately.

    Attributes:
        unfinished: turns of the person that have no answer yet.
        turns: Unix times of the person's turns of the last minute, oldest first.
        images: Unix times of the person's `/imagine` of the last day, oldest first.
        all_images: Unix times of everybody's `/imagine` of the last day, oldest first.
    """

    unfinished: int
    turns: Sequence[float] = ()
    images: Sequence[float] = ()
    all_images: Sequence[float] = ()


def refusal(
    allowance: Allowance, usage: Usage, command: Ask | Imagine, now: float, words: Words
) -> str | None:
    """Why a person may not ask now, with the time from which it works; `None` if they may."""
    if allowance.queued_turns and usage.unfinished >= allowance.queued_turns:
        return words("limit-queued", count=usage.unfinished)
    if (wait := _wait(usage.turns, allowance.turns_per_minute, MINUTE_SECONDS, now)) is not None:
        return words("limit-minute", count=len(usage.turns), wait=span(wait, words))
    if isinstance(command, Imagine):
        most = allowance.images_per_day
        if (wait := _wait(usage.images, most, DAY_SECONDS, now)) is not None:
            return words("limit-images", count=most, wait=span(wait, words))
        most = allowance.images_per_day_total
        if (wait := _wait(usage.all_images, most, DAY_SECONDS, now)) is not None:
            return words("limit-images-total", count=most, wait=span(wait, words))
    return None


def _wait(times: Sequence[float], most: int, window: float, now: float) -> float | None:
    """Seconds until one more fits into a window, if none fits now."""
    if not most or len(times) < most:
        return None
    return times[-most] + window - now


def span(seconds: float, words: Words) -> str:
    """A stretch of time in words, no finer than anybody needs."""
    seconds = max(1, round(seconds))
    if seconds < 90:  # noqa: PLR2004 - from here on minutes say more than seconds
        return words("span-seconds", count=seconds)
    minutes = round(seconds / 60)
    if minutes < 90:  # noqa: PLR2004 - likewise hours
        return words("span-minutes", count=minutes)
    return words("span-hours", count=round(minutes / 60))
