"""Pictures to a Gradio server, and pictures from it."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
from yarl import URL

from bot.errors import GenerationFailed, ImageError, ProviderError, SpaceUnreachable
from bot.files import File
from bot.image import to_bytes
from bot.provider.errors import image_too_large, was_closed
from bot.provider.gradio.client import GradioClient
from bot.provider.gradio.config import SpaceConfig
from bot.provider.http import REDIRECTS, Answer, HttpClient

MAX_IMAGES = 20
"""Pictures of one call that are fetched; the original app makes five."""
MAX_DOWNLOAD_BYTES = 32 * 1024 * 1024
"""Of one picture made by a Space; the original app's have 62 kB."""
MAX_DATA_URL_BYTES = 720 * 1024
"""Of a picture that goes into the request, which saves a round trip, and makes it a third larger.
With it, a request stays below a mebibyte: nginx refuses more unless told otherwise."""
_MAX_REDIRECTS = 3
_SCHEMES = ("http://", "https://")

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
    # aiohttp percent-encodes other names, and Gradio keeps the encoding in the path.
    name = f"picture.{picture.media_type.partition('/')[2]}"

    async def send() -> Answer:
        form = aiohttp.FormData()
        form.add_field(
            "files", io.BytesIO(picture.data), filename=name, content_type=picture.media_type
        )
        return await http.fetch("POST", f"{config.prefix}/upload", data=form, limits=http.slow)

    try:
        answer = await send()
    except SpaceUnreachable as error:
        if not was_closed(error):
            raise
        answer = await send()  # the same file twice is one file there
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        raise image_too_large(len(picture.data), config.max_file_size)
    match answer.json():
        case [str(path), *_]:
            return path
        case _:
            raise SpaceUnreachable(f"{http.host} did not take the picture.")


def gallery_paths(data: Sequence[Any]) -> list[str]:
    """Where the pictures of an output are, `MAX_IMAGES` at most, as `download` takes them.

    They are in the first output that has any: a list, or a single one; each as a file, below
    `image`, as a pair with its caption, or only as an address or a data URL; perhaps in an update.
    """
    for output in data:
        value = plain_value(output)
        items = value if isinstance(value, list) else [value]
        paths = [path for item in items[:MAX_IMAGES] if (path := _where(item))]
        if paths:
            return paths
    return []


def plain_value(output: Any) -> Any:
    """The value of an output, which may be wrapped in an update of its component."""
    if isinstance(output, dict) and output.get("__type__") == "update":
        return output.get("value")
    return output


def _where(item: Any) -> str:
    """A path on the server, an address or a data URL; `""` for what is no picture.

    The path goes first: the `url` beside it may name a host that only the server sees.
    """
    match plain_value(item):
        case {"image": dict(file)}:
            return _where(file)
        case {"path": str(path)} if path:
            return path
        case {"url": str(url)} if url:
            return url
        case {"image": str(text)} | str(text) if text.startswith(("data:image/", *_SCHEMES, "/")):
            return text
        case [dict() | str() as file, *_]:
            return _where(file)
        case _:
            return ""


async def download(client: GradioClient, paths: Sequence[str], *, tries: int = 2) -> list[bytes]:
    """Fetch files that the Space made, all at once, in the order given.

    Args:
        client: of the server that made them.
        paths: as `gallery_paths` gives them.
        tries: for each; making a picture costs far more than fetching it twice.

    Raises:
        GenerationFailed: one is missing, too large, or kept elsewhere.
        ProviderError: the network failed.
    """
    files = await download_what_is_there(client, paths, tries=tries)
    for file in files:
        if isinstance(file, ProviderError):
            raise file
    return [file for file in files if isinstance(file, bytes)]


async def download_what_is_there(
    client: GradioClient, paths: Sequence[str], *, tries: int = 2
) -> list[bytes | ProviderError]:
    """The same, with the error in the place of each file that cannot be fetched."""
    prefix = (await client.config()).prefix
    tasks = [asyncio.create_task(_file(client.http, prefix, path, tries)) for path in paths]
    try:
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    results: list[bytes | ProviderError] = []
    for task in tasks:
        try:
            results.append(task.result())
        except ProviderError as error:
            results.append(error)
    return results


async def _file(http: HttpClient, prefix: str, path: str, tries: int) -> bytes:
    if path.startswith("data:"):
        try:
            return to_bytes(path)
        except ImageError:
            raise GenerationFailed("The Space sent a picture that cannot be read.") from None
    target = _target(http, prefix, path)
    for tries_left in reversed(range(tries)):
        try:
            return await _followed(http, target)
        except (SpaceUnreachable, GenerationFailed) as error:
            if not tries_left:
                raise
            _log.debug("picture not fetched at first: %s", error)
        await asyncio.sleep(http.timeouts.poll)
    raise AssertionError("there is a last try")


def _target(http: HttpClient, prefix: str, path: str) -> str:
    """What to ask the server for.

    Raises:
        GenerationFailed: it is on another server.
    """
    if path.startswith(_SCHEMES):
        # The server's own idea of its address may be wrong, but not that of the path after it.
        _, mark, after = path.partition("/file=")
        if not mark:
            return _on_same_server(http, "/", path)
        path = unquote(after)
    # `/` and `:` are kept: that is how Gradio itself writes these addresses.
    return f"{prefix}/file={quote(path, safe='/:', errors='replace')}"


async def _followed(http: HttpClient, target: str) -> bytes:
    """The file at an address, over redirects on the same server."""
    for _ in range(1 + _MAX_REDIRECTS):
        answer = await http.fetch("GET", target, max_bytes=MAX_DOWNLOAD_BYTES, limits=http.slow)
        if answer.status == HTTPStatus.OK:
            return answer.body
        if answer.status not in REDIRECTS:
            raise GenerationFailed(
                f"The Space made a picture that it does not hand out (HTTP {answer.status})."
            )
        target = _on_same_server(http, target, answer.headers.get("Location", ""))
    raise GenerationFailed("The Space sends the bot in circles for its picture.")


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
