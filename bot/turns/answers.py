"""What a turn can end with, in the language of who asked. Pure."""

from __future__ import annotations

import re

from bot.errors import BotError, ImageError, ProviderError, StorageError, SurfaceForbidden
from bot.files import Recipe
from bot.i18n import Words, literal
from bot.models import Answer, Turn, TurnState
from bot.turns.access import span

_MAX_CAPTION_CHARS = 300
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
    if len(prompt) > _MAX_CAPTION_CHARS:
        prompt = f"{prompt[: _MAX_CAPTION_CHARS - 1]}…"
    guidance = f"{recipe.guidance:g}"
    prompt = literal(prompt)
    return words("answer-caption", prompt=prompt, seed=str(recipe.seed), guidance=guidance)


def failed(turn: Turn, error: BotError, words: Words, partial: str = "") -> Answer:
    """The answer of a turn that ended with an expected failure; what was written so far stays."""
    why = reason(error, words)
    wait = error.retry_after if isinstance(error, ProviderError) else None
    if wait:
        note = words("answer-failed-wait", reason=why, wait=span(wait, words), turn=turn.id)
    elif isinstance(error, ImageError):
        note = words("answer-failed", reason=why, turn=turn.id)
    else:
        note = words("answer-failed-retry", reason=why, turn=turn.id)
    return Answer(TurnState.FAILED, partial.rstrip(), note=note)


def broken(turn: Turn, words: Words) -> Answer:
    """The answer of a turn that ran into a mistake in this program."""
    return Answer(TurnState.FAILED, "", note=words("answer-broken", turn=turn.id))


def stopped(partial: str, words: Words) -> Answer:
    """The answer of a turn that its person stopped; what was written so far stays."""
    return Answer(TurnState.CANCELLED, partial.rstrip(), note=words("answer-stopped"))


def lost(error: BotError, words: Words) -> Answer:
    """The answer of a turn whose reply cannot be finished: why, for whoever looks it up."""
    return Answer(TurnState.FAILED, "", note=reason(error, words))


def too_old(turn: Turn, words: Words) -> Answer:
    """The answer of a turn that nobody worked on for too long."""
    return Answer(TurnState.FAILED, "", note=words("answer-too-old", turn=turn.id))


def given_up(turn: Turn, words: Words) -> Answer:
    """The answer of a turn that never came to an end."""
    note = words("answer-given-up", attempts=turn.attempts, turn=turn.id)
    return Answer(TurnState.FAILED, "", note=note)


def undeliverable(turn: Turn, error: BotError, words: Words) -> str:
    """What a person is told elsewhere when the bot may not answer where they asked."""
    return words("answer-undeliverable", reason=reason(error, words), turn=turn.id)
