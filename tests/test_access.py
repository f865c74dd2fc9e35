"""Who may use the bot and how much, with the time from which it works again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.i18n import Catalogue
from bot.models import Address, Ask, ChannelKey, Imagine, IncomingMessage, Person
from bot.turns.access import Allowance, Rules, Usage, refusal

NOW = 1_000_000.0
WORDS = Catalogue().words()
FREE = Usage(0, (), ())


def test_nobody_is_refused_at_first() -> None:
    """A new person may ask."""
    assert refusal(Allowance(), FREE, Ask("?"), NOW, WORDS) is None


def test_the_minute_says_when_it_is_over() -> None:
    """The oldest of the last six leaves the minute in 20 s."""
    usage = Usage(0, tuple(NOW - 40 + second for second in range(6)), ())
    words = refusal(Allowance(turns_per_minute=6), usage, Ask("?"), NOW, WORDS)
    assert words is not None
    assert "in 20 s" in words


def test_the_day_of_drawings_leaves_questions_alone() -> None:
    """Only what costs most is limited by the day."""
    usage = Usage(0, (), (NOW - 3600.0,) * 20)
    words = refusal(Allowance(), usage, Imagine("fox"), NOW, WORDS)
    assert words is not None
    assert "in 23 h" in words
    assert refusal(Allowance(), usage, Ask("?"), NOW, WORDS) is None


def test_too_many_waiting_says_what_to_do() -> None:
    """Wait or stop one."""
    words = refusal(Allowance(queued_turns=3), Usage(3, (), ()), Ask("?"), NOW, WORDS)
    assert words is not None
    assert "/stop" in words


@given(st.integers(0, 100), st.lists(st.floats(NOW - 60, NOW)), st.lists(st.floats(NOW - 1e5, NOW)))
def test_zero_means_no_limit(unfinished: int, turns: list[float], images: list[float]) -> None:
    """As the configuration promises."""
    usage = Usage(unfinished, sorted(turns), sorted(images))
    assert refusal(Allowance(0, 0, 0), usage, Imagine("fox"), NOW, WORDS) is None


def test_everybody_together_has_a_day_too() -> None:
    """The Space's quota is spared, and the answer says when it is free again."""
    usage = Usage(0, all_images=(NOW - 7200.0,) * 3)
    words = refusal(Allowance(0, 0, 0, 3), usage, Imagine("fox"), NOW, WORDS)
    assert words is not None
    assert "in 22 h" in words
    assert refusal(Allowance(0, 0, 0, 3), usage, Ask("?"), NOW, WORDS) is None


def message(person: str = "1", *ids: str, **changes: str | tuple[str, ...]) -> IncomingMessage:
    key = ChannelKey("discord", ids or ("10",))
    who = Person("discord", person, "Ann")
    return IncomingMessage(key, who, "m", Address("discord", "10", {}), **changes)  # type: ignore[arg-type] # a few fields


@pytest.mark.parametrize(
    ("rules", "message", "enters"),
    [
        (Rules(), message(), True),
        (Rules(allow=frozenset({"discord:1"})), message(), True),
        (Rules(allow=frozenset({"discord:1"})), message("2"), False),
        (Rules(allow=frozenset({"telegram:1"})), message(), False),
        (Rules(allow=frozenset({"discord:role:7"})), message(roles=("6", "7")), True),
        (Rules(allow=frozenset({"discord:server:5"})), message(server="5"), True),
        (Rules(allow=frozenset({"discord:channel:10"})), message("1", "10", "3"), True),
        (Rules(allow=frozenset({"discord:channel:10:4"})), message("1", "10", "3"), False),
        (Rules(deny=frozenset({"discord:1"})), message(), False),
        (Rules(deny=frozenset({"discord:server:5"})), message(server="5"), False),
        (
            Rules(allow=frozenset({"discord:1"}), deny=frozenset({"discord:channel:10"})),
            message(),
            False,
        ),
        (
            Rules(deny=frozenset({"discord:1"}), admins=frozenset({"discord:1"})),
            message(),
            True,
        ),
    ],
)
def test_rules_let_in_whom_they_name(rules: Rules, message: IncomingMessage, enters: bool) -> None:
    """Denial wins, an empty list of the allowed is everybody, and admins always enter."""
    assert rules.allows(message) is enters
