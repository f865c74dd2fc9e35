"""Decodes what people send, in a process that may die of it.

Pillow decodes in C, and hostile files target such code. Here a file can bring down no more than
this process, which has limits on memory and time; and a bot to which nobody sends pictures never
loads Pillow.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import structlog

from bot import errors
from bot.errors import ImageError, ImageTooLarge, ImageUnreadable
from bot.files import File

log = structlog.get_logger(__name__)

_MAX_PICTURE_SECONDS = 20.0
"""For one picture; the slowest one accepted needs about two on a small machine."""
_IDLE_SECONDS = 60.0
"""After this the process ends; the next picture starts another, in a fifth of a second."""


class PictureWorker:
    """One process, started for a picture and ended when none has come for a while.

    Pictures are decoded one at a time, so that only one is in memory as pixels.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None

    async def normalise(self, data: bytes) -> File:
        """As `bot.image.normalising.normalise`, with its defaults.

        Raises:
            ImageTooLarge: too many bytes or pixels, or it takes too long.
            ImageUnreadable: truncated, broken, or not a picture that the Space can read.

        Cancelling: the process is ended, whatever it was at.
        """
        return await self._made(b"%d\n" % len(data), data)

    async def contact_sheet(self, pictures: Sequence[File]) -> File | None:
        """As `bot.image.contact_sheet.contact_sheet`, unless a picture is being decoded.

        Raises and is cancelled as `normalise`.
        """
        if self._one_at_a_time.locked():
            return None
        sizes = b" ".join(b"%d" % len(file.data) for file in pictures)
        return await self._made(b"sheet %s\n" % sizes, *(file.data for file in pictures))

    async def _made(self, *request: bytes) -> File:
        async with self._one_at_a_time:
            if self._idle is not None:
                self._idle.cancel()
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "bot.image"),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the bot, which finishes its turns
                )
            answer = None
            try:
                async with asyncio.timeout(_MAX_PICTURE_SECONDS):
                    answer, made = await _ask(self._process, request)
            except TimeoutError as error:
                raise ImageTooLarge("The picture takes too long to decode.") from error
            except (OSError, EOFError) as error:
                log.warning("the process that decodes pictures ended")
                raise ImageUnreadable(
                    "The picture is damaged or not complete. Try sending it again."
                ) from error
            finally:
                if answer is None:
                    await self.close()
            self._idle = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._end)
        if "error" in answer:
            kind: type[ImageError] = getattr(errors, answer["error"])
            raise kind(answer["text"])
        return File(made, answer["media_type"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process. Idempotent."""
        if self._idle is not None:
            self._idle.cancel()
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _end(self) -> None:
        """Let the process end by itself, by leaving it nothing to read."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()


async def _ask(
    process: asyncio.subprocess.Process, request: Sequence[bytes]
) -> tuple[dict[str, str], bytes]:
    """One request: a line, and what it announces.

    Raises:
        OSError, EOFError: the process ended.
    """
    assert process.stdin is not None  # noqa: S101 - asked for in `_made`
    assert process.stdout is not None  # noqa: S101 - likewise
    process.stdin.writelines(request)
    await process.stdin.drain()
    line = await process.stdout.readuntil(b"\n")
    answer = json.loads(line)
    return answer, await process.stdout.readexactly(answer["bytes"])
