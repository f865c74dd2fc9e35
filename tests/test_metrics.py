"""What an operator's Prometheus reads."""

from __future__ import annotations

import subprocess
import sys

from prometheus_client.parser import text_string_to_metric_families

from bot.metrics import Metrics
from bot.models import Address, Ask, ChannelKey, Imagine, IncomingMessage, Person, Turn, TurnState

MESSAGE = IncomingMessage(
    ChannelKey("telegram", ("1",)),
    Person("telegram", "1", "Ann"),
    "1",
    Address("telegram", "1", {}),
)


def read(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples by name and labels, as Prometheus' own parser reads them."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_turns_are_counted_by_what_they_came_to() -> None:
    """Platform, kind and outcome tell them apart; seconds fall into buckets that add up."""
    metrics = Metrics()
    asked, drawn = Turn.accept(MESSAGE, Ask("?")), Turn.accept(MESSAGE, Imagine("a fox"))
    metrics.turn_ended(asked, TurnState.DONE, 0.5)
    metrics.turn_ended(asked, TurnState.DONE, 3.0)
    metrics.turn_ended(asked, TurnState.FAILED, 5000.0)
    metrics.turn_ended(drawn, TurnState.CANCELLED, 1.0)
    samples = read(metrics)
    kind = (("kind", "ask"), ("platform", "telegram"))
    done = (("kind", "ask"), ("outcome", "done"), ("platform", "telegram"))
    assert samples["janus_bot_turns_total", done] == 2
    assert samples["janus_bot_turn_seconds_sum", kind] == 5003.5
    assert samples["janus_bot_turn_seconds_count", kind] == 3
    for bound, count in (("0.5", 1), ("2.0", 1), ("5.0", 2), ("1280.0", 2), ("+Inf", 3)):
        assert (
            samples["janus_bot_turn_seconds_bucket", (*kind[:1], ("le", bound), kind[1])] == count
        )


def test_what_is_now_is_asked_when_it_is_read() -> None:
    """Connections and turns on their way."""
    metrics = Metrics()
    metrics.count_unfinished(lambda: 7)
    metrics.connected("discord", up=True)
    metrics.connected("telegram", up=False)
    samples = read(metrics)
    assert samples["janus_bot_turns_unfinished", ()] == 7
    assert samples["janus_bot_connected", (("platform", "discord"),)] == 1
    assert samples["janus_bot_connected", (("platform", "telegram"),)] == 0


def test_counting_needs_no_library() -> None:
    """It is imported when somebody looks, so a bot that nobody watches does without."""
    code = (
        "import bot.metrics, sys; bot.metrics.Metrics(); print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
