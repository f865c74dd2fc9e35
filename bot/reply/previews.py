"""Pictures that are being made, as one sheet, where a chat shows them so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import structlog

from bot.errors import ImageError
from bot.files import File

log = structlog.get_logger(__name__)

_BUSY_SECONDS: Final = 0.5
"""Until a sheet is tried again that something more important was in the way of."""

MakeSheet: TypeAlias = Callable[[Sequence[File]], Awaitable[File | None]]
"""Pastes pictures onto one sheet; `None` if there is something more important to do. Raises
`ImageError` for what is no picture."""


class Sheets:
    """Makes sheets of the newest previews of one reply, beside everything else.

    Args:
        make: makes one.
        seconds: from one sheet to the next at least.
        clock: monotonic seconds.
        show: called with each sheet.
    """

    def __init__(
        self,
        make: MakeSheet,
        *,
        seconds: float,
        clock: Callable[[], float],
        show: Callable[[File], None],
    ) -> None:
        self._make = make
        self._seconds = seconds
        self._clock = clock
        self._show = show
        self._due = clock()
        self._newest: Sequence[File] = ()
        self._task: asyncio.Task[None] | None = None

    def offer(self, pictures: Sequence[File]) -> None:
        """Make a sheet of these when one is due, unless newer ones come before."""
        self._newest = pictures
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="sheets")

    def stop(self) -> None:
        """Show nothing of what was offered so far."""
        self._newest = ()
        if self._task is not None:
            self._task.cancel()

    async def aclose(self) -> None:
        """Stop, and wait until that is done. Idempotent."""
        self.stop()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._newest:
            await asyncio.sleep(max(0.0, self._due - self._clock()))
            pictures, self._newest = self._newest, ()
            self._due = self._clock() + self._seconds
            try:
                sheet = await self._make(pictures)
            except ImageError as error:
                log.debug("no sheet of a preview", reason=str(error))
                continue
            if sheet is None:
                self._due = self._clock() + _BUSY_SECONDS
                newer: Sequence[File] = self._newest
                self._newest = newer or pictures
            else:
                self._show(sheet.described("preview.jpg", pictures[0].alt))
