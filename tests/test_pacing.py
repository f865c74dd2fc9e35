"""Requests leave as fast as the platform allows and never faster."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.reply.pacing import Bucket, Pace, Urgency, interval, wait
from bot.reply.surface import Limits, RateLimitInfo, Window

seconds = st.floats(0, 1000)


def limits(interval: float, *windows: Window) -> Limits:
    return Limits(2000, 1000, 10, interval, windows=windows)


def test_the_first_request_of_a_chat_leaves_at_once() -> None:
    """Nothing to wait for."""
    assert wait(Pace(), 0.0, Urgency.PROGRESS, limits(3.0), 0.0) == 0.0


def test_progress_keeps_the_interval_and_finals_do_not_wait() -> None:
    """The interval leaves room for what matters."""
    pace = Pace().left(99.0).answered(100.0, 99.0)
    assert wait(pace, 101.0, Urgency.PROGRESS, limits(3.0), 0.0) == 2.0
    assert wait(pace, 101.0, Urgency.FINAL, limits(3.0), 0.0) == 0.0
    assert wait(pace, 101.0, Urgency.FIRST, limits(3.0), 0.0) == 0.0


@given(now=seconds, penalty=seconds, later=seconds, urgency=st.sampled_from(Urgency))
def test_a_closed_chat_is_closed_for_everything(
    now: float, penalty: float, later: float, urgency: Urgency
) -> None:
    """Calling during a penalty extends it, so nothing is worth it."""
    pace = Pace().refused(now, penalty)
    assert wait(pace, now + later, urgency, limits(1.0), 0.0) >= now + penalty - (now + later)


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
    pace = Pace().refused(0.0, 1.0).left(399.0).answered(400.0, 399.0)
    assert wait(pace, 403.0, Urgency.PROGRESS, limits(3.0), 0.0) == 0.0


@given(
    rate=st.floats(1, 60),
    steps=st.lists(st.tuples(st.floats(0, 1), st.sampled_from(Urgency)), max_size=200),
)
def test_the_bot_never_exceeds_its_rate(rate: float, steps: list[tuple[float, Urgency]]) -> None:
    """In any stretch of time, at most a burst and the rate."""
    bucket, now, left = Bucket.full(rate, 0.0), 0.0, 0
    for pause, urgency in steps:
        now += pause
        bucket, seconds_to_wait = bucket.take(now, urgency)
        left += seconds_to_wait == 0.0
    assert left <= rate * now + max(1.0, rate / 8) + 1e-6


def test_progress_leaves_a_reserve_for_finals() -> None:
    """When the budget runs low, final states still leave at once."""
    bucket = Bucket(40.0, 2.0, 0.0)
    assert bucket.take(0.0, Urgency.PROGRESS)[1] > 0.0
    assert bucket.take(0.0, Urgency.FINAL)[1] == 0.0


@given(rate=st.floats(0.1, 60), tokens=st.floats(0, 1), urgency=st.sampled_from(Urgency))
def test_waiting_as_long_as_told_is_enough(rate: float, tokens: float, urgency: Urgency) -> None:
    """Nobody starves, however small the rate."""
    bucket = Bucket(rate, tokens, 0.0)
    pause = bucket.take(0.0, urgency)[1]
    assert bucket.take(pause + 1e-6, urgency)[1] == 0.0


@given(
    window=st.builds(Window, st.integers(1, 20), st.floats(0.5, 60)),
    steps=st.lists(st.tuples(st.floats(0, 5), st.sampled_from(Urgency)), max_size=60),
)
def test_no_stretch_of_time_holds_more_requests_than_a_chat_takes(
    window: Window, steps: list[tuple[float, Urgency]]
) -> None:
    """Waiting as long as told keeps every window, whatever the requests are for."""
    pace, now, answered = Pace(), 0.0, []
    for pause, urgency in steps:
        now += pause
        now += wait(pace, now, urgency, limits(0.0, window), 0.0)
        pace = pace.left(now).answered(now + 0.1, now)
        answered.append(now)
    for index, first in enumerate(answered[: -window.requests]):
        assert answered[index + window.requests] - first >= window.seconds - 1e-6


@given(window=st.builds(Window, st.integers(2, 30), st.floats(1, 60)))
def test_progress_leaves_room_in_a_window_for_the_final_state(window: Window) -> None:
    """However long the progress goes on, the final state leaves at once."""
    pace, now = Pace(), 0.0
    for _ in range(100):
        now += wait(pace, now, Urgency.PROGRESS, limits(0.0, window), 0.0)
        pace = pace.left(now).answered(now, now)
        assert wait(pace, now, Urgency.FINAL, limits(0.0, window), 0.0) == 0.0


def test_what_the_platform_says_of_its_limit_is_kept() -> None:
    """With one request left, intermediate states wait and the final one does not."""
    pace = Pace().left(0.0).answered(0.0, 0.0, RateLimitInfo(1, 4.0))
    assert wait(pace, 1.0, Urgency.PROGRESS, limits(0.0), 0.0) == 3.0
    assert wait(pace, 1.0, Urgency.FINAL, limits(0.0), 0.0) == 0.0
    fresh = pace.left(5.0).answered(5.0, 5.0, RateLimitInfo(4, 5.0))
    assert wait(fresh, 5.0, Urgency.PROGRESS, limits(0.0), 0.0) == 0.0
