"""A server that stands in for a Space, and a client's way to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from bot.provider.gradio_server import ConfigCache, GradioServer
from bot.provider.job import KNOWN
from bot.provider.wire import Patience, Wire, open_session
from tests.servers.faulty_space import FaultySpace, faulty_space

SOON = Patience(
    connect=30, answer=30, transfer=30, silence=30, generation=30, cancel=30, wake=30, poll=0.01
)


@asynccontextmanager
async def connected(
    patience: Patience = SOON, **fields: Any
) -> AsyncIterator[tuple[FaultySpace, GradioServer]]:
    """A server, and a client of it that has to leave no connection open."""
    async with faulty_space(**fields) as space, open_session() as session:
        yield space, GradioServer(Wire(session, space.url, patience=patience), ConfigCache(KNOWN))
        assert isinstance(session.connector, aiohttp.BaseConnector)
        assert not session.connector._acquired
