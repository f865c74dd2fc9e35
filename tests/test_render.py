"""What people read while they wait."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.actions import MAX_ACTION_BYTES, Action, Verb
from bot.files import File
from bot.i18n import Catalogue
from bot.models import Ahead, Answer, TurnState
from bot.provider.responses import Preview, Reasoning, Response, Stage, Text
from bot.reply.render import Page, Phase, ReplyState, bar, contents, markdown, status, under_answer
from bot.reply.surface import Activity, Content, Mood, Status
from tests.scripted_surface import PLAIN

WORDS = Catalogue().words()
PAGE = Page(PLAIN, len, WORDS)
PARKED = (
    "⏸ The Space's free GPU time is used up for now. "
    "I go on by myself in about 12 min; /stop ends it."
)
FILES = tuple(File(b"%d" % n, "image/png", f"{n}.png", "fox") for n in range(12))


def after(*responses: Response) -> ReplyState:
    state = ReplyState()
    for response in responses:
        state = state.with_response(response, 100.0)
    return state


def said(state: ReplyState, now: float) -> str:
    """A status as chat platforms show it."""
    return markdown(Content(status=status(state, now, WORDS)))


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (ReplyState(), "⏳ Got it…"),
        (ReplyState(ahead=Ahead(2, 1)), "⏳ 2 ahead in this chat, 1 of them yours"),
        (ReplyState(ahead=Ahead(1, 1)), "⏳ 1 ahead in this chat, it is yours"),
        (ReplyState(ahead=Ahead(3, 0)), "⏳ 3 ahead in this chat"),
        (ReplyState(ahead=Ahead(2, 1, here=False)), "⏳ 2 ahead of you, 1 of them yours"),
        (
            ReplyState(ahead=Ahead(1, 0, here=False, space_queue=7)),
            "⏳ 1 ahead of you · 7 in the Space's own queue",
        ),
        (ReplyState(ahead=Ahead(0, 0, here=False)), "⏳ You are next"),
        (ReplyState(phase=Phase.PARKED, parked_until=820.0), PARKED),
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
    assert said(state, 100.0) == says


def test_a_log_line_does_not_hide_the_steps() -> None:
    """What the Space says is under what it does."""
    state = after(
        Reasoning(Stage.RUNNING, index=1, length=2, note="Sampling"),
        Reasoning(Stage.RUNNING, note="Successfully acquired a GPU", level="success"),
    )
    assert "50%" in said(state, 100.0)
    assert said(state, 100.0).endswith("\nSuccessfully acquired a GPU")


def test_an_estimate_counts_down_and_never_below_zero() -> None:
    """A wrong estimate disappears instead of lying."""
    state = after(Reasoning(Stage.RUNNING, eta=20))
    assert said(state, 110.0).endswith("about 10 s")
    assert said(state, 130.0) == "⚙️ Working…"


@given(st.floats(allow_nan=False))
def test_a_bar_has_always_the_same_width(share: float) -> None:
    """Nothing jumps."""
    assert len(bar(share)) == 12


def test_a_long_note_is_cut_and_stays_on_its_line() -> None:
    """A Space can log anything."""
    line = said(after(Reasoning(Stage.RUNNING, note="x\n" * 500, level="info")), 100.0)
    assert len(line.splitlines()) == 2
    assert line.endswith("…")


def test_ten_files_a_message() -> None:
    """More pictures than fit make another message."""
    answer = Answer(TurnState.DONE, "Foxes")
    state = ReplyState(phase=Phase.FINAL, answer=answer, files=FILES)
    made = contents(state, PAGE, 0.0, "turn")
    assert [len(content.files) for content in made] == [10, 2]
    assert made[0].text == "Foxes"


def test_a_caption_that_is_too_long_stands_alone() -> None:
    """Pictures follow it instead."""
    answer = Answer(TurnState.DONE, "x" * 1500)
    state = ReplyState(phase=Phase.FINAL, answer=answer, files=FILES[:5])
    made = contents(state, replace(PAGE, limits=replace(PLAIN, caption=1024)), 0.0, "turn")
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
    assert {content.mood for content in contents(state, PAGE, 0.0, "turn")} == {mood}


@pytest.mark.parametrize(
    "text", ["⏳ is an hourglass.", "▰▰▱ 66% · a bar", "⚠️ Careful!", "■ A box."]
)
def test_an_answer_is_never_taken_for_a_status(text: str) -> None:
    """Signs are drawn from fields, not looked for in what the model wrote."""
    writing = contents(after(Text(text)), PAGE, 0.0, "turn")
    final = ReplyState(phase=Phase.FINAL, answer=Answer(TurnState.DONE, text))
    assert writing == [Content(text)]
    assert contents(final, PAGE, 0.0, "turn") == [Content(text, mood=Mood.DONE)]


def test_a_model_that_is_loaded_says_what_it_is_at() -> None:
    """A Space of one's own knows better than that it wakes."""
    note = "Downloading the model, 43 %, about 8 minutes"
    state = after(Reasoning(Stage.WAKING, index=43, length=100, note=note))
    assert status(state, 100.0, WORDS) == Status(Activity.WAKING, note)


def test_previews_are_shown_while_it_works_and_from_one_attempt_only() -> None:
    """What waits, is parked or begins anew has none."""
    sketch = File(b"sketch", "image/png")
    state = after(Reasoning(Stage.RUNNING), Preview([sketch]), Reasoning(Stage.FETCHING))
    assert [each.previews for each in contents(state, PAGE, 0.0, "turn")] == [(sketch,)]
    for phase in (Phase.WAITING, Phase.PARKED, Phase.SUSPENDED):
        (content,) = contents(replace(state, phase=phase), PAGE, 0.0, "turn")
        assert not content.previews
    again = state.with_response(Reasoning(Stage.CONNECTING), 0.0)
    assert not again.previews


def test_a_status_is_data() -> None:
    """What a page shows as a bar and what a chat shows as text come from the same fields."""
    state = after(
        Reasoning(Stage.RUNNING, index=3, length=8, note="Sampling", eta=41.0),
        Reasoning(Stage.RUNNING, note="GPU acquired", level="info"),
    )
    assert status(state, 100.0, WORDS) == Status(
        Activity.WORKING, "Working 3/8", share=0.38, remaining="about 40 s", note="GPU acquired"
    )


@pytest.mark.parametrize(
    ("outcome", "sign"), [(TurnState.FAILED, "⚠️ "), (TurnState.CANCELLED, "■ ")]
)
def test_how_it_ended_stands_below_what_was_written(outcome: TurnState, sign: str) -> None:
    """As a field, which chats draw with its sign; alone where nothing was written."""
    (both,) = contents(
        ReplyState(phase=Phase.FINAL, answer=Answer(outcome, "Half of", note="It ended.")),
        PAGE, 0.0, "turn",
    )  # fmt: skip
    assert (both.text, both.note) == ("Half of", "It ended.")
    assert markdown(both) == f"Half of\n\n{sign}It ended."
    alone = ReplyState(phase=Phase.FINAL, answer=Answer(outcome, "", note="It ended."))
    assert markdown(contents(alone, PAGE, 0.0, "turn")[0]) == f"{sign}It ended."


def test_a_note_that_does_not_fit_follows() -> None:
    """No text is cut for it, and no message is too long."""
    answer = Answer(TurnState.FAILED, "x" * 1870, note="It ended. " * 20)
    made = contents(ReplyState(phase=Phase.FINAL, answer=answer), PAGE, 0.0, "turn")
    assert [bool(content.text) for content in made] == [True, False]
    assert all(len(markdown(content)) <= PLAIN.text for content in made)


def test_an_empty_answer_still_says_something() -> None:
    """No platform takes an empty message."""
    state = ReplyState(phase=Phase.FINAL, answer=Answer(TurnState.DONE, "\n"))
    assert contents(state, PAGE, 0.0, "turn")[0].text.strip()


def rows_of(state: ReplyState, page: Page = PAGE) -> list[list[Verb]]:
    made = contents(state, page, 0.0, "turn")
    return [[button.action.verb for row in each.buttons for button in row] for each in made]


def test_what_can_be_done_stands_under_it() -> None:
    """Stop while it works, try again after a failure, variations under a drawing."""
    page = replace(PAGE, limits=replace(PLAIN, buttons=True))
    drawn = ReplyState(phase=Phase.FINAL, answer=Answer(TurnState.DONE, "Fox"), files=FILES[:5])
    failed = ReplyState(phase=Phase.FINAL, answer=Answer(TurnState.FAILED, "No."))
    told = ReplyState(phase=Phase.FINAL, answer=Answer(TurnState.DONE, "Yes."))
    assert rows_of(ReplyState(), page) == [[Verb.STOP]]
    assert rows_of(failed, page) == [[Verb.RETRY]]
    assert rows_of(told, page) == [[]]
    (under,) = rows_of(drawn, page)
    assert under[:2] == [Verb.AGAIN, Verb.EDIT]
    assert under.count(Verb.FULL) == 5
    assert rows_of(drawn) == [[]]


def test_where_pictures_take_no_buttons_they_get_a_message_of_their_own() -> None:
    """As under a Telegram album."""
    limits = replace(PLAIN, buttons=True, buttons_with_files=False)
    drawn = ReplyState(phase=Phase.FINAL, answer=Answer(TurnState.DONE, "Fox"), files=FILES[:5])
    pictures, below = rows_of(drawn, replace(PAGE, limits=limits))
    assert not pictures
    assert Verb.AGAIN in below


def test_every_action_fits_where_platforms_keep_it() -> None:
    """Telegram takes 64 bytes; ids have ten characters."""
    for row in under_answer(Answer(TurnState.DONE, "Fox"), "a" * 10, 5, WORDS):
        for button in row:
            assert len(str(button.action).encode()) <= MAX_ACTION_BYTES
            assert Action.parse(str(button.action)) == button.action
