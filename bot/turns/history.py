"""What a question is sent with: earlier exchanges, and the picture that it is about. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.turn import Exchange

DESCRIBE = "Describe this image."
"""The question of a picture that comes without words."""


def messages(system_prompt: str, history: Sequence[Exchange], question: str) -> list[Any]:
    """Role/content dictionaries for the provider, oldest first, ending with the question.

    The provider keeps as many of the newest as its token budget takes.
    """
    result: list[dict[str, str]] = []
    if system_prompt:
        result.append({"role": "system", "content": system_prompt})
    people = {exchange.person for exchange in history}
    for exchange in history:
        # Names only where there are several: alone they are noise to the model.
        name = f"{exchange.person}: " if len(people) > 1 else ""
        result.append({"role": "user", "content": f"{name}{exchange.question}"})
        result.append({"role": "assistant", "content": exchange.answer})
    result.append({"role": "user", "content": question or DESCRIBE})
    return result


def newest_picture(history: Sequence[Exchange]) -> str | None:
    """Key of the channel's newest picture inside the history, if there is one."""
    for exchange in reversed(history):
        if exchange.pictures:
            return exchange.pictures[0]
    return None
