"""What a turn can end with, in the language of who asked. Pure."""

from __future__ import annotations

import re

from bot.errors import BotError, ImageError, ProviderError, StorageError, SurfaceForbidden
from bot.files import Recipe
from bot.i18n import Words, literal
from bot.models import Answer, Turn, TurnState
from bot.turns.access import span

LONGEST_PROMPT = 300
"""Characters of a prompt that stand over its pictures, about four lines; all are in the recipe."""


def reason(error: BotError, words: Words) -> str:
    """What happened, for people."""
    if isinstance(error, StorageError):
        return words("no-storage")
    if isinstance(error, SurfaceForbidden) and words.has(error.key):
        return words(error.key)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()
    key = f"error-{name}"
    return words(key if words.has(key) else "error-other", said=literal(str(error)))


def caption(recipe: Recipe, words: Words) -> str:
    """What stands over the pictures of one call."""
    prompt = " ".join(recipe.prompt.split())
    if len(prompt) > LONGEST_PROMPT:
        prompt = f"{prompt[: LONGEST_PROMPT - 1]}…"
    guidance = f"{recipe.guidance:g}"
    prompt = literal(prompt)
    return words("answer-caption", prompt=prompt, seed=str(recipe.seed), guidance=guidance)


def failed(turn: Turn, error: BotError, words: Words, partial: str = "") -> Answer:
    """The answer of a turn that ended with an expected failure."""
    why = reason(error, words)
    wait = error.retry_after if isinstance(error, ProviderError) else None
    if wait:
        text = words("answer-failed-wait", reason=why, wait=span(wait, words), turn=turn.id)
    elif isinstance(error, ImageError):
        text = words("answer-failed", reason=why, turn=turn.id)
    else:
        text = words("answer-failed-retry", reason=why, turn=turn.id)
    return Answer(TurnState.FAILED, f"{partial.rstrip()}\n\n{text}" if partial.strip() else text)


def broken(turn: Turn, words: Words) -> Answer:
    """The answer of a turn that ran into a mistake in this program."""
    return Answer(TurnState.FAILED, words("answer-broken", turn=turn.id))


def stopped(partial: str, words: Words) -> Answer:
    """The answer of a turn that its person stopped; what was written so far stays."""
    text = words("answer-stopped")
    return Answer(TurnState.CANCELLED, f"{partial.rstrip()}\n\n{text}" if partial.strip() else text)


def lost(error: BotError, words: Words) -> Answer:
    """The answer of a turn whose reply cannot be finished: why, for whoever looks it up."""
    return Answer(TurnState.FAILED, reason(error, words))


def undeliverable(turn: Turn, error: BotError, words: Words) -> str:
    """What a person is told elsewhere when the bot may not answer where they asked."""
    return words("answer-undeliverable", reason=reason(error, words), turn=turn.id)


def too_old(turn: Turn, words: Words) -> Answer:
    """The answer of a turn that nobody worked on for too long."""
    return Answer(TurnState.FAILED, words("answer-too-old", turn=turn.id))


def given_up(turn: Turn, words: Words) -> Answer:
    """The answer of a turn that never came to an end."""
    text = words("answer-given-up", attempts=turn.attempts, turn=turn.id)
    return Answer(TurnState.FAILED, text)
