"""A reply is live while it is made, and its final state is owed until it is acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bot.errors import (
    ContentRefused,
    DeliveryUnknown,
    MessageGone,
    PreviewUnsupported,
    RateLimited,
    SurfaceError,
    SurfaceForbidden,
    SurfaceUnavailable,
)
from bot.files import File
from bot.i18n import Catalogue
from bot.models import Address, Answer, Segment, TurnState
from bot.provider.responses import Reasoning, Stage, Text
from bot.reply import live_reply
from bot.reply.live_reply import LiveReply
from bot.reply.rate_limiter import RateLimiter
from bot.reply.surface import Mood
from tests.scripted_surface import PLAIN, MemorySegments, ScriptedSurface

DONE = Answer(TurnState.DONE, "The answer.")
WORDS = Catalogue().words()
ADDRESS = Address("test", "chat", {})
PICTURES = [File(b"%d" % number, "image/png", f"fox-{number}.png", "a fox") for number in range(5)]


@asynccontextmanager
async def replying(
    surface: ScriptedSurface,
    segments: MemorySegments | None = None,
    on_lost: Callable[[SurfaceError], None] = lambda _: None,
) -> AsyncIterator[LiveReply]:
    limiter = RateLimiter(time.monotonic).chat(ADDRESS, surface.limits)
    reply = LiveReply(
        "turn", surface, limiter, segments or MemorySegments(), words=WORDS, on_lost=on_lost
    )
    await reply.open()
    try:
        yield reply
    finally:
        await reply.aclose()


async def test_a_first_sign_of_life_comes_by_itself() -> None:
    """Nobody has to wait for the provider to see that the bot is there."""
    surface = ScriptedSurface()
    async with replying(surface):
        await surface.until(lambda s: bool(s.messages))
    assert surface.texts == ["⏳ Got it…"]


async def test_one_message_goes_from_queue_to_answer() -> None:
    """Queue place, progress and answer share one message."""
    surface = ScriptedSurface()
    async with replying(surface) as reply:
        reply.show(Reasoning(Stage.QUEUED, rank=2, queue_size=7, eta=40))
        await surface.until(lambda s: any("Place 3 of 7" in text for text in s.texts))
        reply.show(Reasoning(Stage.RUNNING, index=3, length=8, note="Sampling"))
        await surface.until(lambda s: any("Sampling 3/8" in text for text in s.texts))
        await reply.finish(DONE, [])
    assert surface.texts == ["The answer."]
    assert surface.messages["turn-0"].mood is Mood.DONE


async def test_intermediate_states_are_skipped_while_a_request_is_in_flight() -> None:
    """Newest state wins: no queue of stale frames."""
    surface = ScriptedSurface(gate=asyncio.Event())
    async with replying(surface) as reply:
        await asyncio.sleep(0)
        for piece in ["a ", "b ", "c ", "d"]:
            reply.show(Text(piece))
        assert surface.gate is not None
        surface.gate.set()
        await surface.until(lambda s: "a b c d" in s.texts)
    assert len(surface.requests) <= 2


async def test_what_is_shown_is_always_a_beginning_of_the_answer() -> None:
    """Streamed text is never taken back."""
    surface = ScriptedSurface()
    text = "One two three four five six."
    async with replying(surface) as reply:
        for end in range(0, len(text), 4):
            reply.show(Text(text[end : end + 4]))
            await surface.until(lambda s, end=end: text[: end + 4].strip() in s.texts)  # type: ignore[misc]  # bound now
        await reply.finish(Answer(TurnState.DONE, text), [])
    shown = [words for _, words in surface.requests if not words.startswith("⏳")]
    assert all(text.startswith(words) for words in shown)


async def test_the_final_text_survives_faults() -> None:
    """Rate limits, outages and lost answers delay the end and never lose it."""
    surface = ScriptedSurface()
    async with replying(surface) as reply:
        await surface.until(lambda s: bool(s.messages))
        surface.faults.extend(
            [RateLimited(0.05), SurfaceUnavailable("502"), (DeliveryUnknown("cut"), True)]
        )
        await reply.finish(DONE, [])
    assert surface.texts == ["The answer."]


async def test_a_rate_limit_closes_the_chat_for_that_long() -> None:
    """No request goes out during a penalty: calling then makes it longer."""
    surface = ScriptedSurface()
    async with replying(surface) as reply:
        await surface.until(lambda s: bool(s.messages))
        surface.faults.append(RateLimited(0.3))
        began = time.monotonic()
        await reply.finish(DONE, [])
    assert time.monotonic() - began >= 0.3
    assert len(surface.requests) == 3


async def test_a_lost_answer_to_a_create_makes_no_second_message() -> None:
    """The same nonce goes out again, so a platform that knows nonces stores it once."""
    surface = ScriptedSurface()
    surface.faults.append((DeliveryUnknown("timeout"), True))
    async with replying(surface) as reply:
        await reply.finish(DONE, [])
    assert list(surface.messages) == ["turn-0"]


@pytest.mark.parametrize("stored", [True, False])
async def test_where_there_are_no_nonces_a_lost_create_is_looked_for(stored: bool) -> None:
    """A timeout is unknown and not failed: found out before anything is sent again."""
    surface = ScriptedSurface(finds=True)
    surface.faults.append((DeliveryUnknown("timeout"), stored))
    async with replying(surface) as reply:
        await reply.finish(DONE, [])
    assert surface.texts == ["The answer."]
    creates = [text for kind, text in surface.requests if kind == "create"]
    assert len(creates) == (1 if stored else 2)
    assert [search.anchor for search in surface.searches] == [{"after": 0}]


async def test_a_process_that_died_while_creating_leaves_no_second_message() -> None:
    """The next one looks for the message that nobody acknowledged."""
    surface, segments = ScriptedSurface(finds=True), MemorySegments()
    async with replying(surface, segments):
        await surface.until(lambda s: bool(s.messages))
    created = segments.rows["turn", 0]
    assert created.receipt == {"ids": ["turn-0"]}
    # As the first write, before the create.
    segments.rows["turn", 0] = Segment(None, created.digest, {"after": 0})
    async with replying(surface, segments) as reply:
        reply.resumed()
        await reply.finish(DONE, [])
    assert surface.texts == ["The answer."]
    assert [kind for kind, _ in surface.requests].count("create") == 1


@pytest.mark.parametrize("stored", [True, False])
async def test_pictures_whose_answer_was_lost_come_once(stored: bool) -> None:
    """They were the first message, and are still the whole reply when they are found."""
    surface = ScriptedSurface(finds=True, limits=replace(PLAIN, attach=False, previews=True))
    async with replying(surface) as reply:
        surface.faults.append((DeliveryUnknown("timeout"), stored))
        await reply.finish(DONE, PICTURES)
    assert [(c.text, len(c.files)) for c in surface.messages.values()] == [("The answer.", 5)]


async def test_a_search_that_was_cut_off_goes_on_from_there() -> None:
    """Also in the next process: a long search must end although bots die early."""
    surface, segments = ScriptedSurface(finds=True), MemorySegments()
    segments.rows["turn", 0] = Segment(None, "", {"after": 0})
    surface.cut_off_at.append({"after": 1})
    async with replying(surface, segments):
        await surface.until(lambda s: not s.cut_off_at)
    async with replying(surface, segments) as reply:
        await reply.finish(DONE, [])
    assert [search.anchor for search in surface.searches][:2] == [{"after": 0}, {"after": 1}]
    assert surface.texts == ["The answer."]


async def test_a_refused_create_leaves_nothing_to_look_for() -> None:
    """Only what is in doubt is kept."""
    surface, segments = ScriptedSurface(), MemorySegments()
    surface.faults.append(SurfaceForbidden("blocked"))
    async with replying(surface, segments) as reply:
        with pytest.raises(SurfaceForbidden):
            await reply.finish(DONE, [])
    assert not segments.rows


async def test_a_deleted_message_means_stop() -> None:
    """A person who deletes the reply does not get it again."""
    surface = ScriptedSurface()
    lost: list[SurfaceError] = []
    async with replying(surface, on_lost=lost.append) as reply:
        await surface.until(lambda s: bool(s.messages))
        surface.faults.append(MessageGone("deleted"))
        reply.show(Text("text"))
        with pytest.raises(MessageGone):
            await reply.finish(DONE, [])
    assert [type(error) for error in lost] == [MessageGone]


@pytest.mark.parametrize("error", [SurfaceForbidden("blocked"), ContentRefused("no")])
async def test_a_refusal_for_good_ends_the_reply(error: SurfaceError) -> None:
    """Nothing is retried that can never work."""
    surface = ScriptedSurface()
    surface.faults.append(error)
    async with replying(surface) as reply:
        with pytest.raises(type(error)):
            await reply.finish(DONE, [])
    assert len(surface.requests) == 1


async def test_a_restart_goes_on_in_the_same_message() -> None:
    """The next process adopts the placeholder of the last one."""
    surface, segments = ScriptedSurface(), MemorySegments()
    async with replying(surface, segments) as reply:
        reply.show(Reasoning(Stage.RUNNING))
        await reply.suspend()
    assert surface.texts == ["↻ The bot is restarting. Your request is kept and goes on by itself."]
    async with replying(surface, segments) as reply:
        reply.resumed()
        await surface.until(lambda s: any("Restarted" in text for text in s.texts))
        await reply.finish(DONE, [])
    assert surface.texts == ["The answer."]


async def test_an_acknowledged_answer_is_not_sent_again() -> None:
    """A crash between acknowledgement and bookkeeping costs nothing."""
    surface, segments = ScriptedSurface(), MemorySegments()
    for _ in range(2):
        async with replying(surface, segments) as reply:
            await reply.finish(Answer(TurnState.DONE, "Fox", ("0",)), PICTURES)
    creates = [text for kind, text in surface.requests if kind == "create"]
    assert len(creates) == 1
    assert len(surface.messages["turn-0"].files) == 5


async def test_an_acknowledged_album_is_not_sent_again() -> None:
    """The same where pictures cannot join a message that is there already."""
    surface = ScriptedSurface(limits=replace(PLAIN, attach=False, previews=True))
    segments = MemorySegments()
    for _ in range(2):
        async with replying(surface, segments) as reply:
            await reply.finish(Answer(TurnState.DONE, "Fox", ("0",)), PICTURES)
    assert [kind for kind, _ in surface.requests if kind != "preview"] == ["create"]


async def test_drafts_end_in_one_real_message() -> None:
    """Where drafts are possible nothing is edited."""
    surface = ScriptedSurface(limits=replace(PLAIN, previews=True))
    async with replying(surface) as reply:
        reply.show(Text("The "))
        await surface.until(lambda s: bool(s.drafts) and s.drafts[-1].text == "The")
        await reply.finish(DONE, [])
    assert {kind for kind, _ in surface.requests} == {"preview", "create"}
    assert surface.texts == ["The answer."]


async def test_without_drafts_it_goes_on_with_edits() -> None:
    """An old server costs one request, and the person notices nothing."""
    surface = ScriptedSurface(limits=replace(PLAIN, previews=True))
    surface.faults.append(PreviewUnsupported("unknown method"))
    async with replying(surface) as reply:
        await surface.until(lambda s: bool(s.messages))
        await reply.finish(DONE, [])
    assert [kind for kind, _ in surface.requests] == ["preview", "create", "edit"]


async def test_a_placeholder_becomes_the_caption_and_pictures_follow() -> None:
    """Where a message cannot take files later, they come in the next one."""
    surface = ScriptedSurface(limits=replace(PLAIN, attach=False))
    async with replying(surface) as reply:
        await surface.until(lambda s: bool(s.messages))
        await reply.finish(Answer(TurnState.DONE, "Fox", ("0",)), PICTURES)
    assert surface.texts == ["Fox", ""]
    assert len(surface.messages["turn-1"].files) == 5


async def test_a_shorter_second_try_leaves_no_old_message() -> None:
    """A resumed turn whose answer is shorter removes what was streamed before."""
    limits = replace(PLAIN, text=256, caption=256)
    surface, segments = ScriptedSurface(limits=limits), MemorySegments()
    async with replying(surface, segments) as reply:
        reply.show(Text("word " * 150))
        await surface.until(lambda s: len(s.messages) > 2)
    async with replying(surface, segments) as reply:
        await reply.finish(DONE, [])
    assert surface.texts == ["The answer."]


async def test_a_countdown_moves_without_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimate gets smaller while the Space says nothing."""
    monkeypatch.setattr(live_reply, "_COUNTDOWN_SECONDS", 0.05)
    surface = ScriptedSurface()
    async with replying(surface) as reply:
        reply.show(Reasoning(Stage.RUNNING, eta=9.5))
        await surface.until(lambda s: any("about 10 s" in text for text in s.texts))
        await surface.until(lambda s: any("about 5 s" in text for text in s.texts))
    told = [text for _, text in surface.requests if "about" in text]
    assert told.index(next(t for t in told if "10 s" in t)) < len(told) - 1
    assert "about 5 s" in told[-1]


async def test_nothing_is_sent_that_nobody_can_see() -> None:
    """The same look twice is one request."""
    surface = ScriptedSurface()
    async with replying(surface) as reply:
        for rank in (4, 4, 4):
            reply.show(Reasoning(Stage.QUEUED, rank=rank, queue_size=9))
            await surface.until(lambda s: any("Place 5" in text for text in s.texts))
        await reply.finish(DONE, [])
    assert sum("Place 5" in text for _, text in surface.requests) == 1


async def test_a_final_state_does_not_wait_as_progress_does() -> None:
    """What is owed leaves at once, though an intermediate state was just waiting for its time."""
    surface = ScriptedSurface(limits=replace(PLAIN, interval=3600.0))
    async with replying(surface) as reply:
        await surface.until(lambda s: bool(s.messages))
        reply.show(Text("An intermediate"))
        for _ in range(10):
            await asyncio.sleep(0)
        async with asyncio.timeout(50):
            await reply.finish(DONE, [])
    assert surface.texts == ["The answer."]
