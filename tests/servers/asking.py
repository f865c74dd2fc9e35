"""Ways to ask a provider and look at what comes."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from bot.provider import DeepseekAI_JanusPro7b, Text
from bot.provider.responses import Response


async def ask(made_by: DeepseekAI_JanusPro7b, *args: Any, **options: Any) -> list[Response]:
    """All responses of one request."""
    async with aclosing(made_by.create_async_generator(*args, **options)) as responses:
        return [response async for response in responses]


def text_of(responses: list[Response]) -> str:
    """The whole answer."""
    return "".join(response for response in responses if isinstance(response, Text))
