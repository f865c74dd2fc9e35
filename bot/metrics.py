"""What `/metrics` shows. A registry of its own, so that nothing is counted at import."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bot.models import Ask, Turn, TurnState


class Metrics:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._turns = Counter(
            "janus_bot_turns",
            "Turns that ended",
            ["platform", "kind", "outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "janus_bot_turn_seconds",
            "Seconds from accepting a turn to the acknowledged final reply",
            ["platform", "kind"],
            buckets=(0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280),
            registry=self._registry,
        )
        self._unfinished = Gauge(
            "janus_bot_turns_unfinished", "Turns on their way", registry=self._registry
        )
        self._connected = Gauge(
            "janus_bot_connected",
            "1 while a platform is connected",
            ["platform"],
            registry=self._registry,
        )

    def turn_ended(self, turn: Turn, state: TurnState, seconds: float) -> None:
        """A turn reached a final state, this long after it was accepted."""
        platform = turn.channel.platform
        kind = "ask" if isinstance(turn.command, Ask) else "imagine"
        self._turns.labels(platform, kind, str(state)).inc()
        self._seconds.labels(platform, kind).observe(seconds)

    def count_unfinished(self, count: Callable[[], float]) -> None:
        """Ask `count` for the turns on their way whenever the figures are read."""
        self._unfinished.set_function(count)

    def connected(self, platform: str, up: bool) -> None:
        """A platform was connected or lost."""
        self._connected.labels(platform).set(float(up))

    def exposition(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self._registry)
