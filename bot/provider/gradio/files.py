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
from bot.files import File
from bot.provider.errors import image_too_large
from bot.provider.gradio.client import GradioClient
from bot.provider.gradio.config import SpaceConfig
from bot.provider.http import Answer, HttpClient

MAX_IMAGES = 20
"""Pictures of one call that are fetched; the original app makes five."""
MAX_DOWNLOAD_BYTES = 32 * 1024 * 1024
"""Of one picture made by a Space; the original app's have 62 kB."""
MAX_DATA_URL_BYTES = 720 * 1024
"""Of a picture that goes into the request, which saves a round trip, and makes it a third larger.
With it, a request stays below a mebibyte: nginx refuses more unless told otherwise."""
_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_log = logging.getLogger(__name__)


async def image_input(client: GradioClient, config: SpaceConfig, picture: File) -> dict[str, Any]:
    """The value of an image input; uploads the picture where it cannot go in the request.

    It may hold the picture itself, so it is for a `JsonBody`.

    Args:
        client: of the server that will get it.
        config: what the server takes.
        picture: sent as it is.

    Raises:
        ImageTooLarge: above the limit of this Space.
        ProviderError: the upload failed.
    """
    meta, size = {"_type": "gradio.FileData"}, len(picture.data)
    if config.max_file_size is not None and size > config.max_file_size:
        raise image_too_large(size, config.max_file_size)
    if config.takes_data_urls and size <= MAX_DATA_URL_BYTES:
        return {"path": None, "url": picture, "meta": meta}
    return {"path": await _upload(client.http, config, picture), "meta": meta}


async def _upload(http: HttpClient, config: SpaceConfig, picture: File) -> str:
    form = aiohttp.FormData()
    # aiohttp percent-encodes other names, and Gradio keeps the encoding in the path.
    name = f"picture.{picture.media_type.partition('/')[2]}"
    form.add_field(
        "files", io.BytesIO(picture.data), filename=name, content_type=picture.media_type
    )
    answer = await http.fetch("POST", f"{config.prefix}/upload", data=form, limits=http.slow)
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise image_too_large(len(picture.data), config.max_file_size)
    match answer.json():
        case [str(path), *_]:
            return path
        case _:
            raise SpaceUnreachable(f"{http.host} did not take the picture.")


def gallery_paths(data: Sequence[Any]) -> list[str]:
    """The paths of the pictures in an output, `MAX_IMAGES` at most.

    The `url` beside each path may name a host that only the server sees.
    """
    match data:
        case [list(gallery), *_]:
            pass
        case _:
            return []
    paths: list[str] = []
    for item in gallery[:MAX_IMAGES]:
        match item:
            case {"image": {"path": str(path)}} if path:
                paths.append(path)
            case _:
                continue
    return paths


async def download(client: GradioClient, paths: Sequence[str], *, tries: int = 2) -> list[bytes]:
    """Fetch files that the Space made, all at once, in the order given.

    Args:
        client: of the server that made them.
        paths: on the server, as an output names them.
        tries: for each; making a picture costs far more than fetching it twice.

    Raises:
        GenerationFailed: one is missing, too large, or kept elsewhere.
        ProviderError: the network failed.
    """
    prefix = (await client.config()).prefix
    tasks = [asyncio.create_task(_file(client.http, prefix, path, tries)) for path in paths]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _file(http: HttpClient, prefix: str, path: str, tries: int) -> bytes:
    # `/` and `:` are kept: that is how Gradio itself writes these addresses.
    target = f"{prefix}/file={quote(path, safe='/:', errors='replace')}"
    for _ in range(1 + _MAX_REDIRECTS):
        answer = await _fetched(http, target, tries)
        if answer.status == HTTPStatus.OK:
            return answer.body
        if answer.status not in _REDIRECTS:
            raise GenerationFailed(
                f"The Space made a picture that it does not hand out (HTTP {answer.status})."
            )
        target = _on_same_server(http, target, answer.headers.get("Location", ""))
    raise GenerationFailed("The Space sends the bot in circles for its picture.")


async def _fetched(http: HttpClient, target: str, tries: int) -> Answer:
    """What is at an address, at the last try whatever that is."""
    for _ in range(tries - 1):
        try:
            answer = await http.fetch("GET", target, max_bytes=MAX_DOWNLOAD_BYTES, limits=http.slow)
            if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return answer
        except SpaceUnreachable as error:
            _log.debug("picture not fetched at first: %s", error)
        await asyncio.sleep(http.timeouts.poll)
    return await http.fetch("GET", target, max_bytes=MAX_DOWNLOAD_BYTES, limits=http.slow)


def _on_same_server(http: HttpClient, path: str, location: str) -> str:
    """The path that a redirect leads to.

    Raises:
        GenerationFailed: it leads to another server.
    """
    try:
        there = str(URL(http.base + path, encoded=True).join(URL(location, encoded=True)))
    except ValueError:
        there = ""
    if not there.startswith(f"{http.base}/") or not there.isascii():
        raise GenerationFailed("The Space keeps its picture on another server.")
    return there.removeprefix(http.base)
