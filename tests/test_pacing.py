"""Requests leave as fast as the platform allows and never faster."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.reply.pacing import Bucket, Pace, Urgency, interval, wait

seconds = st.floats(0, 1000)


def test_the_first_request_of_a_chat_leaves_at_once() -> None:
    """Nothing to wait for."""
    assert wait(Pace(), 0.0, Urgency.PROGRESS, 3.0, 0.0) == 0.0


def test_progress_keeps_the_interval_and_finals_do_not_wait() -> None:
    """The interval leaves room for what matters."""
    pace = Pace().answered(100.0)
    assert wait(pace, 101.0, Urgency.PROGRESS, 3.0, 0.0) == 2.0
    assert wait(pace, 101.0, Urgency.FINAL, 3.0, 0.0) == 0.0
    assert wait(pace, 101.0, Urgency.FIRST, 3.0, 0.0) == 0.0


@given(now=seconds, penalty=seconds, later=seconds, urgency=st.sampled_from(Urgency))
def test_a_closed_chat_is_closed_for_everything(
    now: float, penalty: float, later: float, urgency: Urgency
) -> None:
    """Calling during a penalty extends it, so nothing is worth it."""
    pace = Pace().refused(now, penalty)
    assert wait(pace, now + later, urgency, 1.0, 0.0) >= now + penalty - (now + later)


@given(first=seconds, second=seconds)
def test_a_shorter_penalty_does_not_open_a_chat_earlier(first: float, second: float) -> None:
    """The longest one counts."""
    pace = Pace().refused(0.0, first).refused(0.0, second)
    assert pace.closed_until == max(first, second)


@given(age=seconds, older=seconds, strikes=st.integers(0, 9))
def test_intervals_grow_with_age_and_with_429s(age: float, older: float, strikes: int) -> None:
    """A slow model needs fewer words; a refused chat fewer requests."""
    assert interval(3.0, age + older, strikes) >= interval(3.0, age, strikes) >= 3.0
    assert interval(3.0, age, strikes + 1) >= interval(3.0, age, strikes)


def test_a_429_is_forgotten_after_some_minutes() -> None:
    """The chat gets its pace back."""
    pace = Pace().refused(0.0, 1.0).answered(400.0)
    assert wait(pace, 403.0, Urgency.PROGRESS, 3.0, 0.0) == 0.0


@given(
    rate=st.floats(1, 60),
    steps=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(Urgency)), max_size=200),
)
def test_the_bot_never_exceeds_its_rate(rate: float, steps: list[tuple[float, Urgency]]) -> None:
    """In any stretch of time, at most a burst and the rate."""
    bucket, now, left = Bucket(rate, rate, 0.0), 0.0, 0
    for pause, urgency in steps:
        now += pause
        bucket, seconds_to_wait = bucket.take(now, urgency)
        left += seconds_to_wait == 0.0
    assert left <= rate * now + rate + 1e-6


def test_progress_leaves_a_reserve_for_finals() -> None:
    """When the budget runs low, final states still leave at once."""
    bucket = Bucket(30.0, 5.0, 0.0)
    assert bucket.take(0.0, Urgency.PROGRESS)[1] > 0.0
    assert bucket.take(0.0, Urgency.FINAL)[1] == 0.0


@given(rate=st.floats(0.1, 60), tokens=st.floats(0, 1), urgency=st.sampled_from(Urgency))
def test_waiting_as_long_as_told_is_enough(rate: float, tokens: float, urgency: Urgency) -> None:
    """Nobody starves, however small the rate."""
    bucket = Bucket(rate, min(rate, tokens), 0.0)
    pause = bucket.take(0.0, urgency)[1]
    assert bucket.take(pause + 1e-6, urgency)[1] == 0.0
