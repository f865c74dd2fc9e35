"""Pictures to a Gradio client, and pictures from it."""

from __future__ import annotations

import pytest

from bot.errors import GenerationFailed, ImageTooLarge
from bot.files import File
from bot.provider.gradio.files import MAX_DATA_URL_BYTES, download, image_input
from tests.servers.faulty_space import PNG, config, faulty_space, firstly, only, reply
from tests.servers.space_client import connected


async def test_pictures_go_in_the_request_or_are_uploaded() -> None:
    """A data URL from 5.0 on while small, an upload otherwise; both exactly as given."""
    async with connected() as (space, client):
        small = await image_input(client, await client.config(), File(PNG, "image/png"))
        assert small["path"] is None
        assert small["url"] == File(PNG, "image/png")
        large = PNG + b"x" * MAX_DATA_URL_BYTES
        uploaded = await image_input(client, await client.config(), File(large, "image/png"))
        assert uploaded["path"] == "/srv/cache/picture.png"
        assert space.uploads == [("picture.png", large)]
    async with connected(config=config("4.44.1")) as (space, client):
        uploaded = await image_input(client, await client.config(), File(PNG, "image/png"))
        assert uploaded["path"] == "/srv/cache/picture.png"
        assert space.asked("/upload")


async def test_pictures_above_the_limit_of_the_space() -> None:
    """Refused before anything is sent if the limit is known, and as such if it is not."""
    async with connected(config={**config("6.31.0"), "max_file_size": 10}) as (space, client):
        with pytest.raises(ImageTooLarge, match="10 at most"):
            await image_input(client, await client.config(), File(PNG, "image/png"))
        assert not space.uploads
    refuse = only("/upload", reply(413, "File size exceeded"))
    async with connected(config=config("4.44.1"), refuse=refuse) as (_, client):
        with pytest.raises(ImageTooLarge):
            await image_input(client, await client.config(), File(PNG, "image/png"))


async def test_downloads_keep_their_order() -> None:
    """All at once, and in the order of the gallery, whatever their names."""
    files = {f"/srv/a b/ü {number}?.webp": bytes([number]) * 9 for number in range(5)}
    async with connected(files=files) as (_, client):
        assert await download(client, list(files)) == list(files.values())


async def test_downloads_stay_on_the_server() -> None:
    """A redirect is followed on the same server and nowhere else; a missing file is told."""
    async with faulty_space(files={"/b": b"elsewhere"}) as other:
        there = only("file=/a", reply(302, Location=f"{other.url}/gradio_api/file=/b"))
        here = only("file=/c", reply(302, Location="/gradio_api/file=/d"))
        loop = only("file=/e", reply(302, Location="/gradio_api/file=/e"))
        rules = firstly(there, here, loop)
        async with connected(refuse=rules, files={"/d": b"here"}) as (_, client):
            assert await download(client, ["/c"]) == [b"here"]
            for path in ("/a", "/e", "/missing"):
                with pytest.raises(GenerationFailed):
                    await download(client, ["/c", path])
        assert not other.requests
