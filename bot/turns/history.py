"""What a question is sent with: earlier exchanges, and the picture that it is about. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.models import Exchange

DESCRIBE = "Describe this image."
"""The question of a picture that comes without words."""


def messages(persona: str, history: Sequence[Exchange], question: str, person: str) -> list[Any]:
    """Role/content dictionaries for the provider, oldest first, ending with the question.

    The provider keeps as many of the newest as its token budget takes.

    Args:
        persona: said first, if there is one.
        history: earlier exchanges, oldest first.
        question: asked now; empty for "describe it".
        person: who asks now.
    """
    result: list[dict[str, str]] = []
    if persona:
        result.append({"role": "system", "content": persona})
    # Names only where there are several: alone they are noise to the model.
    several = len({person, *(exchange.person for exchange in history)}) > 1
    for exchange in history:
        result.append(_said(exchange.person, exchange.question, several))
        result.append({"role": "assistant", "content": exchange.answer})
    result.append(_said(person, question or DESCRIBE, several))
    return result


def _said(person: str, text: str, several: bool) -> dict[str, str]:
    # A name could pretend to be another's line, or the bot's.
    name = " ".join(person.replace(":", " ").split())[:40]
    return {"role": "user", "content": f"{name}: {text}" if several and name else text}


def newest_picture(history: Sequence[Exchange]) -> str | None:
    """Key of the channel's newest picture inside the history, if there is one."""
    for exchange in reversed(history):
        if exchange.pictures:
            return exchange.pictures[0]
    return None
