"""Pictures to a Gradio server, and pictures from it."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from bot.errors import GenerationFailed, SpaceUnreachable
from bot.provider.failures import too_large
from bot.provider.gradio_config import SpaceConfig
from bot.provider.gradio_server import MAX_ANSWER, GradioServer
from bot.provider.request_body import DataUrl
from bot.provider.wire import Answer

MAX_FILE = 32 * 1024 * 1024
"""Bytes of one picture made by a Space; the original app's have 62 kB."""
MAX_DATA_URL = 720 * 1024
"""Bytes of a picture that goes into the request, which saves a round trip, and makes it a third
larger. With it, a request stays below a mebibyte: nginx refuses more unless told otherwise."""

_log = logging.getLogger(__name__)

_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


async def picture(
    server: GradioServer, config: SpaceConfig, data: bytes, media_type: str
) -> dict[str, Any]:
    """The value of an image input; uploads the picture where it cannot go in the request.

    It may hold a `DataUrl`, so it is for `bot.provider.request_body.JsonBody`.

    Args:
        server: that will get it.
        config: what the server takes.
        data: the file, sent as it is.
        media_type: e.g. `"image/png"`.

    Raises:
        ImageTooLarge: above the limit of this Space.
        ProviderError: the upload failed.
    """
    meta = {"_type": "gradio.FileData"}
    if config.max_file_size is not None and len(data) > config.max_file_size:
        raise too_large(len(data), config.max_file_size)
    if config.takes_data_urls and len(data) <= MAX_DATA_URL:
        return {"path": None, "url": DataUrl(media_type, data), "meta": meta}
    return {"path": await _upload(server, data, media_type, config), "meta": meta}


async def _upload(server: GradioServer, data: bytes, media_type: str, config: SpaceConfig) -> str:
    patience = server.wire.patience
    form = aiohttp.FormData()
    # aiohttp percent-encodes other names, and Gradio keeps the encoding in the path.
    name = f"picture.{media_type.partition('/')[2]}"
    form.add_field("files", io.BytesIO(data), filename=name, content_type=media_type)
    answer = await server.wire.fetch(
        "POST",
        f"{config.prefix}/upload",
        limit=MAX_ANSWER,
        data=form,
        timeout=patience.within(patience.transfer),
    )
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise too_large(len(data), config.max_file_size)
    server.expect_ok(answer)
    match answer.json():
        case [str(path), *_]:
            return path
        case _:
            raise SpaceUnreachable(f"{server.wire.host} did not take the picture.")


async def download(server: GradioServer, paths: Sequence[str]) -> list[bytes]:
    """Fetch files that the Space made, all at once, in the order given.

    Args:
        server: that made them.
        paths: on the server, as an output names them.

    Raises:
        GenerationFailed: one is missing, too large, or kept elsewhere.
        ProviderError: the network failed.
    """
    tasks = [asyncio.create_task(_file(server, path)) for path in paths]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _file(server: GradioServer, path: str) -> bytes:
    config = await server.config()
    # `/` and `:` are kept: that is how Gradio itself writes these addresses.
    target = f"{config.prefix}/file={quote(path, safe='/:', errors='replace')}"
    for _ in range(1 + _MAX_REDIRECTS):
        answer = await _fetched(server, target)
        if answer.status == HTTPStatus.OK:
            return answer.body
        if answer.status not in _REDIRECTS:
            raise GenerationFailed(
                f"The Space made a picture that it does not hand out (HTTP {answer.status})."
            )
        target = _same_server(server, target, answer.headers.get("Location", ""))
    raise GenerationFailed("The Space sends the bot in circles for its picture.")


async def _fetched(server: GradioServer, target: str) -> Answer:
    """What is at an address; tried twice, as the pictures have cost more than their way."""
    patience = server.wire.patience
    limits = patience.within(patience.transfer)
    try:
        answer = await server.wire.fetch("GET", target, limit=MAX_FILE, timeout=limits)
        if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return answer
    except SpaceUnreachable as error:
        _log.debug("picture not fetched at first: %s", error)
    await asyncio.sleep(patience.poll)
    return await server.wire.fetch("GET", target, limit=MAX_FILE, timeout=limits)


def _same_server(server: GradioServer, path: str, location: str) -> str:
    """The path that a redirect leads to.

    Raises:
        GenerationFailed: it leads to another server.
    """
    base = server.wire.base
    try:
        there = str(URL(base + path, encoded=True).join(URL(location, encoded=True)))
    except ValueError:
        there = ""
    if not there.startswith(f"{base}/") or not there.isascii():
        raise GenerationFailed("The Space keeps its picture on another server.")
    return there.removeprefix(base)
