"""Telegram's flood limits: published ones for messages, reported ones for drafts.

Edits share the budget of messages; drafts and chat actions share another. A call during a wait
makes it longer.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

MESSAGES = frozenset(
    {
        "sendmessage",
        "sendphoto",
        "senddocument",
        "sendmediagroup",
        "editmessagetext",
        "editmessagecaption",
    }
)
PREVIEWS = frozenset({"sendmessagedraft", "sendchataction"})

_PRIVATE = ((5, 5.0),)
"""About one a second, a short burst allowed; calls and the seconds in which they may be made."""
_GROUP = ((20, 60.0), (5, 5.0))
_DRAFTS = ((20, 5.0), (40, 30.0))
_OVERALL = ((30, 1.0),)
_EXTENSION = 2.0


@dataclass
class _Window:
    rules: tuple[tuple[int, float], ...]
    times: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    closed_until: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds to wait; 0 admits the call and counts it."""
        if now < self.closed_until:
            self.closed_until += _EXTENSION
            return self.closed_until - now
        for calls, seconds in self.rules:
            if sum(1 for moment in self.times if moment > now - seconds) >= calls:
                self.closed_until = now + seconds
                return seconds
        self.times.append(now)
        return 0.0


class Flood:
    """Counts calls; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def retry_after(self, method: str, chat: int) -> int:
        """Seconds for `parameters.retry_after`, or 0 if the call is admitted."""
        if method in PREVIEWS:
            window = self._window(f"draft {chat}", _DRAFTS)
        elif method in MESSAGES:
            window = self._window(f"message {chat}", _PRIVATE if chat > 0 else _GROUP)
        else:
            return 0
        now = self._clock()
        wait = self._window("overall", _OVERALL).wait(now) or window.wait(now)
        return math.ceil(wait)

    def penalise(self, chat: int, seconds: float) -> None:
        """Close a chat to messages, edits and drafts, as after too many calls."""
        until = self._clock() + seconds
        self._window(f"draft {chat}", _DRAFTS).closed_until = until
        rules = _PRIVATE if chat > 0 else _GROUP
        self._window(f"message {chat}", rules).closed_until = until

    def _window(self, key: str, rules: tuple[tuple[int, float], ...]) -> _Window:
        return self._windows.setdefault(key, _Window(rules))
