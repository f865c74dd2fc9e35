"""What `/metrics` shows. Counted here in plain numbers; the library comes when somebody looks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from bot.models import Ask, Turn, TurnState

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_BUCKETS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0)
"""Upper bounds in seconds; what took longer is in one more."""


class GpuSeconds(Protocol):
    """GPU time of a Space, as the provider knows it; `None` for what is not known."""

    @property
    def space(self) -> str: ...
    @property
    def limited(self) -> bool: ...
    @property
    def left(self) -> float | None: ...
    @property
    def asks(self) -> float | None: ...


class Metrics:
    """The figures of one bot."""

    def __init__(self) -> None:
        self._turns: Counter[tuple[str, str, str]] = Counter()
        self._buckets: dict[tuple[str, str], list[int]] = {}
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._connected: dict[str, bool] = {}
        self._unfinished: Callable[[], float] = lambda: 0.0
        self._gpu: Callable[[], Sequence[GpuSeconds]] = tuple

    def turn_ended(self, turn: Turn, state: TurnState, seconds: float) -> None:
        """A turn reached a final state, this long after it was accepted."""
        platform = turn.channel.platform
        kind = "ask" if isinstance(turn.command, Ask) else "imagine"
        self._turns[platform, kind, str(state)] += 1
        buckets = self._buckets.setdefault((platform, kind), [0] * (len(_BUCKETS) + 1))
        buckets[bisect_left(_BUCKETS, seconds)] += 1
        self._seconds[platform, kind] += seconds

    def count_unfinished(self, count: Callable[[], float]) -> None:
        """Ask `count` for the turns on their way whenever the figures are read."""
        self._unfinished = count

    def watch_gpu_time(self, known: Callable[[], Sequence[GpuSeconds]]) -> None:
        """Ask `known` for the GPU time of each Space whenever the figures are read."""
        self._gpu = known

    def connected(self, platform: str, up: bool) -> None:
        """A platform was connected or lost."""
        self._connected[platform] = up

    def exposition(self) -> bytes:
        """The figures in Prometheus' text format."""
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - few look

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """The figures as Prometheus' library takes them from a collector."""
        from prometheus_client.core import (  # noqa: PLC0415 - as above
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        turns = CounterMetricFamily(
            "janus_bot_turns", "Turns that ended", labels=["platform", "kind", "outcome"]
        )
        for labels, count in self._turns.items():
            turns.add_metric(labels, count)
        seconds = HistogramMetricFamily(
            "janus_bot_turn_seconds",
            "Seconds from accepting a turn to the acknowledged final reply",
            labels=["platform", "kind"],
        )
        bounds = [*(str(bound) for bound in _BUCKETS), "+Inf"]
        for kind, buckets in self._buckets.items():
            counts = list(zip(bounds, accumulate(buckets), strict=True))
            seconds.add_metric(kind, counts, sum_value=self._seconds[kind])
        connected = GaugeMetricFamily(
            "janus_bot_connected", "1 while a platform is connected", labels=["platform"]
        )
        for platform, up in self._connected.items():
            connected.add_metric([platform], float(up))
        unfinished = GaugeMetricFamily(
            "janus_bot_turns_unfinished", "Turns on their way", value=self._unfinished()
        )
        left = GaugeMetricFamily(
            "janus_bot_gpu_seconds_left", "GPU time that an account has left", labels=["space"]
        )
        asked = GaugeMetricFamily(
            "janus_bot_gpu_seconds_asked", "GPU time that a call asks for", labels=["space"]
        )
        for known in self._gpu():
            for family, value in ((left, known.left), (asked, known.asks)):
                if known.limited and value is not None:
                    family.add_metric([known.space], value)
        yield from (turns, seconds, unfinished, connected, left, asked)
