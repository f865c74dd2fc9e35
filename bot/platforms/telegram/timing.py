"""How long to wait for what."""

from __future__ import annotations

from dataclasses import dataclass

from bot.platforms.adapter import SETTLE


@dataclass(frozen=True, slots=True)
class Timing:
    """All waits, in seconds.

    Attributes:
        poll: how long Telegram holds a `getUpdates` open.
        first_pause: after the first failure; each further one doubles it.
        longest_pause: at most.
        album: for the next item of an album.
        glance: between two polls while an update is not committed yet. It is not confirmed, so
            that Telegram answers every poll at once.
        patience: after which an update that is still being worked on counts as committed. What
            begins a turn takes milliseconds; only answers without a turn can take longer.
        watch: between two looks at the webhook.
        settle: from connecting until the menus are looked at.
    """

    poll: int = 25
    first_pause: float = 1.0
    longest_pause: float = 30.0
    album: float = 1.0
    glance: float = 0.2
    patience: float = 20.0
    watch: float = 60.0
    settle: float = SETTLE


DEFAULT_TIMING = Timing()


class Backoff:
    """Growing pauses between failures.

    Args:
        timing: how long they are.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._pause = timing.first_pause

    def next(self) -> float:
        """Seconds to wait before the next try."""
        pause = self._pause
        self._pause = min(self._timing.longest_pause, 2 * pause)
        return pause

    def reset(self) -> None:
        """It worked: begin anew."""
        self._pause = self._timing.first_pause
