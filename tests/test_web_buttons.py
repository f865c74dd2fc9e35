"""Buttons and downloads of the web chat, over real HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.actions import Action, Button, Verb
from bot.errors import StorageError
from bot.files import File
from bot.models import Imagine, Notice
from bot.platforms.web import WebAdapter
from bot.platforms.web.files import KEEP_DOWNLOADS_SECONDS, MAX_DOWNLOADS, Downloads
from tests.servers.web_bot import ScriptedWebBot, form, messages_url, picture

ROOM = "room-of-the-test"
ZIP = File(b"PK\x05\x06" + b"\0" * 18, "application/zip", "web_room.zip")


def presses_url(web: WebAdapter, room: str = ROOM) -> str:
    return f"{web.url}api/rooms/{room}/presses"


async def press(
    visitor: aiohttp.ClientSession, web: WebAdapter, action: Any, **more: Any
) -> dict[str, Any]:
    """Press a button; the answer."""
    body = {"id": "press-0001", "action": str(action)}
    async with visitor.post(presses_url(web), json=body, **more) as response:
        assert response.status == 202, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


async def test_a_press_reaches_the_dispatcher(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """Who, where and what arrive; whoever is in a room may manage it."""
    action = Action(Verb.AGAIN, "turn1")
    answer = await press(visitor, web, action)
    assert answer == {"message": "press-0001", "notice": None, "compose": None}
    ((message, pressed),) = web_bot.presses
    assert pressed == action
    assert (message.message_id, str(message.channel)) == ("press-0001", f"web:{ROOM}")
    assert message.address.data == {"room": ROOM, "reply": "press-0001"}
    assert message.moderator


async def test_a_press_is_answered_at_once(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A notice comes with its buttons, and says whether it takes the place of what was pressed."""
    row = (
        Button(Action(Verb.SET, "guidance", "7"), "7"),
        Button(Action(Verb.FORGET, "person"), "Delete", danger=True),
    )
    web_bot.press_notices.append(Notice("**5**", buttons=(row,), replaces=True))
    answer = await press(visitor, web, Action(Verb.SET, "guidance"))
    assert answer["notice"] == {
        "html": "<p><strong>5</strong></p>\n",
        "private": True,
        "buttons": [
            [
                {"action": "set:guidance:7", "label": "7", "danger": False, "chosen": False},
                {"action": "forget:person:", "label": "Delete", "danger": True, "chosen": False},
            ]
        ],
        "files": [],
        "replaces": True,
    }


@pytest.mark.parametrize("action", ["fly:turn1:", "no action", ""])
async def test_a_button_of_another_version(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot, action: str
) -> None:
    """A button that nobody knows any more says so, in the visitor's language."""
    answer = await press(visitor, web, action, headers={"Accept-Language": "ru-RU,en;q=0.5"})
    assert answer["notice"]["html"] == "<p>Это здесь уже не хранится.</p>\n"
    assert web_bot.presses == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"json": {"id": "press-0001"}}, 400),
        ({"json": {"id": 7, "action": "stop:x:"}}, 400),
        ({"json": {"id": "short", "action": "stop:x:"}}, 400),
        ({"json": {"id": "press-0001", "action": "stop:" + "x" * 64}}, 400),
        ({"json": ["press-0001", "stop:x:"]}, 400),
        ({"json": {"id": "press-0001", "action": "x" * 2000}}, 413),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"\xff", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": {"id": "press-0001", "action": "stop:x:"}}, 415),
    ],
)
async def test_what_is_no_press(
    visitor: aiohttp.ClientSession,
    web: WebAdapter,
    web_bot: ScriptedWebBot,
    body: dict[str, Any],
    status: int,
) -> None:
    """Malformed presses are refused with a sentence and reach nobody."""
    async with visitor.post(presses_url(web), **body) as response:
        assert response.status == status
        assert "A press is sent as JSON" in (await response.json())["error"]
    assert web_bot.presses == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_another_page_cannot_press(
    visitor: aiohttp.ClientSession,
    web: WebAdapter,
    web_bot: ScriptedWebBot,
    headers: dict[str, str],
) -> None:
    """Presses are guarded like messages."""
    body = {"id": "press-0001", "action": "delete:turn1:"}
    async with visitor.post(presses_url(web), json=body, headers=headers) as response:
        assert response.status == 403
    assert web_bot.presses == []


async def test_a_prompt_to_be_changed(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """The pencil hands the exact request back, in the room that it was made in and no other."""
    async with visitor.post(messages_url(web), data=form("/imagine a fox")) as response:
        assert response.status == 202
    turn = await web_bot.next_turn()
    web_bot.drawings[turn.id] = Imagine("a fox", 42, 5.0)
    answer = await press(visitor, web, Action(Verb.EDIT, turn.id))
    assert answer["compose"] == {"prompt": "a fox", "seed": 42, "guidance": 5.0}
    body = {"id": "press-0002", "action": f"edit:{turn.id}:"}
    async with visitor.post(presses_url(web, "another-room"), json=body) as response:
        answer = await response.json()
    assert answer["compose"] is None
    assert "not stored here any more" in answer["notice"]["html"]


@pytest.mark.parametrize(
    ("fields", "command"),
    [
        ({"seed": "42", "guidance": "5"}, Imagine("a fox", 42, 5.0)),
        ({"guidance": "6.5"}, Imagine("a fox", None, 6.5)),
        ({}, Imagine("a fox")),
        ({"prompt": "a fox --seed 7", "seed": "42"}, Imagine("a fox", 7)),
        ({"prompt": "/help a fox"}, Imagine("/help a fox")),
    ],
)
async def test_a_changed_drawing_comes_in_fields(
    visitor: aiohttp.ClientSession,
    web: WebAdapter,
    web_bot: ScriptedWebBot,
    fields: dict[str, str],
    command: Imagine,
) -> None:
    """Prompt, seed and guidance arrive as they were handed back, but for what was typed anew."""
    body = form("", None, **{"prompt": "a fox", **fields})
    async with visitor.post(messages_url(web), data=body) as response:
        assert response.status == 202
    assert (await web_bot.next_turn()).command == command


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"seed": "99999999999"}, 422, "seed"),
        ({"guidance": "nan"}, 422, "guidance"),
        ({"guidance": "100"}, 422, "guidance"),
        ({"seed": "x"}, 400, "multipart form"),
        ({"guidance": "x"}, 400, "multipart form"),
        ({"prompt": "--seed 7"}, 422, "/imagine"),
    ],
)
async def test_a_drawing_that_cannot_be(
    visitor: aiohttp.ClientSession,
    web: WebAdapter,
    web_bot: ScriptedWebBot,
    fields: dict[str, str],
    status: int,
    sentence: str,
) -> None:
    """Values out of range get the sentence of the command; what no page sends is refused."""
    body = form("", None, **{"prompt": "a fox", **fields})
    async with visitor.post(messages_url(web), data=body) as response:
        assert response.status == status
        assert sentence in (await response.json())["error"]
    assert web_bot.received == []


async def test_files_are_handed_out(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A file can be saved under its name, as often as a download breaks off, and never runs."""
    web_bot.notice = Notice("Here it is.", files=(ZIP,))
    async with visitor.post(messages_url(web), data=form("/export")) as response:
        (file,) = (await response.json())["notice"]["files"]
    assert (file["name"], file["type"], file["size"]) == ("web_room.zip", ZIP.media_type, 22)
    for _ in range(2):
        async with visitor.get(web.url.rstrip("/") + file["url"]) as response:
            assert await response.read() == ZIP.data
            assert response.content_type == "application/zip"
            assert response.headers["Content-Disposition"] == 'attachment; filename="web_room.zip"'
            assert "sandbox" in response.headers["Content-Security-Policy"]
            assert "no-store" in response.headers["Cache-Control"]
    async with visitor.get(f"{web.url}files/{'ab' * 16}") as response:
        assert response.status == 404
        assert "not here any more" in (await response.json())["error"]


async def test_a_full_disk_is_told(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """A file that cannot be kept is an answer and no crash."""
    (tmp_path / "files").mkdir(exist_ok=True)
    (tmp_path / "files" / "downloads").write_text("in the way")
    web_bot.press_notices.append(Notice("Here it is.", files=(ZIP,)))
    body = {"id": "press-0001", "action": "full:turn1:1"}
    async with visitor.post(presses_url(web), json=body) as response:
        assert response.status == 503
        assert "cannot write anything down" in (await response.json())["error"]


async def test_names_of_files_cannot_break_out(tmp_path: Path) -> None:
    """Whatever a name has in it, header and path stay what they are."""
    downloads = Downloads(tmp_path / "out")
    kept = await downloads.add(File(b"x", "application/zip", '../a"\r\nX: y.zip'))
    assert kept["name"] == ".._a_X_y.zip"
    assert [path.parent for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "out"]


async def test_downloads_grow_old(tmp_path: Path) -> None:
    """After some minutes a file is gone from the disk, and so is what came before too many."""
    now = time.monotonic()
    downloads = Downloads(tmp_path / "out", clock=lambda: now)
    kept = [await downloads.add(ZIP) for _ in range(MAX_DOWNLOADS + 1)]
    first, *_, key = [file["url"].rpartition("/")[2] for file in kept]
    with pytest.raises(KeyError):
        downloads.response(first)
    downloads.response(key)
    now += KEEP_DOWNLOADS_SECONDS
    with pytest.raises(KeyError):
        downloads.response(key)
    assert list((tmp_path / "out").iterdir()) == []
    await downloads.add(ZIP)
    earlier = tmp_path / "handouts" / "export.zip"
    earlier.parent.mkdir()
    earlier.touch()
    downloads.clear()
    assert list(tmp_path.iterdir()) == [], "what an earlier version kept goes as well"


async def test_the_transcript_has_buttons_and_forgets_what_was_removed(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """In the visitor's language; after the bin there is nothing left of an answer."""
    async with visitor.post(messages_url(web), data=form("/imagine a hill")) as response:
        assert response.status == 202
    turn = await web_bot.next_turn()
    await web_bot.finish(web, turn, "one hill", [picture(1, 2, 3)])

    async def transcript() -> dict[str, Any]:
        url = f"{web.url}api/rooms/{ROOM}/turns"
        async with visitor.get(url, headers={"Accept-Language": "ru"}) as response:
            (shown,) = (await response.json())["turns"]
            return dict(shown)

    (verbs, numbers) = (await transcript())["answer"]["buttons"]
    assert verbs[0] == {
        "action": f"again:{turn.id}:",
        "label": "Новые",
        "danger": False,
        "chosen": False,
    }
    assert [button["action"] for button in numbers] == [f"full:{turn.id}:1"]
    await web_bot.remove(web, turn)
    shown = await transcript()
    assert (shown["answer"], shown["removed"]) == (None, True)


async def test_what_is_forgotten_does_not_come_back(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """After the deletion of stored data no new page is told of finished replies."""
    async with visitor.post(messages_url(web), data=form("a secret?")) as response:
        assert response.status == 202
    await web_bot.finish(web, await web_bot.next_turn(), "a secret")
    forget = Action(Verb.FORGET, "channel")
    web_bot.press_notices += [Notice("Not yours."), Notice("Deleted.", replaces=True)]
    for told in (True, False):
        await press(visitor, web, forget)
        async with visitor.get(f"{web.url}api/rooms/{ROOM}/events") as stream:
            seen = await stream.content.readuntil(b"event: ready")
        assert (b"a secret" in seen) is told


async def test_trouble_behind_a_press_is_told(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot, monkeypatch: Any
) -> None:
    """When the database cannot be read, the person gets a sentence and may press again."""

    async def fails(*_: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(web_bot, "turns", fails)
    body = {"id": "press-0001", "action": "edit:turn1:"}
    async with visitor.post(presses_url(web), json=body) as response:
        assert response.status == 503
    async with visitor.get(f"{web.url}api/rooms/{ROOM}/turns") as response:
        assert response.status == 503
        assert "The disk is full" not in await response.text()
