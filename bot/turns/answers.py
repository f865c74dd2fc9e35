"""The sentences that a turn can end with. Pure."""

from __future__ import annotations

from bot.errors import BotError, ImageError, ProviderError, QuotaExceeded
from bot.provider.response import Recipe
from bot.turn import Answer, Turn, TurnState

HELP = """\
I chat, look at pictures and draw, with Janus-Pro-7B.

- Write to me, or send a picture with a question. Without words I describe it. \
Your next questions are about the same picture.
- `/imagine a red fox in the snow` draws five pictures. \
Add `--seed 42` to get the same ones again, `--guidance 7` to follow your words more strictly \
(1 to 10).
- `/retry` answers again, `/stop` stops, `/reset` starts afresh.

The pictures are 384 pixels, enlarged to 768, and the model makes mistakes."""

RESET = "Done: I start afresh here. Nothing is deleted."
NOTHING_TO_STOP = "Nothing of yours is running here."
STOPPING = "Stopping."
NOTHING_TO_RETRY = "There is nothing to answer again yet. Ask me something first."
STILL_WORKING = "I am still working on the last request. Send /stop first if you want another try."
NO_STORAGE = (
    "I cannot write anything down right now, so I cannot take requests. "
    "Please try again later; my operator can see why in the log."
)
RESTARTING = "I am just restarting. Please send that again in a moment."


def caption(recipe: Recipe) -> str:
    """What stands over the pictures of one call."""
    prompt = " ".join(recipe.prompt.split())
    if len(prompt) > 300:  # noqa: PLR2004 - about four lines; the whole prompt is in the recipe
        prompt = f"{prompt[:299]}…"
    return f"{prompt}\nseed {recipe.seed} · guidance {recipe.guidance:g}"


def failed(turn: Turn, error: BotError, partial: str = "") -> Answer:
    """The answer of a turn that ended with an expected failure."""
    lines = [f"⚠️ {error}"]
    if isinstance(error, QuotaExceeded) or (
        isinstance(error, ProviderError) and error.retry_after is not None
    ):
        if error.retry_after:
            lines.append(
                f"It should work again in {_minutes(error.retry_after)}; then send /retry."
            )
    elif not isinstance(error, ImageError):
        lines.append("Send /retry to try again.")
    text = f"{' '.join(lines)} (#{turn.id})"
    return Answer(TurnState.FAILED, f"{partial.rstrip()}\n\n{text}" if partial.strip() else text)


def broken(turn: Turn) -> Answer:
    """The answer of a turn that ran into a mistake in this program."""
    return Answer(
        TurnState.FAILED,
        "⚠️ Something went wrong inside the bot. It is written down for its operator as "
        f"#{turn.id}. Send /retry to try again.",
    )


def stopped(partial: str) -> Answer:
    """The answer of a turn that its person stopped; what was written so far stays."""
    text = f"{partial.rstrip()}\n\n■ Stopped." if partial.strip() else "■ Stopped."
    return Answer(TurnState.CANCELLED, text)


def empty() -> str:
    """What stands where the model said nothing."""
    return "(The model had nothing to say. Ask in other words, or send /retry.)"


def _minutes(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004 - from here on minutes say more than seconds
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{round(minutes / 60)} h"  # noqa: PLR2004 - likewise hours
