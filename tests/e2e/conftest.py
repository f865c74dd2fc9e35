"""What the tests of the whole program share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.servers.discord import DiscordServer
from tests.servers.telegram import TelegramServer


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramServer]:
    """One that enforces its limits."""
    async with TelegramServer(limits=True) as server:
        yield server


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    """One with nothing in it, that enforces its limits."""
    async with DiscordServer() as server:
        server.limits = (5, 5.0)
        yield server
