"""Drawings in the making, in a chat: one sheet now and then, and nothing of it in the end."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from PIL import Image

from bot.errors import (
    ContentRefused,
    DeliveryUnknown,
    ImageUnreadable,
    SurfaceError,
    SurfaceForbidden,
    SurfaceUnavailable,
)
from bot.files import File
from bot.i18n import Catalogue
from bot.image.contact_sheet import contact_sheet
from bot.image.worker import PictureWorker
from bot.models import Address, Answer, TurnState
from bot.provider.responses import Preview, Reasoning, Stage
from bot.reply import live_reply
from bot.reply.live_reply import LiveReply
from bot.reply.previews import MakeSheet
from bot.reply.rate_limiter import RateLimiter
from bot.reply.surface import Content, Limits, Receipt
from bot.turns.settings import Settings
from tests.scripted_surface import PLAIN, MemorySegments, ScriptedSurface

WORDS = Catalogue().words()
ADDRESS = Address("test", "chat", {})
FIVE = [File(b"%d" % number, "image/png", f"fox-{number}.png") for number in range(5)]
DRAWN = Answer(TurnState.DONE, "a fox", tuple(file.key for file in FIVE))
STOPPED = Answer(TurnState.CANCELLED, "", note="Stopped.")
SECONDS = 0.3
EDITED = replace(PLAIN, preview_seconds=SECONDS)
REPLACED = replace(EDITED, attach=False, buttons_with_files=False)
"""Where files can be added to a message and taken away, as on Discord; and where not: Telegram."""
both = pytest.mark.parametrize("limits", [EDITED, REPLACED], ids=["edited", "replaced"])


def preview(number: int) -> Preview:
    return Preview([File(b"sketch %d" % number, "image/png", alt="not finished")])


def running(step: int) -> Reasoning:
    return Reasoning(Stage.RUNNING, index=step, length=100)


async def joined(pictures: Sequence[File]) -> File:
    """A sheet that says what it is of."""
    return File(b"+".join(file.data for file in pictures), "image/jpeg")


@dataclass
class Chat(ScriptedSurface):
    """Refuses what Telegram refuses, and remembers when a sheet came.

    Attributes:
        sheets: monotonic seconds and bytes of every sheet that was asked for.
    """

    limits: Limits = EDITED
    sheets: list[tuple[float, bytes]] = field(default_factory=list)

    async def create(self, content: Content, nonce: str) -> Receipt:
        assert not content.previews, "a new message would have to be looked for after a crash"
        return await super().create(content, nonce)

    async def edit(self, receipt: Receipt, content: Content) -> None:
        there = self.messages.get(receipt["ids"][0])
        if not self.limits.attach and there and there.previews and not content.previews:
            raise ContentRefused("there is no text in the message to edit")
        if content.previews:
            self.sheets.append((time.monotonic(), content.previews[0].data))
        await super().edit(receipt, content)

    @property
    def shows_sheet(self) -> bool:
        return any(content.previews for content in self.messages.values())


@asynccontextmanager
async def replying(
    surface: Chat, segments: MemorySegments | None = None, make_sheet: MakeSheet = joined
) -> AsyncIterator[LiveReply]:
    lost: list[SurfaceError] = []
    reply = LiveReply(
        "turn",
        surface,
        RateLimiter(time.monotonic).chat(ADDRESS, surface.limits),
        segments or MemorySegments(),
        words=WORDS,
        on_lost=lost.append,
        make_sheet=make_sheet,
    )
    await reply.open()
    try:
        yield reply
    finally:
        await reply.aclose()
    assert not lost


def pictures_in(surface: Chat) -> list[str]:
    assert not surface.shows_sheet
    return [file.name for content in surface.messages.values() for file in content.files]


@both
async def test_a_sheet_comes_and_five_pictures_stay(limits: Limits) -> None:
    """Beside the status and its button at first; in the end nothing is left of it."""
    surface = Chat(limits=replace(limits, buttons=True))
    async with replying(surface) as reply:
        reply.show(running(1))
        reply.show(preview(1))
        await surface.until(lambda s: surface.shows_sheet)
        (content,) = surface.messages.values()
        assert content.previews[0].data == b"sketch 1"
        assert content.previews[0].alt == "not finished"
        assert content.status is not None
        assert content.buttons
        await reply.finish(DRAWN, FIVE)
    assert pictures_in(surface) == [file.name for file in FIVE]
    texts = [content.text for content in surface.messages.values()]
    assert texts == (["a fox"] if limits.attach else ["a fox", WORDS("buttons-alone")])


@both
async def test_the_message_with_a_sheet_changes_no_more_often_than_it_may(limits: Limits) -> None:
    """Each change uploads the sheet again; the newest of those that came meanwhile is shown."""
    surface = Chat(limits=limits)
    async with replying(surface) as reply:
        shown = 0
        for number in range(60):
            reply.show(running(number))
            reply.show(preview(number))
            if number % 20 == 19:
                shown += 1
                await surface.until(lambda s, shown=shown: len(surface.sheets) >= shown)  # type: ignore[misc]  # bound now
        await reply.finish(DRAWN, FIVE)
    times = [at for at, _ in surface.sheets]
    assert all(later - at >= SECONDS * 0.99 for at, later in pairwise(times))
    assert len(surface.sheets) >= 3
    assert pictures_in(surface) == [file.name for file in FIVE]


@both
async def test_progress_waits_for_a_sheet_that_has_just_come_and_goes_on_then(
    limits: Limits,
) -> None:
    """A status that nobody would see for long is not worth another upload; a later one is."""
    surface = Chat(limits=limits)
    async with replying(surface) as reply:
        reply.show(running(1))
        reply.show(preview(1))
        await surface.until(lambda s: surface.shows_sheet)
        reply.show(running(50))
        await surface.until(lambda s: "50/100" in s.texts[0])
    (first, _), (second, _) = surface.sheets
    assert second - first >= SECONDS * 0.99


@both
@pytest.mark.parametrize("error", [ContentRefused("no"), SurfaceForbidden("no photos")])
async def test_a_refused_sheet_is_the_last_and_never_ends_a_reply(
    limits: Limits, error: SurfaceError
) -> None:
    """It may be shown; the status and the pictures must be."""
    surface = Chat(limits=limits)
    async with replying(surface) as reply:
        await surface.until(lambda s: bool(s.messages))
        surface.faults.append(error)
        reply.show(preview(1))
        await surface.until(lambda s: bool(surface.sheets) and not s.faults)
        reply.show(preview(2))
        reply.show(running(7))
        await surface.until(lambda s: any("7/100" in text for text in s.texts))
        await reply.finish(DRAWN, FIVE)
    assert len(surface.sheets) == 1
    assert pictures_in(surface) == [file.name for file in FIVE]


@both
@pytest.mark.parametrize(
    "fault",
    [SurfaceUnavailable("502"), (DeliveryUnknown("cut"), True), (DeliveryUnknown("cut"), False)],
    ids=["502", "shown", "not shown"],
)
async def test_a_sheet_that_failed_keeps_nothing_waiting(
    limits: Limits,
    fault: SurfaceError | tuple[SurfaceError, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither the pictures, which do not wait for another try, nor what has to go before them."""
    monkeypatch.setattr(live_reply, "_FIRST_PAUSE_SECONDS", 600.0)
    monkeypatch.setattr(live_reply, "_MAX_PAUSE_SECONDS", 600.0)
    surface = Chat(limits=limits)
    async with replying(surface) as reply:
        await surface.until(lambda s: bool(s.messages))
        surface.faults.append(fault)
        reply.show(preview(1))
        await surface.until(lambda s: bool(surface.sheets) and not s.faults)
        async with asyncio.timeout(30):
            await reply.finish(DRAWN, FIVE)
    assert pictures_in(surface) == [file.name for file in FIVE]


@both
@pytest.mark.parametrize("stored", [True, False])
async def test_a_process_that_died_leaves_no_sheet(limits: Limits, stored: bool) -> None:
    """Killed while the sheet was on its way: whether it arrived, nobody knows."""
    surface, segments = Chat(limits=limits), MemorySegments()
    async with replying(surface, segments) as reply:
        await surface.until(lambda s: bool(s.messages))
        surface.faults.append((DeliveryUnknown("the process is gone"), stored))
        reply.show(preview(1))
        await surface.until(lambda s: bool(surface.sheets) and not s.faults)
    async with replying(surface, segments) as reply:
        reply.resumed()
        await surface.until(lambda s: any("Restarted" in text for text in s.texts))
        assert not surface.shows_sheet
        await reply.finish(DRAWN, FIVE)
    assert pictures_in(surface) == [file.name for file in FIVE]


@both
async def test_a_process_that_died_before_the_pictures_leaves_no_sheet(limits: Limits) -> None:
    """The next one owes the answer, and has never heard of a sheet."""
    surface, segments = Chat(limits=limits), MemorySegments()
    async with replying(surface, segments) as reply:
        reply.show(preview(1))
        await surface.until(lambda s: surface.shows_sheet)
    for _ in range(2):
        async with replying(surface, segments) as reply:
            await reply.finish(DRAWN, FIVE)
    assert pictures_in(surface) == [file.name for file in FIVE]
    assert len(surface.messages) == 1


@both
@pytest.mark.parametrize("end", ["stopped", "suspended", "edited"])
async def test_a_drawing_that_is_not_finished_takes_its_sheet_along(
    limits: Limits, end: str
) -> None:
    """It would look like what was asked for."""
    surface = Chat(limits=limits)
    async with replying(surface) as reply:
        reply.show(running(1))
        reply.show(preview(1))
        await surface.until(lambda s: surface.shows_sheet)
        if end == "stopped":
            await reply.finish(STOPPED, [])
            assert surface.texts == ["■ Stopped."]
        elif end == "suspended":
            await reply.suspend()
            assert "restarting" in surface.texts[0]
        else:
            reply.restart()
            await surface.until(lambda s: s.texts == ["⏳ Got it…"])
    assert pictures_in(surface) == []


@both
async def test_a_sheet_that_cannot_be_removed_costs_no_picture(limits: Limits) -> None:
    """It is the lesser harm."""
    surface = Chat(limits=limits)
    async with replying(surface) as reply:
        reply.show(preview(1))
        await surface.until(lambda s: surface.shows_sheet)
        if not limits.attach:
            surface.faults.append(ContentRefused("message can't be deleted"))
        await reply.finish(DRAWN, FIVE)
    made = [content for content in surface.messages.values() if content.files]
    assert [len(content.files) for content in made] == [5]


async def test_a_draft_becomes_a_message_for_a_sheet() -> None:
    """Drafts hold text only, and what is surely there is what a sheet can be added to."""
    surface = Chat(limits=replace(REPLACED, previews=True))
    async with replying(surface) as reply:
        reply.show(running(1))
        await surface.until(lambda s: bool(s.drafts))
        reply.show(preview(1))
        await surface.until(lambda s: surface.shows_sheet)
        await reply.finish(DRAWN, FIVE)
    kinds = [kind for kind, _ in surface.requests if kind != "preview"]
    assert kinds == ["create", "edit", "delete", "create"]
    assert pictures_in(surface) == [file.name for file in FIVE]


async def test_where_there_is_something_more_important_a_sheet_waits() -> None:
    """Then it is of the newest preview there is."""
    answers, asked = [None, File(b"s", "image/jpeg")], [asyncio.Event(), asyncio.Event()]
    offered: list[bytes] = []

    async def make(pictures: Sequence[File]) -> File | None:
        asked[len(offered)].set()
        offered.append(pictures[0].data)
        return answers.pop(0)

    surface = Chat()
    async with replying(surface, make_sheet=make) as reply:
        reply.show(preview(1))
        await asyncio.wait_for(asked[0].wait(), 15)
        reply.show(preview(2))
        await surface.until(lambda s: surface.shows_sheet)
    assert offered == [b"sketch 1", b"sketch 2"]
    assert [data for _, data in surface.sheets] == [b"s"]


async def test_what_is_no_picture_makes_no_sheet_and_does_no_harm() -> None:
    """The next one is tried when it is due."""
    failed = asyncio.Event()

    async def make(pictures: Sequence[File]) -> File | None:
        if not failed.is_set():
            failed.set()
            raise ImageUnreadable("no")
        return await joined(pictures)

    surface = Chat()
    async with replying(surface, make_sheet=make) as reply:
        reply.show(preview(1))
        await asyncio.wait_for(failed.wait(), 15)
        reply.show(preview(2))
        await surface.until(lambda s: surface.shows_sheet)
    assert [data for _, data in surface.sheets] == [b"sketch 2"]


async def test_a_surface_without_previews_shows_none() -> None:
    """As in Telegram's inline mode, where nothing can be uploaded."""
    surface = Chat(limits=PLAIN)
    async with replying(surface) as reply:
        reply.show(preview(1))
        reply.show(running(3))
        await surface.until(lambda s: any("3/100" in text for text in s.texts))
    assert not surface.sheets


@pytest.mark.parametrize(
    ("value", "private", "seconds", "expected"),
    [
        ("private", True, 10.0, True),
        ("private", False, 10.0, False),
        ("private", True, 0.0, True),
        ("on", False, 10.0, True),
        ("off", True, 10.0, False),
        ("on", True, None, False),
    ],
)
def test_where_previews_are_shown(
    value: str, private: bool, seconds: float | None, expected: bool
) -> None:
    """By default where one person reads; and only where the surface can."""
    limits = replace(PLAIN, private=private, preview_seconds=seconds)
    assert Settings(previews=value).previews_in(limits) is expected


def made(size: tuple[int, int], colour: str, kind: str = "PNG") -> File:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return File(out.getvalue(), f"image/{kind.lower()}")


@pytest.mark.parametrize(
    ("count", "size"), [(1, (320, 320)), (2, (648, 320)), (4, (648, 648)), (5, (976, 648))]
)
def test_a_sheet_is_a_grid(count: int, size: tuple[int, int]) -> None:
    """As square as the pictures fill it, and of a size that is nothing to upload."""
    colours = ["red", "lime", "blue", "white", "black"][:count]
    sheet = contact_sheet([made((768, 768), colour, "WEBP").data for colour in colours])
    with Image.open(io.BytesIO(sheet.data)) as image:
        assert (image.format, image.size) == ("JPEG", size)
        assert image.convert("RGB").getpixel((160, 160))[0] > 240  # type: ignore[index]  # three numbers
    assert len(sheet.data) < 200_000


async def test_sheets_are_made_in_the_process_that_decodes() -> None:
    """And what breaks it costs that sheet; a picture of a person's goes before any sheet."""
    good = [made((64, 48), "red"), made((48, 64), "blue", "JPEG")]
    async with PictureWorker() as worker:
        sheet = await worker.contact_sheet(good)
        assert sheet is not None
        assert sheet.media_type == "image/jpeg"
        with pytest.raises(ImageUnreadable):
            await worker.contact_sheet([*good, File(b"\x89PNG\r\n\x1a\n broken", "image/png")])
        assert (await worker.normalise(good[0].data)).media_type == "image/png"
        decoding = asyncio.create_task(worker.normalise(good[0].data))
        await asyncio.sleep(0)  # it has the lock from its first step on
        assert await worker.contact_sheet(good) is None
        await decoding
