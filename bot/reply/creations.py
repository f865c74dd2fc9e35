"""Keeps the creation of messages and the search for lost ones apart, within one chat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Creations:
    """Shared by all replies of a chat.

    Where messages have no names, a search would take a message for the lost one that another reply
    has just created and not stored yet. Creating does not exclude creating: a long upload keeps
    nobody's first sign of life waiting.
    """

    def __init__(self) -> None:
        self._count = 0
        self._no_creation = asyncio.Event()
        self._no_creation.set()
        self._no_search = asyncio.Event()
        self._no_search.set()

    @asynccontextmanager
    async def creating(self) -> AsyncIterator[None]:
        """From before a request that creates a message until its id is stored.

        Waits while a search looks at a message.
        """
        while not self._no_search.is_set():
            await self._no_search.wait()
        self._count += 1
        self._no_creation.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._no_creation.set()

    @asynccontextmanager
    async def searching(self) -> AsyncIterator[None]:
        """While a search looks at one message. Waits for creations and for other searches."""
        while self._count or not self._no_search.is_set():
            await self._no_creation.wait()
            await self._no_search.wait()
        self._no_search.clear()
        try:
            yield
        finally:
            self._no_search.set()
