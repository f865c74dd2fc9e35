"""The web chat over real HTTP, with a scripted bot behind it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from bot.errors import AdapterError, StorageError
from bot.files import File
from bot.models import Ask, Imagine, Notice
from bot.platforms.web import UploadLimits, WebAdapter
from bot.reply.surface import Content
from bot.turns.commands import Stop
from tests.servers.web_bot import WAIT, ScriptedWebBot, form, messages_url, picture, serving

ROOM = "room-of-the-test"
TOKEN = "correct horse battery"
SMALL = UploadLimits(files=2, file_bytes=64 * 1024, text_bytes=1024)


class Events:
    """A reader of one event stream."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> dict[str, str]:
        """The fields of the next event."""
        fields: dict[str, str] = {}
        while True:
            line = (await asyncio.wait_for(self._response.content.readline(), WAIT)).decode()
            if not line:
                return {"event": "end"}
            if line == "\n" and "event" in fields:
                return fields
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value

    async def html(self) -> str:
        """The text of the next reply event."""
        event = await self.next()
        assert event["event"] == "reply"
        (message,) = json.loads(event["data"])["messages"]
        return str(message["html"])


@asynccontextmanager
async def events(
    visitor: aiohttp.ClientSession, web: WebAdapter, last: str = ""
) -> AsyncIterator[Events]:
    headers = {"Last-Event-ID": last} if last else {}
    async with visitor.get(f"{web.url}api/rooms/{ROOM}/events", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Events(response)


async def test_a_message_reaches_the_dispatcher(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """Text, pictures, room and language arrive; the upload can be fetched byte for byte."""
    data = picture(10, 120, 200)
    body = form("  what is\r\nthis?  ", {"hill.png": data}, id="message-0001")
    headers = {"Accept-Language": "de-CH,de;q=0.9"}
    async with visitor.post(messages_url(web), data=body, headers=headers) as response:
        assert response.status == 202
        taken = {"message": "message-0001", "notice": None, "compose": None}
        assert await response.json() == taken
    ((message, command),) = web_bot.received
    assert command == Ask("what is\nthis?")
    assert str(message.channel) == f"web:{ROOM}"
    assert message.message_id == "message-0001"
    assert message.person.language == "de-CH"
    assert ":" not in message.person.id
    assert message.moderator
    (attachment,) = message.attachments
    assert (attachment.name, attachment.size) == ("hill.png", len(data))
    assert await web.fetch(message.channel, attachment, len(data)) == data


async def test_commands_are_read_from_the_text(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A typed command is a command; a bad value is explained and starts nothing."""
    web_bot.notice = Notice("**Stopped.**")
    async with visitor.post(messages_url(web), data=form("/imagine a fox --seed 42")) as response:
        assert response.status == 202
    async with visitor.post(messages_url(web), data=form("/stop")) as response:
        assert response.status == 202
        answer = await response.json()
    assert [command for _, command in web_bot.received] == [Imagine("a fox", 42), Stop()]
    assert answer["notice"] == {
        "html": "<p><strong>Stopped.</strong></p>\n",
        "private": True,
        "buttons": [],
        "files": [],
        "replaces": False,
    }
    async with visitor.post(
        messages_url(web), data=form("/imagine --seed 99999999999")
    ) as response:
        assert response.status == 422
        assert "seed" in (await response.json())["error"]
    assert len(web_bot.received) == 2


async def test_a_browser_is_one_person_in_every_room(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A new room is not a new person, so it brings no new allowance."""
    async with visitor.get(web.url):
        pass
    for room in ("room-number-1", "room-number-2"):
        async with visitor.post(messages_url(web, room), data=form()) as response:
            assert response.status == 202
    first, second = (message.person for message, _ in web_bot.received)
    assert first == second


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (form("x" * 1025), 413, "1 KiB of text"),
        (form("x", {"a.png": b"x" * (64 * 1024 + 1)}), 413, "MiB at most"),
        (form("x", dict.fromkeys(("a", "b", "c"), b"x")), 413, "2 pictures at most"),
        (form("   "), 422, "Write something"),
        (form("x", id="short"), 400, "id of a message"),
        (form("x", other="field"), 400, "fields id, text and file"),
        ({"text": "x"}, 415, "multipart/form-data"),
    ],
)
async def test_bad_messages_get_a_sentence(
    visitor: aiohttp.ClientSession,
    web_bot: ScriptedWebBot,
    tmp_path: Path,
    body: Any,
    status: int,
    sentence: str,
) -> None:
    """Too much, too many, empty or malformed: a sentence, no turn, and no file left behind."""
    async with (
        serving(web_bot, tmp_path / "files", uploads=SMALL) as web,
        visitor.post(messages_url(web), data=body) as response,
    ):
        assert response.status == status
        assert sentence in (await response.json())["error"]
    assert web_bot.received == []
    assert not list((tmp_path / "files").glob("*"))


async def test_a_huge_upload_is_refused_while_it_comes_in(
    visitor: aiohttp.ClientSession, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """The answer comes long before the sender is done; it never needs the end of the file."""
    answered = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while not answered.is_set():
            yield b"x" * 16384
            await asyncio.sleep(0)

    async with serving(web_bot, tmp_path / "files", uploads=SMALL) as web:
        with aiohttp.MultipartWriter("form-data") as body:
            part = body.append(endless())
            part.set_content_disposition("form-data", name="file", filename="endless.png")
            async with visitor.post(messages_url(web), data=body) as response:
                answered.set()
                assert response.status == 413
    assert not list((tmp_path / "files").glob("*"))


async def test_a_stalled_upload_is_given_up(web_bot: ScriptedWebBot, tmp_path: Path) -> None:
    """A sender that stops in the middle does not hold the bot for ever."""
    async with serving(web_bot, tmp_path / "files", uploads=UploadLimits(seconds=0.2)) as web:
        port = int(web.url.rstrip("/").rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"POST /api/rooms/{ROOM}/messages HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n"
            '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nxx'.encode()
        )
        line = await asyncio.wait_for(reader.readline(), WAIT)
        assert b"408" in line
        writer.close()
        await writer.wait_closed()
    assert not list((tmp_path / "files").glob("*"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"--b\r\n",
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nhello',
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n'
        + b"x" * 99
        + b"\r\n--b--\r\n",
        bytes(range(256)) * 12,
    ],
)
async def test_a_broken_form_is_the_senders_mistake(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot, body: bytes
) -> None:
    """A body that is not what it says is answered with 4xx and never with 5xx."""
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    async with visitor.post(messages_url(web), data=body, headers=headers) as response:
        assert 400 <= response.status < 500
    assert web_bot.received == []


async def test_trouble_behind_it_is_told(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """When the database fails the person is told to come again; the log has the rest."""
    web_bot.error = StorageError("The disk is full.")
    async with visitor.post(messages_url(web), data=form()) as response:
        assert response.status == 503
        assert "cannot write anything down" in (await response.json())["error"]


async def test_files_that_cannot_be_removed_do_not_end_the_chat(
    visitor: aiohttp.ClientSession, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """The chat looks for old uploads as soon as it serves; here there is no folder of them."""
    files = tmp_path / "files"
    files.write_text("in the way")
    async with serving(web_bot, files) as web:
        for _ in range(3):
            async with visitor.post(messages_url(web), data=form("x")) as response:
                assert response.status == 202


async def test_an_upload_that_cannot_be_kept_is_told(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """When the disk refuses a picture, its sender gets a sentence, and nothing is asked."""
    (tmp_path / "files").write_text("in the way")
    async with visitor.post(messages_url(web), data=form("x", {"a.png": b"x"})) as response:
        assert response.status == 503
        assert "cannot write anything down" in (await response.json())["error"]
    assert web_bot.received == []


async def test_events_in_order_and_again_after_a_reconnect(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """Changes come in order; whoever comes back gets what is new since, and the newest of it."""
    async with visitor.post(messages_url(web), data=form()) as response:
        assert response.status == 202
    turn = await web_bot.next_turn()
    async with events(visitor, web) as stream:
        assert (await stream.next())["event"] == "ready"
        await web_bot.show(web, turn, Content("A"))
        first = await stream.next()
        assert "<p>A</p>" in first["data"]
        await web_bot.show(web, turn, Content("A hill"))
        seen = await stream.next()
        assert "<p>A hill</p>" in seen["data"]
    async with events(visitor, web, seen["id"]) as stream:
        assert (await stream.next())["event"] == "ready"
    await web_bot.finish(web, turn, "A hill under the sky.")
    async with events(visitor, web, seen["id"]) as stream:
        assert await stream.html() == "<p>A hill under the sky.</p>\n"
        assert (await stream.next())["event"] == "ready"
    async with events(visitor, web, "of-another-process-7") as stream:
        assert await stream.html() == "<p>A hill under the sky.</p>\n"


async def test_transcript_and_pictures(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A room has its own turns; pictures come with their type and stay in the browser's cache."""
    async with visitor.post(messages_url(web), data=form("/imagine a hill")) as response:
        assert response.status == 202
    data = picture(1, 2, 3)
    await web_bot.finish(web, await web_bot.next_turn(), "one *hill*", [data])
    async with visitor.get(f"{web.url}api/rooms/{ROOM}/turns") as response:
        (turn,) = (await response.json())["turns"]
    assert turn["question"] == "/imagine a hill"
    assert turn["answer"]["html"] == "<p>one <em>hill</em></p>\n"
    async with visitor.get(web.url.rstrip("/") + turn["answer"]["pictures"][0]["url"]) as response:
        assert await response.read() == data
        assert response.content_type == "image/png"
        assert "immutable" in response.headers["Cache-Control"]
    async with visitor.get(f"{web.url}api/rooms/another-room/turns") as response:
        assert await response.json() == {"turns": [], "complete": True}


async def test_previews_are_served_from_memory(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """While the drawing goes on, and nobody keeps them."""
    async with visitor.post(messages_url(web), data=form("/imagine a hill")) as response:
        assert response.status == 202
    turn, sketch = await web_bot.next_turn(), File(picture(9, 9, 9), "image/png")
    url = f"{web.url}previews/{sketch.key}"
    await web_bot.show(web, turn, Content("…", previews=(sketch,)))
    async with visitor.get(url) as response:
        assert await response.read() == sketch.data
        assert response.headers["Cache-Control"] == "no-store"
        assert "sandbox" in response.headers["Content-Security-Policy"]
    await web_bot.finish(web, turn, "a hill", [picture(1, 2, 3)])
    async with visitor.get(url) as response:
        assert response.status == 404
        assert (await response.json())["error"]


async def test_pictures_that_are_none(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """An unknown key is 404, and what could run as a page is only ever saved."""
    for key in ("ab" * 32, "short", "..%2F..%2Fetc%2Fpasswd"):
        async with visitor.get(f"{web.url}pictures/{key}") as response:
            assert response.status == 404
    key = web_bot.keep(b"<svg onload=alert(1)>", "image/svg+xml")
    async with visitor.get(f"{web.url}pictures/{key}") as response:
        assert response.content_type == "application/octet-stream"
        assert response.headers["Content-Disposition"] == "attachment"
        assert "sandbox" in response.headers["Content-Security-Policy"]


async def test_ready_only_when_every_adapter_is(
    visitor: aiohttp.ClientSession, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """`/readyz` names who is missing; `/healthz` does not care."""
    connected = {"web": True, "telegram": False}
    async with serving(web_bot, tmp_path, health=lambda: connected) as web:
        async with visitor.get(f"{web.url}readyz") as response:
            assert response.status == 503
            assert (await response.json())["adapters"] == {"web": True, "telegram": False}
        async with visitor.get(f"{web.url}healthz") as response:
            assert response.status == 200
        connected["telegram"] = True
        async with visitor.get(f"{web.url}readyz") as response:
            assert response.status == 200


async def test_metrics_as_prometheus_reads_them(
    visitor: aiohttp.ClientSession, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """The text comes through as it is, with the content type that scrapers want."""
    registry = CollectorRegistry()
    Counter("turns", "Turns ended.", registry=registry).inc(3)
    async with (
        serving(web_bot, tmp_path, metrics=lambda: generate_latest(registry)) as web,
        visitor.get(f"{web.url}metrics") as response,
    ):
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert "turns_total 3.0" in await response.text()


async def test_a_taken_port_is_a_sentence(
    web: WebAdapter, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """A second bot on the same port says what to do."""
    port = int(web.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(AdapterError, match=r"is taken by another program.*\[http\] port"):
        async with serving(web_bot, tmp_path, port=port):
            pass


async def test_an_address_of_another_machine_is_a_sentence(
    web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """An address that this machine does not have cannot be bound, and that is said."""
    with pytest.raises(AdapterError, match=r"cannot use 192\.0\.2\.1"):
        async with serving(web_bot, tmp_path, host="192.0.2.1", access_token=TOKEN):
            pass


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_ipv6(
    visitor: aiohttp.ClientSession, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """An IPv6 loopback address is written with brackets and answers to them."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no ::1")
    async with serving(web_bot, tmp_path, host="::1") as web, visitor.get(web.url) as response:
        assert web.url.startswith("http://[::1]:")
        assert response.status == 200


async def test_stopping_takes_nothing_in_and_ends_streams(
    visitor: aiohttp.ClientSession, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """Between `serve` and `close` replies are still shown; then all is closed."""
    web = WebAdapter(transcripts=web_bot, folder=tmp_path, port=0, health=dict, metrics=lambda: b"")
    await web.open()
    ready: asyncio.Queue[bool] = asyncio.Queue()
    serve = asyncio.create_task(web.serve(web_bot, ready.put_nowait))
    try:
        assert await asyncio.wait_for(ready.get(), WAIT) is True
        async with visitor.post(messages_url(web), data=form()) as response:
            assert response.status == 202
        turn = await web_bot.next_turn()
        async with events(visitor, web) as stream:
            assert (await stream.next())["event"] == "ready"
            serve.cancel()
            assert await asyncio.wait_for(ready.get(), WAIT) is False
            async with visitor.post(messages_url(web), data=form()) as response:
                assert response.status == 503
            await web_bot.finish(web, turn, "still shown")
            assert await stream.html() == "<p>still shown</p>\n"
            await asyncio.wait_for(web.close(), WAIT)
            assert (await stream.next())["event"] == "end"
        with pytest.raises(aiohttp.ClientConnectorError):
            await visitor.get(web.url)
    finally:
        await asyncio.wait([serve])
        await web.close()
