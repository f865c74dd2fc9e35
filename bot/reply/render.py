"""What a reply says, from its state. Pure: the same state and time give the same words."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from bot.actions import Action, Button, Rows, Verb, under_drawing
from bot.files import File
from bot.i18n import Words, literal
from bot.models import Ahead, Answer, TurnState
from bot.provider.responses import ImageResponse, JsonConversation, Reasoning, Response, Stage, Text
from bot.reply.splitting import split
from bot.reply.surface import Content, Limits, Mood


class Phase(enum.StrEnum):
    """How far a reply is."""

    WAITING = "waiting"
    """In the lane of its channel."""
    PARKED = "parked"
    """Waits for a Space's quota."""
    WORKING = "working"
    SUSPENDED = "suspended"
    """The bot stops; the turn goes on after the restart."""
    FINAL = "final"
    REMOVED = "removed"
    """Nothing should stand there any more."""


@dataclass(frozen=True, slots=True)
class ReplyState:
    """Everything that a reply's look depends on, but the time.

    Attributes:
        phase: how far it is.
        ahead: what comes before it in the bot's own queues, while it waits.
        parked_until: when it goes on, in seconds of the reply's clock, while it is parked.
        text: what the provider wrote so far.
        progress: the newest progress, if any.
        progress_at: when `progress` came, in seconds of the reply's clock.
        resumed: the bot was restarted since the turn was accepted.
        answer: what is owed, in the final phase.
        uploads: the pictures of `answer`.
    """

    phase: Phase = Phase.WAITING
    ahead: Ahead | None = None
    parked_until: float = 0.0
    text: str = ""
    progress: Reasoning | None = None
    progress_at: float = 0.0
    resumed: bool = False
    answer: Answer | None = None
    uploads: tuple[File, ...] = ()

    def with_response(self, response: Response, now: float) -> ReplyState:
        """The state after the provider yielded `response` at `now`."""
        match response:
            case Text():
                return replace(self, phase=Phase.WORKING, text=self.text + response)
            case Reasoning():
                return replace(
                    self,
                    phase=Phase.WORKING,
                    progress=_merged(self.progress, response),
                    progress_at=now,
                )
            case ImageResponse() | JsonConversation():
                # Pictures are shown when they are stored, as part of the answer.
                return self


def _merged(before: Reasoning | None, after: Reasoning) -> Reasoning:
    """A log line says nothing about steps, so those known stay."""
    if before is None or not after.level or before.stage is not after.stage:
        return after
    return replace(before, note=after.note, level=after.level)


BAR = 12
"""Cells of a progress bar: fits a phone held upright."""

MOODS = {
    TurnState.DONE: Mood.DONE,
    TurnState.FAILED: Mood.FAILED,
    TurnState.CANCELLED: Mood.STOPPED,
}


@dataclass(frozen=True, slots=True)
class Page:
    """What a reply is written on.

    Attributes:
        limits: of the surface.
        measure: of the surface.
        words: the language of the reply.
    """

    limits: Limits
    measure: Callable[[str], int]
    words: Words


def contents(
    state: ReplyState, page: Page, now: float, *, fresh: bool, rows: Rows = ()
) -> list[Content]:
    """The messages that a reply should consist of.

    Args:
        state: what to show.
        page: what it is written on.
        now: seconds on the clock of `state.progress_at`.
        fresh: no message of this reply stands in the channel yet.
        rows: buttons for the last message.

    Returns:
        One message at least, or none if the reply should go.
    """
    if state.phase is Phase.REMOVED:
        return []
    if state.phase is Phase.FINAL and state.answer is not None:
        mood = MOODS[state.answer.outcome]
        pieces = split(state.answer.text, page.limits.text, page.measure)
        texts = [piece.shown for piece in pieces if piece.shown.strip()]
        final = _final(texts or [page.words("answer-none")], state.uploads, page, mood, fresh=fresh)
        return _with_buttons_below(final, rows, page)
    if state.text.strip() and state.phase is Phase.WORKING:
        # Only the text: at every moment it is a beginning of what will stand.
        pieces = split(state.text, page.limits.text, page.measure)
        shown = [Content(piece.shown) for piece in pieces]
    else:
        shown = [Content(status(state, now, page.words))]
    if page.limits.buttons:
        # On the first message, which stays the first while the text grows.
        shown[0] = replace(shown[0], buttons=rows)
    return shown


def _with_buttons_below(shown: list[Content], rows: Rows, page: Page) -> list[Content]:
    """Under the last message, or in one of their own where pictures take none."""
    if not rows or not page.limits.buttons:
        return shown
    *rest, last = shown
    if last.files and not page.limits.buttons_with_files:
        return [*shown, Content(page.words("buttons-alone"), mood=last.mood, buttons=rows)]
    return [*rest, replace(last, buttons=rows)]


def _final(
    texts: list[str], uploads: Sequence[File], page: Page, mood: Mood, *, fresh: bool
) -> list[Content]:
    limits = page.limits
    batches = [
        tuple(uploads[start : start + limits.files])
        for start in range(0, len(uploads), limits.files)
    ]
    # Pictures join the last text where that message can take them; else they follow it.
    fits = page.measure(texts[-1]) <= limits.caption
    joined = bool(batches) and fits and (limits.attach or (fresh and len(texts) == 1))
    result = [Content(text, mood=mood) for text in texts]
    if joined:
        result[-1] = Content(texts[-1], batches.pop(0), mood)
    return result + [Content("", batch, mood) for batch in batches]


def status(state: ReplyState, now: float, words: Words) -> str:
    """The line that stands where the answer will be, two at most."""
    if state.phase is Phase.SUSPENDED:
        return words("status-restarting")
    if state.phase is Phase.WAITING and state.ahead is not None:
        line = _ahead(state.ahead, words)
    elif state.phase is Phase.PARKED:
        line = _parked(state.parked_until - now, words)
    elif state.progress is None:
        line = words("status-accepted")
    else:
        line = _progress(state.progress, now - state.progress_at, words)
    return f"{words('status-resumed')}\n{line}" if state.resumed else line


def _ahead(ahead: Ahead, words: Words) -> str:
    if not ahead.turns:
        line = words("ahead-next")
    else:
        where = "ahead-here" if ahead.here else "ahead-of-you"
        whose = "-mine" if ahead.mine == ahead.turns else ""
        line = words(where + whose, turns=ahead.turns, mine=ahead.mine)
    if ahead.space_queue:
        line = words("ahead-space-queue", line=line, queue=ahead.space_queue)
    return line


def _parked(left: float, words: Words) -> str:
    """The waiting room."""
    remaining = _remaining(left, 0.0, words)
    if not remaining:
        return words("status-parked-soon")
    return words("status-parked", remaining=remaining)


def _progress(progress: Reasoning, age: float, words: Words) -> str:
    match progress.stage:
        case Stage.CONNECTING:
            line = words("status-connecting")
        case Stage.WAKING:
            line = words("status-waking")
        case Stage.QUEUED:
            line = _queue(progress, words)
        case Stage.FETCHING:
            line = words("status-fetching")
        case Stage.RUNNING:
            line = _running(progress, words)
        case _:
            assert_never(progress.stage)
    remaining = _remaining(progress.eta, age, words)
    if remaining:
        line = words("status-with-remaining", line=line, remaining=remaining)
    if progress.note and progress.level:
        line = f"{line}\n{_quiet(progress.note)}"
    return line


def _queue(progress: Reasoning, words: Words) -> str:
    if progress.rank is None:
        return words("status-queue")
    place = progress.rank + 1
    if progress.queue_size is not None and progress.queue_size > progress.rank:
        return words("status-queue-place-of", place=place, size=progress.queue_size)
    return words("status-queue-place", place=place)


def _running(progress: Reasoning, words: Words) -> str:
    named = progress.note and not progress.level
    what = _quiet(progress.note) if named else words("status-working")
    if progress.done is None:
        return words("status-running", what=what)
    shown = {"bar": bar(progress.done), "percent": f"{progress.done * 100:.0f}", "what": what}
    if progress.index is not None and progress.length:
        return words(
            "status-progress-steps",
            **shown,
            index=f"{progress.index:g}",
            length=f"{progress.length:g}",
        )
    return words("status-progress", **shown)


def bar(share: float) -> str:
    """A bar of `BAR` cells, `share` of them (0.0 to 1.0) full."""
    full = round(min(1.0, max(0.0, share)) * BAR)
    return "▰" * full + "▱" * (BAR - full)


def _remaining(eta: float | None, age: float, words: Words) -> str:
    """What is left of an estimate, coarse enough not to change with every look."""
    if eta is None:
        return ""
    left = eta - age
    if left <= 0:
        return ""
    if left < 90:  # noqa: PLR2004 - from here on minutes say more than seconds
        return words("remaining-seconds", seconds=max(5, round(left / 5) * 5))
    return words("remaining-minutes", minutes=round(left / 60))


def _quiet(note: str) -> str:
    """Words of the Space on one line of a sane length."""
    line = " ".join(note.split())
    return literal(line if len(line) <= 120 else f"{line[:119]}…")  # noqa: PLR2004 - about two lines on a phone


def buttons(state: ReplyState, turn_id: str, words: Words) -> Rows:
    """Buttons for what a reply shows at the moment.

    While it is made it can be stopped; a drawing can be varied and handed out; what failed can be
    tried again.
    """
    if state.phase is Phase.FINAL and state.answer is not None:
        if state.answer.outcome is TurnState.FAILED:
            return ((Button(Action(Verb.RETRY, turn_id), words("button-retry")),),)
        if state.uploads:
            return under_drawing(turn_id, len(state.uploads), words)
        return ()
    if state.phase is Phase.REMOVED:
        return ()
    return ((Button(Action(Verb.STOP, turn_id), words("button-stop"), danger=True),),)
