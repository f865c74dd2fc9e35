"""What a reply says, from its state. Pure: the same state and time give the same words."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, assert_never

from bot.actions import Action, Button, Rows, Verb, under_drawing
from bot.files import File
from bot.i18n import Words, literal
from bot.models import Ahead, Answer, TurnState
from bot.provider.responses import (
    ImageResponse,
    JsonConversation,
    Preview,
    Reasoning,
    Response,
    Stage,
    Text,
)
from bot.reply.splitting import split
from bot.reply.surface import Activity, Content, Limits, Mood, Status

MOODS: Final = MappingProxyType(
    {
        TurnState.DONE: Mood.DONE,
        TurnState.FAILED: Mood.FAILED,
        TurnState.CANCELLED: Mood.STOPPED,
    }
)
"""What a turn's outcome looks like."""

_BAR_CELLS = 12
"""Of a progress bar: fits a phone held upright."""
_MAX_NOTE_CHARS = 120
"""Of what the Space says: about two lines on a phone."""
_SIGNS = MappingProxyType(
    {
        Activity.WAITING: "⏳",
        Activity.WAKING: "☕",
        Activity.WORKING: "⚙️",
        Activity.FETCHING: "📥",
        Activity.PAUSED: "⏸",
        Activity.RESTARTING: "↻",
    }
)
_NOTE_SIGNS = MappingProxyType({Mood.FAILED: "⚠️ ", Mood.STOPPED: "■ "})


class Phase(enum.StrEnum):
    """How far a reply is."""

    WAITING = "waiting"
    """In the queue of its channel, or for a slot at the Spaces."""
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
        files: the pictures of `answer`.
        previews: what is shown of pictures that are being made, while it works.
    """

    phase: Phase = Phase.WAITING
    ahead: Ahead | None = None
    parked_until: float = 0.0
    text: str = ""
    progress: Reasoning | None = None
    progress_at: float = 0.0
    resumed: bool = False
    answer: Answer | None = None
    files: tuple[File, ...] = ()
    previews: tuple[File, ...] = ()

    def with_response(self, response: Response, now: float) -> ReplyState:
        """The state after the provider yielded `response` at `now`."""
        match response:
            case Text():
                return replace(self, phase=Phase.WORKING, text=self.text + response)
            case Reasoning():
                progress = response
                if response.level and self.progress and self.progress.stage is response.stage:
                    # A log line says nothing about steps, so those known stay.
                    progress = replace(self.progress, note=response.note, level=response.level)
                # Whoever connects begins anew, perhaps at another Space.
                kept = () if response.stage is Stage.CONNECTING else self.previews
                return replace(
                    self, phase=Phase.WORKING, progress=progress, progress_at=now, previews=kept
                )
            case Preview():
                return replace(self.with_previews(response.images), phase=Phase.WORKING)
            case ImageResponse() | JsonConversation():
                # Pictures are shown when they are stored, as part of the answer.
                return self

    def with_previews(self, pictures: Sequence[File]) -> ReplyState:
        """The state with these pictures in place of the previews shown so far."""
        return replace(self, previews=tuple(pictures))


@dataclass(frozen=True, slots=True)
class Page:
    """What a reply is written on.

    Attributes:
        limits: of the surface.
        measure: of the surface.
        words: the language of the reply.
        begins_with: whether the first message, if there is one in the channel, shows this already.
    """

    limits: Limits
    measure: Callable[[str], int]
    words: Words
    begins_with: Callable[[Content], bool] = lambda _: True


def is_countdown(state: ReplyState) -> bool:
    """Whether a reply in this state looks different after a while by itself: it shows a status."""
    if state.phase in (Phase.FINAL, Phase.REMOVED):
        return False
    return state.phase is not Phase.WORKING or not state.text.strip()


def contents(state: ReplyState, page: Page, now: float, turn_id: str) -> list[Content]:
    """The messages that a reply should consist of.

    Args:
        state: what to show.
        page: what it is written on.
        now: seconds on the clock of `state.progress_at`.
        turn_id: named by the buttons.

    Returns:
        One message at least, or none if the reply should go.
    """
    if state.phase is Phase.REMOVED:
        return []
    if state.phase is Phase.FINAL and state.answer is not None:
        rows = under_answer(state.answer, turn_id, len(state.files), page.words)
        return _final(state.answer, state.files, rows if page.limits.buttons else (), page)
    stop = Button(Action(Verb.STOP, turn_id), page.words("button-stop"), danger=True)
    rows = ((stop,),) if page.limits.buttons else ()
    if is_countdown(state):
        previews = state.previews if state.phase is Phase.WORKING else ()
        return [Content(status=status(state, now, page.words), buttons=rows, previews=previews)]
    # Only the text: at every moment it is a beginning of what will stand. The buttons are under the
    # first message, which stays the first while the text grows.
    first, *more = split(state.text, page.limits.text, page.measure)
    return [Content(first.shown, buttons=rows), *(Content(piece.shown) for piece in more)]


def under_answer(answer: Answer, turn_id: str, pictures: int, words: Words) -> Rows:
    """Buttons under a finished reply that shows this many pictures.

    A drawing can be varied and handed out; what failed can be tried again.
    """
    if answer.outcome is TurnState.FAILED:
        return ((Button(Action(Verb.RETRY, turn_id), words("button-retry")),),)
    return under_drawing(turn_id, pictures, words) if pictures else ()


def _final(answer: Answer, files: Sequence[File], rows: Rows, page: Page) -> list[Content]:
    limits, mood = page.limits, MOODS[answer.outcome]
    shown = _texts(answer, page)
    batches = [
        tuple(files[start : start + limits.files]) for start in range(0, len(files), limits.files)
    ]
    if not batches:
        return _with_buttons_below(shown, rows, page)
    below = [Content(files=batch, mood=mood) for batch in batches]
    apart = _with_buttons_below([*shown, *below], rows, page)
    if page.measure(markdown(shown[-1])) > limits.caption:
        return apart
    # Pictures join the last text where that message can take them; else they follow it.
    joined = [*shown[:-1], replace(shown[-1], files=batches[0]), *below[1:]]
    joined = _with_buttons_below(joined, rows, page)
    fits = limits.attach or (len(shown) == 1 and page.begins_with(joined[0]))
    return joined if fits else apart


def _with_buttons_below(shown: list[Content], rows: Rows, page: Page) -> list[Content]:
    """Under the last message, or in one of their own where pictures take none."""
    if not rows:
        return shown
    *rest, last = shown
    if last.files and not page.limits.buttons_with_files:
        return [*shown, Content(page.words("buttons-alone"), mood=last.mood, buttons=rows)]
    return [*rest, replace(last, buttons=rows)]


def _texts(answer: Answer, page: Page) -> list[Content]:
    """The messages of an answer without its pictures; the note stands in the last one."""
    mood = MOODS[answer.outcome]
    pieces = split(answer.text, page.limits.text, page.measure)
    shown = [Content(piece.shown, mood=mood) for piece in pieces if piece.shown.strip()]
    if not answer.note:
        return shown or [Content(page.words("answer-none"), mood=mood)]
    if shown:
        *rest, last = shown
        last = replace(last, note=answer.note)
        if page.measure(markdown(last)) <= page.limits.text:
            return [*rest, last]
    return [*shown, Content(mood=mood, note=answer.note)]


def markdown(content: Content) -> str:
    """A message's words as Markdown, its status and note with their signs.

    For platforms on which all of that is text.
    """
    if (status := content.status) is None:
        note = f"{_NOTE_SIGNS.get(content.mood, '')}{content.note}" if content.note else ""
        return "\n\n".join(part for part in (content.text.rstrip(), note) if part)
    line = f"{_SIGNS[status.activity]} {status.text}"
    if status.share is not None:
        line = f"{bar(status.share)} {status.share * 100:.0f}% · {status.text}"
    if status.remaining:
        line = f"{line} · {status.remaining}"
    resumed = f"{_SIGNS[Activity.RESTARTING]} {status.resumed}" if status.resumed else ""
    return "\n".join(part for part in (resumed, line, status.note) if part)


def bar(share: float) -> str:
    """A progress bar of twelve cells, `share` of them (0.0 to 1.0) full."""
    full = round(min(1.0, max(0.0, share)) * _BAR_CELLS)
    return "▰" * full + "▱" * (_BAR_CELLS - full)


def status(state: ReplyState, now: float, words: Words) -> Status:
    """What stands where the answer will be."""
    if state.phase is Phase.SUSPENDED:
        return Status(Activity.RESTARTING, words("status-restarting"))
    if state.phase is Phase.WAITING and state.ahead is not None:
        shown = Status(Activity.WAITING, _ahead(state.ahead, words))
    elif state.phase is Phase.PARKED:
        shown = Status(Activity.PAUSED, _parked(state.parked_until - now, words))
    elif state.progress is None:
        shown = Status(Activity.WAITING, words("status-accepted"))
    else:
        shown = _progress(state.progress, now - state.progress_at, words)
    return replace(shown, resumed=words("status-resumed")) if state.resumed else shown


def _ahead(ahead: Ahead, words: Words) -> str:
    if not ahead.turns:
        line = words("ahead-next")
    else:
        where = "ahead-here" if ahead.here else "ahead-of-you"
        whose = "-mine" if ahead.mine == ahead.turns else ""
        line = words(where + whose, turns=ahead.turns, mine=ahead.mine)
    if ahead.space_queue:
        line = words("ahead-space-queue", line=line, queue=ahead.space_queue)
    if ahead.drawings_left is not None:
        line = words("ahead-gpu-time", line=line, count=ahead.drawings_left)
    return line


def _parked(left: float, words: Words) -> str:
    remaining = _remaining(left, words)
    return words("status-parked", remaining=remaining) if remaining else words("status-parked-soon")


def _progress(progress: Reasoning, age: float, words: Words) -> Status:
    match progress.stage:
        case Stage.CONNECTING:
            shown = Status(Activity.WAITING, words("status-connecting"))
        case Stage.STARTING:
            shown = Status(Activity.WAKING, words("status-starting"))
        case Stage.WAKING:
            what = _one_line(progress.note) if progress.note and not progress.level else ""
            shown = Status(Activity.WAKING, what or words("status-waking"))
        case Stage.QUEUED:
            shown = Status(Activity.WAITING, _queue(progress, words))
        case Stage.FETCHING:
            shown = Status(Activity.FETCHING, words("status-fetching"))
        case Stage.RUNNING:
            shown = _running(progress, words)
        case _:
            assert_never(progress.stage)
    remaining = "" if progress.eta is None else _remaining(progress.eta - age, words)
    note = _one_line(progress.note) if progress.level else ""
    return replace(shown, remaining=remaining, note=note)


def _queue(progress: Reasoning, words: Words) -> str:
    if progress.rank is None:
        return words("status-queue")
    place = progress.rank + 1
    if progress.queue_size is not None and progress.queue_size > progress.rank:
        return words("status-queue-place-of", place=place, size=progress.queue_size)
    return words("status-queue-place", place=place)


def _running(progress: Reasoning, words: Words) -> Status:
    named = progress.note and not progress.level
    what = _one_line(progress.note) if named else words("status-working")
    if progress.done is None:
        return Status(Activity.WORKING, words("status-running", what=what))
    if progress.index is not None and progress.length:
        what = f"{what} {progress.index:g}/{progress.length:g}"
    return Status(Activity.WORKING, what, share=round(progress.done, 2))


def _remaining(seconds: float, words: Words) -> str:
    """What is left of an estimate, coarse enough not to change with every look."""
    if seconds <= 0:
        return ""
    if seconds < 90:  # noqa: PLR2004 - from here on minutes say more than seconds
        return words("remaining-seconds", seconds=max(5, round(seconds / 5) * 5))
    return words("remaining-minutes", minutes=round(seconds / 60))


def _one_line(note: str) -> str:
    """Words of the Space on one line of a sane length."""
    line = " ".join(note.split())
    if len(line) > _MAX_NOTE_CHARS:
        line = f"{line[: _MAX_NOTE_CHARS - 1]}…"
    return literal(line)
