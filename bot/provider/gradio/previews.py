"""Pictures that are not finished, fetched beside the event stream that tells of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Final

from bot.errors import ImageError, ProviderError
from bot.files import File
from bot.image import is_accepted_format
from bot.provider.gradio.client import CallEvent, GradioClient
from bot.provider.gradio.events import Completed, Generating
from bot.provider.gradio.files import download, gallery_paths
from bot.provider.responses import Preview

_TIMEOUT_SECONDS: Final = 15.0
"""For the pictures of one preview; by then there should be a newer one."""

_log = logging.getLogger(__name__)


async def with_previews(
    client: GradioClient, events: AsyncGenerator[CallEvent, None]
) -> AsyncGenerator[CallEvent | Preview, None]:
    """The events of a drawing, and between them its pictures as far as they are made.

    One preview is fetched at a time, and after it the newest that was told of meanwhile. One that
    fails or is late is left out. No event waits for any, and none comes after `Completed`.

    Args:
        client: of the server that draws.
        events: of the call; whoever made them closes them.

    Raises:
        ProviderError: as `events` does.

    Cancelling: ends whatever is fetched, and the wait for the next event. So does closing.
    """
    wanted: list[str] = []
    asked: list[str] = []
    known: dict[str, File] = {}
    fetching: asyncio.Task[dict[str, File]] | None = None
    coming: asyncio.Task[CallEvent | None] | None = None
    try:
        while True:
            if fetching is None and wanted and wanted != asked:
                fetching = asyncio.create_task(_fetch(client, wanted, known))
                asked, wanted = wanted, []
            if fetching is None and coming is None:
                event = await anext(events, None)
            else:
                coming = coming or asyncio.create_task(_next(events))
                both = {task for task in (coming, fetching) if task is not None}
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if fetching is not None and not coming.done():
                    known, fetching = fetching.result(), None
                    if known:
                        yield Preview([known[path] for path in asked])
                    continue
                event, coming = coming.result(), None
            if event is None:
                return
            if isinstance(event, Completed):
                wanted = []
                await _end(fetching)
                fetching = None
            elif isinstance(event, Generating):
                wanted = gallery_paths(event.data)
            yield event
    finally:
        await _end(fetching, coming)


async def _next(events: AsyncGenerator[CallEvent, None]) -> CallEvent | None:
    return await anext(events, None)


async def _end(*tasks: asyncio.Task[object] | None) -> None:
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _fetch(client: GradioClient, paths: list[str], known: dict[str, File]) -> dict[str, File]:
    """The pictures by path, of which two may be the same; none if one cannot be had.

    Args:
        client: of the server that has them.
        paths: on that server.
        known: pictures that are here already: a finished one keeps its path.
    """
    missing = [path for path in dict.fromkeys(paths) if path not in known]
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            fetched = await download(client, missing, tries=1)
        files = known | {
            path: File(data, is_accepted_format(data))
            for path, data in zip(missing, fetched, strict=True)
        }
    except (TimeoutError, ProviderError, ImageError) as error:
        _log.debug("preview left out: %r", error)
        return {}
    return {path: files[path] for path in paths}
