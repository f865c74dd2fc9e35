"""What people read while they wait."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.provider.response import Reasoning, Stage, Text
from bot.reply.state import Phase, ReplyState
from bot.reply.surface import Mood, Upload
from bot.reply.wording import bar, contents, status
from bot.turn import Answer, TurnState
from tests.scripted_surface import PLAIN

FILES = tuple(Upload(f"{n}.png", b"", "image/png", "fox", str(n)) for n in range(12))


def after(*responses: Reasoning | Text) -> ReplyState:
    state = ReplyState()
    for response in responses:
        state = state.with_response(response, 100.0)
    return state


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (ReplyState(), "⏳ Got it…"),
        (ReplyState(ahead=2, mine=1), "⏳ 2 ahead in this chat, 1 of them yours"),
        (ReplyState(ahead=1, mine=1), "⏳ 1 ahead in this chat, it is yours"),
        (ReplyState(ahead=3), "⏳ 3 ahead in this chat"),
        (after(Reasoning(Stage.CONNECTING)), "⏳ Asking the Space…"),
        (
            after(Reasoning(Stage.QUEUED, rank=2, queue_size=7, eta=41.3)),
            "⏳ Place 3 of 7 in the Space's queue · about 40 s",
        ),
        (after(Reasoning(Stage.QUEUED, rank=0)), "⏳ Place 1 in the Space's queue"),
        (after(Reasoning(Stage.RUNNING)), "⚙️ Working…"),
        (
            after(Reasoning(Stage.RUNNING, index=3, length=6, note="Sampling")),
            "▰▰▰▰▰▰▱▱▱▱▱▱ 50% · Sampling 3/6",
        ),
        (
            after(Reasoning(Stage.RUNNING, fraction=0.25, note="Decoding")),
            "▰▰▰▱▱▱▱▱▱▱▱▱ 25% · Decoding",
        ),
        (after(Reasoning(Stage.RUNNING, eta=130)), "⚙️ Working… · about 2 min"),
        (after(Reasoning(Stage.FETCHING)), "📥 Fetching the pictures…"),
        (
            replace(after(Reasoning(Stage.RUNNING)), resumed=True),
            "↻ Restarted; your request goes on.\n⚙️ Working…",
        ),
    ],
)
def test_each_stage_has_its_words(state: ReplyState, says: str) -> None:
    """One line, two at most, and always what is true now."""
    assert status(state, 100.0) == says


def test_a_log_line_does_not_hide_the_steps() -> None:
    """What the Space says stands under what it does."""
    state = after(
        Reasoning(Stage.RUNNING, index=1, length=2, note="Sampling"),
        Reasoning(Stage.RUNNING, note="Successfully acquired a GPU", level="success"),
    )
    assert "50%" in status(state, 100.0)
    assert status(state, 100.0).endswith("\nSuccessfully acquired a GPU")


def test_an_estimate_counts_down_and_never_below_zero() -> None:
    """A wrong estimate disappears instead of lying."""
    state = after(Reasoning(Stage.RUNNING, eta=20))
    assert status(state, 110.0).endswith("about 10 s")
    assert status(state, 130.0) == "⚙️ Working…"


@given(st.floats(allow_nan=False))
def test_a_bar_has_always_the_same_width(share: float) -> None:
    """Nothing jumps."""
    assert len(bar(share)) == 12


def test_a_long_note_is_cut_and_stays_on_its_line() -> None:
    """A Space can log anything."""
    line = status(after(Reasoning(Stage.RUNNING, note="x\n" * 500, level="info")), 100.0)
    assert len(line.splitlines()) == 2
    assert line.endswith("…")


def test_ten_files_a_message() -> None:
    """More pictures than fit make another message."""
    answer = Answer(TurnState.DONE, "Foxes")
    state = ReplyState(phase=Phase.FINAL, answer=answer, uploads=FILES)
    made = contents(state, PLAIN, len, 0.0, fresh=True)
    assert [len(content.files) for content in made] == [10, 2]
    assert made[0].text == "Foxes"


def test_a_caption_that_is_too_long_stands_alone() -> None:
    """Pictures follow it instead."""
    answer = Answer(TurnState.DONE, "x" * 1500)
    state = ReplyState(phase=Phase.FINAL, answer=answer, uploads=FILES[:5])
    made = contents(state, replace(PLAIN, caption=1024), len, 0.0, fresh=True)
    assert [(len(content.text), len(content.files)) for content in made] == [(1500, 0), (0, 5)]


@pytest.mark.parametrize(
    ("outcome", "mood"),
    [
        (TurnState.DONE, Mood.DONE),
        (TurnState.FAILED, Mood.FAILED),
        (TurnState.CANCELLED, Mood.STOPPED),
    ],
)
def test_the_end_has_its_mood(outcome: TurnState, mood: Mood) -> None:
    """Done, failed and stopped can be told apart."""
    state = ReplyState(phase=Phase.FINAL, answer=Answer(outcome, "x"))
    assert {content.mood for content in contents(state, PLAIN, len, 0.0, fresh=False)} == {mood}


def test_an_empty_answer_still_says_something() -> None:
    """No platform takes an empty message."""
    state = ReplyState(phase=Phase.FINAL, answer=Answer(TurnState.DONE, "\n"))
    assert contents(state, PLAIN, len, 0.0, fresh=True)[0].text.strip()
