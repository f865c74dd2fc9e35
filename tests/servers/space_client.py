"""What the provider's tests do with a Space: connect to one, ask it, and look at what comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp

from bot.provider import DeepseekAI_JanusPro7b, Text
from bot.provider.gradio.client import ConfigCache, GradioClient
from bot.provider.http import HttpClient, Timeouts, open_session
from bot.provider.prompt import KNOWN_FUNCTIONS
from bot.provider.responses import Response
from tests.servers.faulty_space import FaultySpace, faulty_space

SOON = Timeouts(
    connect=30, answer=30, transfer=30, silence=30, generation=30, cancel=30, wake=30, poll=0.01
)


@asynccontextmanager
async def connected(
    timeouts: Timeouts = SOON, **fields: Any
) -> AsyncIterator[tuple[FaultySpace, GradioClient]]:
    """A server, and a client of it that has to leave no connection open."""
    async with faulty_space(**fields) as space, open_session() as session:
        http = HttpClient(session, space.url, timeouts=timeouts)
        yield space, GradioClient(http, ConfigCache(KNOWN_FUNCTIONS))
        assert isinstance(session.connector, aiohttp.BaseConnector)
        assert not session.connector._acquired


async def ask(made_by: DeepseekAI_JanusPro7b, *args: Any, **options: Any) -> list[Response]:
    """All responses of one request."""
    async with aclosing(made_by.create_async_generator(*args, **options)) as responses:
        return [response async for response in responses]


def text_of(responses: list[Response]) -> str:
    """The whole answer."""
    return "".join(response for response in responses if isinstance(response, Text))
