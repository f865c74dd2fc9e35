"""Pictures that the bot made: how each was made, and what can be done with them. Pure."""

from __future__ import annotations

from dataclasses import replace

from bot.actions import Verb
from bot.files import Recipe
from bot.i18n import Words, code, literal
from bot.models import MAX_GUIDANCE, MIN_GUIDANCE, Imagine, Turn

GUIDANCE_STEP = 1.0


def told(recipe: Recipe, count: int, words: Words) -> str:
    """Everything that makes a picture again, and the command that does."""
    prompt = " ".join(recipe.prompt.split())
    guidance = f"{recipe.guidance:g}"
    return words(
        "recipe-told",
        prompt=literal(prompt),
        seed=str(recipe.seed),
        guidance=guidance,
        temperature=f"{recipe.temperature:g}",
        space=literal(recipe.space),
        number=str(recipe.index + 1),
        count=str(count),
        command=code(f"/imagine {prompt} --seed {recipe.seed} --guidance {guidance}"),
    )


def exact(turn: Turn, default_guidance: float) -> Imagine | None:
    """What a turn drew, with nothing left to chance; `None` if it drew nothing."""
    if not isinstance(turn.command, Imagine):
        return None
    guidance = turn.command.guidance
    return replace(
        turn.command,
        seed=turn.seed,
        guidance=default_guidance if guidance is None else guidance,
    )


def varied(drawing: Imagine, verb: Verb) -> Imagine | None:
    """The drawing that a press asks for; `None` if the guidance is at its end."""
    guidance = drawing.guidance or MIN_GUIDANCE
    match verb:
        case Verb.AGAIN:
            return replace(drawing, seed=None)
        case Verb.LESS if guidance > MIN_GUIDANCE:
            return replace(drawing, guidance=max(MIN_GUIDANCE, guidance - GUIDANCE_STEP))
        case Verb.MORE if guidance < MAX_GUIDANCE:
            return replace(drawing, guidance=min(MAX_GUIDANCE, guidance + GUIDANCE_STEP))
        case _:
            return None
