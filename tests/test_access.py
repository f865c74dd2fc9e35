"""Limits per person, with the time from which it works again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.turn import Ask, Imagine
from bot.turns.access import Allowance, Usage, refusal

NOW = 1_000_000.0
FREE = Usage(0, (), ())


def test_nobody_is_refused_at_first() -> None:
    """A new person may ask."""
    assert refusal(Allowance(), FREE, Ask("?"), NOW) is None


def test_the_minute_says_when_it_is_over() -> None:
    """The oldest of the last six leaves the minute in 20 s."""
    usage = Usage(0, tuple(NOW - 40 + second for second in range(6)), ())
    words = refusal(Allowance(turns_per_minute=6), usage, Ask("?"), NOW)
    assert words is not None
    assert "in 20 s" in words


def test_the_day_of_drawings_leaves_questions_alone() -> None:
    """Only what costs most is limited by the day."""
    usage = Usage(0, (), (NOW - 3600.0,) * 20)
    words = refusal(Allowance(), usage, Imagine("fox"), NOW)
    assert words is not None
    assert "23 hours" in words
    assert refusal(Allowance(), usage, Ask("?"), NOW) is None


def test_too_many_waiting_says_what_to_do() -> None:
    """Wait or stop one."""
    words = refusal(Allowance(queued_turns=3), Usage(3, (), ()), Ask("?"), NOW)
    assert words is not None
    assert "/stop" in words


@given(st.integers(0, 100), st.lists(st.floats(NOW - 60, NOW)), st.lists(st.floats(NOW - 1e5, NOW)))
def test_zero_means_no_limit(unfinished: int, turns: list[float], images: list[float]) -> None:
    """As the configuration promises."""
    usage = Usage(unfinished, sorted(turns), sorted(images))
    assert refusal(Allowance(0, 0, 0), usage, Imagine("fox"), NOW) is None
