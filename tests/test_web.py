"""The parts of the web chat that need no server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.actions import Action, Button, Verb
from bot.errors import AdapterError, ImageTooLarge, ImageUnreadable, PreviewUnsupported
from bot.files import File
from bot.i18n import Catalogue, Words, literal
from bot.models import (
    Address,
    Ahead,
    Answer,
    Ask,
    Attachment,
    ChannelKey,
    Imagine,
    IncomingMessage,
    JsonObject,
    Person,
    Turn,
    TurnState,
)
from bot.platforms.web import UploadLimits, pages
from bot.platforms.web import surface as web_surface
from bot.platforms.web.files import KEEP_UPLOADS_SECONDS, UploadStore
from bot.platforms.web.guard import Guard
from bot.platforms.web.pages import Pages, markdown_html
from bot.platforms.web.parsing import Languages
from bot.platforms.web.surface import (
    LIMITS,
    MAX_FINISHED,
    LiveMessage,
    LiveRooms,
    WebReceipt,
    WebSurface,
    WebTarget,
)
from bot.platforms.web.transcript import turn_to_json
from bot.provider.responses import Reasoning, Stage
from bot.reply.render import Page, Phase, ReplyState, contents
from bot.reply.surface import Activity, Content, Mood, Status

ROOM = "room-of-the-test"
CATALOGUE = Catalogue()
ENGLISH = CATALOGUE.words("en")
GOT_IT = Status(Activity.WAITING, "Got it…")
EVERY_LANGUAGE = [CATALOGUE.words(each) for each in CATALOGUE.languages]
in_every_language = pytest.mark.parametrize(
    "words", EVERY_LANGUAGE, ids=[each.language for each in EVERY_LANGUAGE]
)


class TagReader(HTMLParser):
    """Collects what a browser would take for elements and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(html: str) -> str:
    """What a browser shows of it."""
    return read_html(html).text.strip()


def read_html(html: str) -> TagReader:
    reader = TagReader()
    reader.feed(html)
    return reader


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "[click](JaVaScRiPt:alert(1))",
        "[click](&#106;avascript:alert(1))",
        "<javascript:alert(1)>",
        "[click](data:text/html,<script>alert(1)</script>)",
        "[click](vbscript:x)",
        "[click](file:///etc/passwd)",
        "[local](/api/rooms/other/turns)",
        "![pixel](https://tracker.example/p.gif)",
        '<iframe src="https://evil.example"></iframe>',
        "| a |\n|:-:|\n| b |",
        "**<b onclick=x>**",
    ],
)
def test_markdown_is_harmless(text: str) -> None:
    """Whatever the model writes loads nothing, runs nothing and points nowhere but to the web."""
    reader = read_html(markdown_html(text))
    assert not reader.tags & {"script", "img", "iframe", "b", "style", "form"}
    for name, value in reader.attributes:
        assert not name.startswith("on")
        assert name != "style"
        if name == "href":
            assert re.match(r"https?://|mailto:", value)


@given(st.text())
def test_markdown_of_any_text_is_harmless(text: str) -> None:
    """No text at all gets a script, an event handler or a style attribute into the page."""
    reader = read_html(markdown_html(text))
    assert "script" not in reader.tags
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name == "style"]


def test_markdown_links_are_marked_as_foreign() -> None:
    """A link opens outside the chat and tells the other side nothing."""
    html = markdown_html("[site](https://example.com/)")
    assert 'rel="noopener noreferrer nofollow"' in html
    assert 'target="_blank"' in html


def test_markdown_table_alignment_needs_no_style_attribute() -> None:
    """Alignment survives as a class, because the page's policy refuses style attributes."""
    html = markdown_html("| a |\n|--:|\n| 1 |")
    assert html.count('class="align-right"') == 2


def surface_in(rooms: LiveRooms, reply: str = "message-1") -> WebSurface:
    return WebSurface(rooms, WebTarget(ROOM, reply))


async def test_create_with_the_same_nonce_is_one_message() -> None:
    """A repeated create, after a lost acknowledgement, shows the message once."""
    rooms = LiveRooms()
    surface = surface_in(rooms)
    first = await surface.create(Content("one"), "nonce-1")
    assert await surface.create(Content("one, again"), "nonce-1") == first
    await surface.create(Content("two"), "nonce-2")
    with rooms.watch(ROOM) as watch:
        (reply,) = watch.take()
    assert [message.shown["html"] for message in reply.messages] == [
        "<p>one, again</p>\n",
        "<p>two</p>\n",
    ]


async def test_edit_of_a_message_from_before_a_restart() -> None:
    """A receipt that went through JSON works in a process that never created the message."""
    receipt = await surface_in(LiveRooms()).create(Content(status=GOT_IT), "nonce-1")
    rooms = LiveRooms()
    file = File.with_key("ab" * 32, b"", "image/png").described("fox.png", "A fox")
    await surface_in(rooms).edit(json.loads(json.dumps(receipt)), Content("", (file,), Mood.DONE))
    with rooms.watch(ROOM) as watch:
        (reply,) = watch.take()
    assert reply.finished
    assert reply.messages[0].shown["pictures"] == [
        {"url": f"/pictures/{'ab' * 32}", "name": "fox.png", "alt": "A fox"}
    ]


def test_targets_and_receipts_are_json() -> None:
    """Both come back from the database as they went in, under the keys of older versions."""
    target = WebTarget(ROOM, "message-1")
    address = target.to_address()
    assert address.data == {"room": ROOM, "reply": "message-1"}
    assert address.chat == ROOM
    stored = json.loads(json.dumps(address.data))
    assert WebTarget.from_address(Address("web", ROOM, stored)) == target
    receipt = WebReceipt("nonce-1", 2)
    assert receipt.to_json() == {"message": "nonce-1", "order": 2}
    assert WebReceipt.from_json(json.loads(json.dumps(receipt.to_json()))) == receipt


async def test_delete_twice_and_no_previews() -> None:
    """Deleting what is gone counts as success; drafts are refused as the port says."""
    rooms = LiveRooms()
    surface = surface_in(rooms)
    receipt = await surface.create(Content("text"), "nonce-1")
    await surface.delete(receipt)
    await surface.delete(receipt)
    with rooms.watch(ROOM) as watch:
        assert watch.take()[0].messages == ()
    assert surface.limits.previews is False
    with pytest.raises(PreviewUnsupported):
        await surface.preview(Content("draft"))


@pytest.mark.parametrize("end", ["final", "deleted"])
async def test_previews_are_in_memory_until_the_reply_is_finished(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older ones too, for a page that is slow; but never more than fit, and none afterwards."""
    monkeypatch.setattr(web_surface, "MAX_PREVIEW_BYTES", 40)
    rooms = LiveRooms()
    surface = surface_in(rooms)
    status = Status(Activity.WORKING, "Drawing")
    sketches = [File(b"%020d" % number, "image/png", alt="a fox") for number in range(3)]
    receipt = await surface.create(Content(status=status), "nonce-1")
    for sketch in sketches:
        await surface.edit(receipt, Content(status=status, previews=(sketch,)))
        assert rooms.preview(sketch.key) is sketch
    with rooms.watch(ROOM) as watch:
        (shown,) = watch.take()[0].messages
    url = f"/previews/{sketches[2].key}"
    assert shown.shown["previews"] == [{"url": url, "alt": "a fox"}]
    assert [key_known(rooms, sketch) for sketch in sketches] == [False, True, True]
    await surface.edit(receipt, Content(status=status, previews=(File(bytes(41), "image/png"),)))
    assert [key_known(rooms, sketch) for sketch in sketches] == [False, True, True]
    if end == "final":
        await surface.edit(receipt, Content("done", mood=Mood.DONE))
    else:
        await surface.delete(receipt)
    assert not any(key_known(rooms, sketch) for sketch in sketches)


def key_known(rooms: LiveRooms, file: File) -> bool:
    try:
        return rooms.preview(file.key) is file
    except KeyError:
        return False


async def test_a_slow_page_gets_the_newest_state_only() -> None:
    """States that a page did not read in time are replaced, and rooms never mix."""
    rooms = LiveRooms()
    with rooms.watch(ROOM) as watch, rooms.watch("another-room") as other:
        for number in range(100):
            await surface_in(rooms).create(Content(f"state {number}"), "nonce-1")
        await asyncio.wait_for(watch.wait(), 45)
        assert [reply.messages[0].shown["html"] for reply in watch.take()] == ["<p>state 99</p>\n"]
        assert other.take() == []
    assert rooms.watching == 0


def test_finished_replies_are_forgotten_in_the_end() -> None:
    """Memory is bounded: old finished replies leave, what is being made stays."""
    rooms = LiveRooms()
    rooms.put(ROOM, "working", LiveMessage("m", 0, True, {}))
    for number in range(MAX_FINISHED + 10):
        rooms.put(ROOM, f"done-{number}", LiveMessage("m", 0, False, {}))
    with rooms.watch(ROOM) as watch:
        ids = {reply.id for reply in watch.take()}
    assert "working" in ids
    assert "done-9" not in ids
    assert len(ids) == MAX_FINISHED + 1


@given(st.text(max_size=40))
def test_event_ids_of_strangers_mean_nothing(event_id: str) -> None:
    """An id from another process or from nowhere makes the page get everything."""
    assert LiveRooms().version_of(event_id) == 0


def turn(command: Ask | Imagine, answer: Answer | None) -> Turn:
    message = IncomingMessage(
        ChannelKey("web", (ROOM,)), Person("web", "p", "You"), "message-1", Address("web", ROOM, {})
    )
    fresh = Turn.accept(message, command)
    return fresh if answer is None else fresh.to(TurnState.DELIVERING, answer=answer)


def test_transcript_of_a_drawing() -> None:
    """A drawing is shown as it was asked for, with its pictures described."""
    made = Answer(TurnState.DONE, "**five**", ("ab" * 32, "cd" * 32))
    shown = turn_to_json(turn(Imagine("a fox", 42, 6.5), made), ENGLISH)
    assert shown["question"] == "/imagine a fox --seed 42 --guidance 6.5"
    assert shown["draws"]
    assert shown["answer"]["html"] == "<p><strong>five</strong></p>\n"
    assert shown["answer"]["pictures"][1]["alt"] == "a fox (2 of 2)"


@pytest.mark.parametrize(
    ("outcome", "mood"),
    [(TurnState.DONE, "done"), (TurnState.FAILED, "failed"), (TurnState.CANCELLED, "stopped")],
)
def test_transcript_marks_how_a_turn_ended(outcome: TurnState, mood: str) -> None:
    """A failed or stopped answer does not look like a good one."""
    shown = turn_to_json(turn(Ask("why?"), Answer(outcome, "x")), ENGLISH)
    assert shown["answer"]["mood"] == mood


SIGNS = ["⏳ Wait", "▰▰▱ 40% · Working", "⚠️ Careful", "■ Stop", "⏸ Pause", "↻ Again"]


def final(turn: Turn, words: Words) -> list[Content]:
    """What the reply of a finished turn shows."""
    assert turn.answer is not None
    files = tuple(
        File.with_key(key, b"", "image/png").described("x.png", "") for key in turn.answer.pictures
    )
    state = ReplyState(phase=Phase.FINAL, answer=turn.answer, files=files)
    return contents(state, Page(LIMITS, len, words), 0.0, turn.id)


async def live_json(content: Content) -> JsonObject:
    """What an open page is told of a message that shows this."""
    rooms = LiveRooms()
    await surface_in(rooms).create(content, "nonce-1")
    with rooms.watch(ROOM) as watch:
        (message,) = watch.take()[0].to_json()["messages"]
        return dict(message)


@in_every_language
@pytest.mark.parametrize(
    "answer",
    [
        Answer(TurnState.DONE, "text"),
        Answer(TurnState.DONE, ""),
        Answer(TurnState.DONE, "pictures", ("ab" * 32,) * 3),
        Answer(TurnState.FAILED, "", note="Broken."),
        Answer(TurnState.FAILED, "Part", note="Broken *off*."),
        Answer(TurnState.CANCELLED, "Part", note="Stopped."),
        *(Answer(TurnState.DONE, text) for text in SIGNS),
        *(Answer(TurnState.FAILED, f"{text}\n\n{text}", note="Broken.") for text in SIGNS),
        *(Answer(TurnState.CANCELLED, text, note="Stopped.") for text in SIGNS),
    ],
)
async def test_transcript_shows_what_the_live_reply_did(answer: Answer, words: Words) -> None:
    """After a reload a finished turn has the same text, note, mood and buttons, and all of them."""
    done = turn(Imagine("a fox"), answer)
    (content,) = final(done, words)
    message = await live_json(content)
    shown = turn_to_json(done, words)["answer"]
    for key in ("html", "note", "mood", "buttons"):
        assert shown[key] == message[key]
    assert message["status"] is None
    if answer.text:
        assert text_of(message["html"]).split("\n") == answer.text.split("\n\n")
    assert text_of(message["note"]) == answer.note.replace("*", "")


@pytest.mark.parametrize("text", SIGNS)
async def test_an_answer_is_no_status(text: str) -> None:
    """The beginning of an answer is shown whole, whatever signs it begins with."""
    state = ReplyState(phase=Phase.WORKING, text=text)
    (content,) = contents(state, Page(LIMITS, len, ENGLISH), 0.0, "turn1")
    message = await live_json(content)
    assert message["status"] is None
    assert message["mood"] == "working"
    assert text_of(message["html"]) == text


WAITS = [
    ReplyState(),
    ReplyState(ahead=Ahead(0, 0)),
    ReplyState(ahead=Ahead(3, 1, space_queue=9)),
    ReplyState(ahead=Ahead(2, 2, here=False)),
    ReplyState(phase=Phase.SUSPENDED),
    ReplyState(phase=Phase.PARKED, parked_until=700.0),
    ReplyState(phase=Phase.PARKED, resumed=True),
    *(
        ReplyState(phase=Phase.WORKING, progress=Reasoning(stage, fraction=0.25, eta=30.0))
        for stage in Stage
    ),
]


@in_every_language
@pytest.mark.parametrize("state", WAITS)
async def test_a_status_is_told_in_fields(state: ReplyState, words: Words) -> None:
    """Words without signs, the share as a number, the pause as an activity: in every language."""
    (content,) = contents(state, Page(LIMITS, len, words), 0.0, "turn1")
    message = await live_json(content)
    status = message["status"]
    assert message["html"] == ""
    assert re.match(r"[\w(]", status["html"])
    assert "%" not in status["html"]
    running = state.progress is not None and state.progress.stage is Stage.RUNNING
    assert status["share"] == (0.25 if running else None)
    assert bool(status["remaining"]) == (state.progress is not None)
    assert (status["activity"] == "paused") == (state.phase is Phase.PARKED)
    assert bool(status["resumed"]) == state.resumed


async def test_a_status_is_harmless() -> None:
    """What a Space says in its log is shown as it is, on a line of its own."""
    note = literal("<b onclick=x> [a](javascript:b) **c**")
    message = await live_json(Content(status=Status(Activity.WORKING, "Working", note=note)))
    status = message["status"]
    assert read_html(status["note"]).tags == set()
    assert text_of(status["note"]) == "<b onclick=x> [a](javascript:b) **c**"
    assert status["html"] == "Working"


def test_transcript_of_a_removed_reply() -> None:
    """What a person removed does not come back with a reload."""
    answer = Answer(TurnState.DONE, "secret", ("ab" * 32,))
    shown = turn_to_json(turn(Imagine("a fox"), answer), ENGLISH, removed=True)
    assert shown["removed"] is True
    assert shown["answer"] is None


async def test_live_buttons() -> None:
    """A button is told with what it does, and goes with an edit that does not name it."""
    rooms = LiveRooms()
    surface = surface_in(rooms)
    assert surface.limits.buttons
    stop = Button(Action(Verb.STOP, "turn1"), "Stop", danger=True)
    receipt = await surface.create(Content(status=GOT_IT, buttons=((stop,),)), "nonce-1")
    with rooms.watch(ROOM) as watch:
        (message,) = watch.take()[0].to_json()["messages"]
        assert message["buttons"] == [
            [{"action": "stop:turn1:", "label": "Stop", "danger": True, "chosen": False}]
        ]
        await surface.edit(receipt, Content("Done.", mood=Mood.DONE))
        (message,) = watch.take()[0].to_json()["messages"]
    assert message["buttons"] == []


async def test_uploads_are_kept_for_a_day(tmp_path: Path) -> None:
    """An upload is there for a day, is never read beyond the limit, and then is gone politely."""
    uploads = UploadStore(tmp_path, UploadLimits())
    attachment = Attachment("fox.png", {"upload": "ab" * 16})
    path = tmp_path / ("ab" * 16)
    path.write_bytes(b"12345")
    other = tmp_path / "keep.me"
    other.write_bytes(b"not ours")
    assert await uploads.fetch(attachment, 5) == b"12345"
    with pytest.raises(ImageTooLarge):
        await uploads.fetch(attachment, 4)
    assert uploads.sweep() == 0
    old = path.stat().st_mtime - KEEP_UPLOADS_SECONDS - 1
    os.utime(path, (old, old))
    os.utime(other, (old, old))
    assert uploads.sweep() == 1
    assert other.exists()
    with pytest.raises(ImageUnreadable):
        await uploads.fetch(attachment, 5)


@pytest.mark.parametrize("upload", ["../../etc/passwd", "", "AB" * 16, "ab" * 17])
async def test_the_upload_store_reads_nothing_but_uploads(tmp_path: Path, upload: str) -> None:
    """A source that this adapter did not write opens no file."""
    with pytest.raises(ImageUnreadable):
        await UploadStore(tmp_path, UploadLimits()).fetch(Attachment("x", {"upload": upload}), 100)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "chat.example"])
def test_an_open_address_needs_a_token(host: str) -> None:
    """Binding beyond the machine without a token is refused, and the key is named."""
    made = Pages(banner="", limits=UploadLimits())
    languages = Languages(CATALOGUE, "en")
    with pytest.raises(AdapterError, match=r"\[http\] access_token"):
        Guard(host=host, access_token="", names=(), pages=made, languages=languages)


def test_the_page_loads_nothing_from_outside() -> None:
    """No file of the page names another server, and no HTML has script or style in it."""
    folder = Path(pages.__file__).parent / "static"
    own = {"http://www.w3.org/2000/svg"}
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= own, path.name
    index = read_html((folder / "index.html").read_text(encoding="utf-8"))
    assert "style" not in index.tags
    assert not [n for n, _ in index.attributes if n == "style" or n.startswith("on")]


def test_importing_the_adapter_loads_nothing_that_it_is_handed() -> None:
    """Neither the database nor what few messages need."""
    heavy = {"sqlalchemy", "PIL", "markdown_it", "prometheus_client"}
    code = f"import bot.platforms.web.adapter, sys; print({heavy!r} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
