"""What a reply says, from its state. Pure: the same state and time give the same words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from bot.provider.response import Reasoning, Stage
from bot.reply.splitting import split
from bot.reply.state import Phase, ReplyState
from bot.reply.surface import Content, Limits, Mood, Upload
from bot.turn import TurnState

BAR = 12
"""Cells of a progress bar: fits a phone held upright."""

MOODS = {
    TurnState.DONE: Mood.DONE,
    TurnState.FAILED: Mood.FAILED,
    TurnState.CANCELLED: Mood.STOPPED,
}


def contents(
    state: ReplyState, limits: Limits, measure: Callable[[str], int], now: float, *, fresh: bool
) -> list[Content]:
    """The messages that a reply should consist of.

    Args:
        state: what to show.
        limits: of the surface.
        measure: of the surface.
        now: seconds on the clock of `state.progress_at`.
        fresh: no message of this reply stands in the channel yet.

    Returns:
        One message at least.
    """
    if state.phase is Phase.FINAL and state.answer is not None:
        mood = MOODS[state.answer.outcome]
        pieces = split(state.answer.text, limits.text, measure)
        texts = [piece.shown for piece in pieces if piece.shown.strip()]
        return _final(texts, state.uploads, limits, measure, mood=mood, fresh=fresh)
    if state.text.strip() and state.phase is Phase.WORKING:
        # Only the text: at every moment it is a beginning of what will stand.
        return [Content(piece.shown) for piece in split(state.text, limits.text, measure)]
    return [Content(status(state, now))]


def _final(
    texts: list[str],
    uploads: Sequence[Upload],
    limits: Limits,
    measure: Callable[[str], int],
    *,
    mood: Mood,
    fresh: bool,
) -> list[Content]:
    if not uploads:
        return [Content(text, mood=mood) for text in texts or ["(no answer)"]]
    batches = [
        tuple(uploads[start : start + limits.files])
        for start in range(0, len(uploads), limits.files)
    ]
    # Pictures join the last text where that message can take them; else they follow it.
    fits = bool(texts) and measure(texts[-1]) <= limits.caption
    joined = fits and (limits.attach or (fresh and len(texts) == 1))
    result = [Content(text, mood=mood) for text in texts]
    if joined:
        result[-1] = Content(texts[-1], batches.pop(0), mood)
    return result + [Content("", batch, mood) for batch in batches]


def status(state: ReplyState, now: float) -> str:
    """The line that stands where the answer will be, two at most."""
    if state.phase is Phase.SUSPENDED:
        return "↻ The bot is restarting. Your request is kept and goes on by itself."
    if state.phase is Phase.WAITING and state.ahead:
        line = _lane(state.ahead, state.mine)
    elif state.progress is None:
        line = "⏳ Got it…"
    else:
        line = _progress(state.progress, now - state.progress_at)
    return f"↻ Restarted; your request goes on.\n{line}" if state.resumed else line


def _lane(ahead: int, mine: int) -> str:
    if mine == ahead:
        yours = "it is yours" if mine == 1 else "all yours"
        return f"⏳ {ahead} ahead in this chat, {yours}"
    yours = f", {mine} of them yours" if mine else ""
    return f"⏳ {ahead} ahead in this chat{yours}"


def _progress(progress: Reasoning, age: float) -> str:
    match progress.stage:
        case Stage.CONNECTING:
            line = "⏳ Asking the Space…"
        case Stage.WAKING:
            line = "☕ The Space is waking up; that can take some minutes"
        case Stage.QUEUED:
            line = _queue(progress)
        case Stage.FETCHING:
            line = "📥 Fetching the pictures…"
        case Stage.RUNNING:
            line = _running(progress)
        case _:
            assert_never(progress.stage)
    remaining = _remaining(progress.eta, age)
    if remaining:
        line = f"{line} · {remaining}"
    if progress.note and progress.level:
        line = f"{line}\n{_quiet(progress.note)}"
    return line


def _queue(progress: Reasoning) -> str:
    if progress.rank is None:
        return "⏳ In the Space's queue"
    place = f"{progress.rank + 1}"
    if progress.queue_size is not None and progress.queue_size > progress.rank:
        place = f"{place} of {progress.queue_size}"
    return f"⏳ Place {place} in the Space's queue"


def _running(progress: Reasoning) -> str:
    what = _quiet(progress.note) if progress.note and not progress.level else "Working"
    if progress.done is None:
        return f"⚙️ {what}…"
    steps = ""
    if progress.index is not None and progress.length:
        steps = f" {progress.index:g}/{progress.length:g}"
    return f"{bar(progress.done)} {progress.done:.0%} · {what}{steps}"


def bar(share: float) -> str:
    """A bar of `BAR` cells, `share` of them (0.0 to 1.0) full."""
    full = round(min(1.0, max(0.0, share)) * BAR)
    return "▰" * full + "▱" * (BAR - full)


def _remaining(eta: float | None, age: float) -> str:
    """What is left of an estimate, coarse enough not to change with every look."""
    if eta is None:
        return ""
    left = eta - age
    if left <= 0:
        return ""
    if left < 90:  # noqa: PLR2004 - from here on minutes say more than seconds
        return f"about {max(5, round(left / 5) * 5)} s"
    return f"about {round(left / 60)} min"


def _quiet(note: str) -> str:
    """Words of the Space on one line of a sane length."""
    line = " ".join(note.split())
    return line if len(line) <= 120 else f"{line[:119]}…"  # noqa: PLR2004 - about two lines on a phone
