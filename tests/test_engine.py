"""Turns from acceptance to answer, with real storage, channel queues and live replies."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import MessageGone, QuotaExceeded, SpaceUnreachable
from bot.files import File, Recipe
from bot.models import Ask, ChannelKey, Imagine, TurnState
from bot.provider.responses import (
    ImageResponse,
    JsonConversation,
    Preview,
    Reasoning,
    Stage,
    Text,
)
from bot.reply.render import markdown
from bot.reply.surface import Mood
from bot.turns.access import Allowance
from bot.turns.commands import Help, Reset, Retry, Stop
from bot.turns.settings import Settings
from tests.pictures import png
from tests.scripted_bot import BOB, ScriptedProvider, scripted_bot
from tests.scripted_surface import PLAIN, ScriptedSurface


def drawn(seed: int = 42) -> ImageResponse:
    return ImageResponse(
        [
            File(png(colour), "image/png", recipe=Recipe("fox", seed, 5.0, 1.0, "here", index))
            for index, colour in enumerate(["red", "green", "blue", "black", "white"])
        ]
    )


def said(call: dict[str, object]) -> list[str]:
    messages = call["messages"]
    assert isinstance(messages, list)
    return [message["content"] for message in messages]


async def test_a_photo_question_is_asked_about_that_photo(tmp_path: Path) -> None:
    """Picture and question reach the provider, its answer the channel."""
    provider = ScriptedProvider([[Text("A red "), Text("square.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        message = bot.message(attachments=(bot.attachment(png()),))
        assert await bot.dispatcher.handle(message, Ask("What is this?")) is None
        (content,) = await bot.final()
    assert content.text == "A red square."
    assert content.mood is Mood.DONE
    assert said(provider.calls[0]) == ["What is this?"]
    assert provider.calls[0]["media"][0][1] in {"image.png", "image.jpeg"}


async def test_the_next_question_is_about_the_same_photo_with_history(tmp_path: Path) -> None:
    """And another channel knows nothing of either."""
    provider = ScriptedProvider([[Text("A square.")], [Text("Red.")], [Text("Hello.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        photo = bot.message(attachments=(bot.attachment(png()),))
        await bot.dispatcher.handle(photo, Ask("What is this?"))
        await bot.final()
        await bot.dispatcher.handle(bot.message(), Ask("Which colour?"))
        await bot.final(count=2)
        await bot.dispatcher.handle(bot.message("other"), Ask("Hi"))
        await bot.final("other")
    first, second, other = provider.calls
    assert said(second) == ["What is this?", "A square.", "Which colour?"]
    assert second["media"] == first["media"]
    assert said(other) == ["Hi"]
    assert other["media"] is None


async def test_who_is_not_remembered_is_told_once(tmp_path: Path) -> None:
    """History that did not fit is mentioned, and not again while that answer is in it."""
    cut = Reasoning(Stage.CONNECTING, left_out=3)
    provider = ScriptedProvider([[cut, Text("One.")], [cut, Text("Two.")], [Text("Three.")]])
    note = "\n\n(I could not take all of our conversation along; /reset starts afresh.)"
    async with scripted_bot(tmp_path, provider) as bot:
        for number in range(1, 4):
            await bot.dispatcher.handle(bot.message(), Ask("And?"))
            await bot.final(count=number)
        contents = await bot.final(count=3)
    assert [content.text for content in contents] == [f"One.{note}", "Two.", "Three."]


async def test_nothing_asked_about_nothing_is_not_sent(tmp_path: Path) -> None:
    """A mention alone costs no GPU time; with a picture in the channel it is about that."""
    provider = ScriptedProvider([[Text("A square.")], [Text("Still a square.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Ask(" "))
        (content,) = await bot.final()
        assert "send a picture" in content.text
        assert not provider.calls
        await bot.dispatcher.handle(bot.message(attachments=(bot.attachment(png()),)), Ask(""))
        await bot.final(count=2)
        await bot.dispatcher.handle(bot.message(), Ask(""))
        await bot.final(count=3)
    assert [call["media"] is None for call in provider.calls] == [False, False]


async def test_no_history_means_no_history(tmp_path: Path) -> None:
    """`messages = 0` forgets the picture as well."""
    provider = ScriptedProvider([[Text("One.")], [Text("Two.")]])
    async with scripted_bot(tmp_path, provider, settings=Settings(history=0)) as bot:
        photo = bot.message(attachments=(bot.attachment(png()),))
        await bot.dispatcher.handle(photo, Ask("What?"))
        await bot.final()
        await bot.dispatcher.handle(bot.message(), Ask("And?"))
        await bot.final(count=2)
    assert said(provider.calls[1]) == ["And?"]
    assert provider.calls[1]["media"] is None


async def test_imagine_ends_with_five_pictures_and_the_seed(tmp_path: Path) -> None:
    """Progress on the way, recipe at the end."""
    steps = [Reasoning(Stage.RUNNING, index=index, length=8) for index in range(8)]
    provider = ScriptedProvider([[*steps, drawn()]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Imagine("fox", 42, 6.0))
        (content,) = await bot.final()
    assert content.text == "fox\nseed 42 · guidance 5"
    assert [upload.alt for upload in content.files] == [f"fox ({n} of 5)" for n in range(1, 6)]
    assert provider.calls[0] | {"conversation": None} == {
        "model": "janus-pro-7b-image",
        "messages": [],
        "prompt": "fox",
        "seed": 42,
        "guidance": 6.0,
        "temperature": 1.0,
        "previews": False,  # these surfaces show none
        "conversation": None,
        "return_conversation": True,
    }


async def test_a_question_after_imagine_is_about_the_first_picture(tmp_path: Path) -> None:
    """People ask about what was just drawn."""
    provider = ScriptedProvider([[drawn()], [Text("Red.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Imagine("fox"))
        await bot.final()
        await bot.dispatcher.handle(bot.message(), Ask("Which colour?"))
        await bot.final(count=2)
    assert provider.calls[1]["media"][0][0] == png("red")


async def test_a_question_about_a_picture_that_was_removed_is_plain_chat(tmp_path: Path) -> None:
    """Cleaning up pictures breaks no conversation."""
    provider = ScriptedProvider([[Text("a")], [Text("b")]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(attachments=(bot.attachment(png()),)), Ask("one"))
        await bot.final()
        shutil.rmtree(tmp_path / "images")
        await bot.dispatcher.handle(bot.message(), Ask("two"))
        contents = await bot.final(count=2)
    assert contents[1].text == "b"
    assert provider.calls[1]["media"] is None


async def test_a_reply_is_about_the_picture_that_it_answers(tmp_path: Path) -> None:
    """Not about the newest one."""
    provider = ScriptedProvider([[Text("a")], [Text("b")], [Text("c")]])
    async with scripted_bot(tmp_path, provider) as bot:
        for name, colour in (("one", "red"), ("two", "blue")):
            message = bot.message(message_id=name, attachments=(bot.attachment(png(colour), name),))
            await bot.dispatcher.handle(message, Ask(name))
        await bot.final(count=2)
        await bot.dispatcher.handle(bot.message(reply_to="one"), Ask("this one?"))
        await bot.final(count=3)
    first, _, third = provider.calls
    assert third["media"] == first["media"]


async def test_an_album_is_answered_together(tmp_path: Path) -> None:
    """One picture a call is all that the Space takes."""
    provider = ScriptedProvider([[Text("Red.")], [Text("Blue.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        files = tuple(bot.attachment(png(colour), colour) for colour in ("red", "blue"))
        await bot.dispatcher.handle(bot.message(attachments=files), Ask("Colours?"))
        (content,) = await bot.final()
    assert content.text == "**Picture 1**\nRed.\n\n**Picture 2**\nBlue."


async def test_delivered_twice_is_answered_once(tmp_path: Path) -> None:
    """Also when both deliveries come at the same time."""
    provider = ScriptedProvider([[Text("Once.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        message = bot.message()
        await asyncio.gather(*(bot.dispatcher.handle(message, Ask("?")) for _ in range(5)))
        await bot.final()
        await bot.dispatcher.handle(message, Ask("?"))
    assert len(provider.calls) == 1


async def test_turns_of_a_channel_run_in_order_and_say_who_is_ahead(tmp_path: Path) -> None:
    """One at a time; other channels do not wait."""
    hold = asyncio.Event()
    provider = ScriptedProvider([[hold, Text("one")], [Text("two")]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("1"))
        await bot.dispatcher.handle(bot.message(), Ask("2"))
        await bot.surface().until(lambda s: any("1 ahead in this chat" in t for t in s.texts))
        assert len(provider.calls) <= 1
        hold.set()
        contents = await bot.final(count=2)
    # Both replies begin at once, so either may stand first; the second turn knows the first.
    assert sorted(content.text for content in contents) == ["one", "two"]
    assert [said(call) for call in provider.calls] == [["1"], ["1", "one", "2"]]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (SpaceUnreachable("The Space cannot be reached."), "Send /retry to try again."),
        (QuotaExceeded("The quota is used up.", retry_after=413), "in 7 min"),
    ],
)
async def test_a_failure_says_what_and_what_now(
    tmp_path: Path, error: Exception, says: str
) -> None:
    """With what was written so far, and the turn's id."""
    provider = ScriptedProvider([[Text("So far"), error]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        (content,) = await bot.final()
        (turn,) = await bot.storage.turns.latest(ChannelKey("test", ("c",)), 9)
    assert markdown(content).startswith(f"So far\n\n⚠️ {error}")
    assert says in markdown(content)
    assert f"#{turn.id}" in markdown(content)
    assert turn.state is TurnState.FAILED


async def test_a_mistake_in_the_program_is_told_and_survived(tmp_path: Path) -> None:
    """The next request works."""
    provider = ScriptedProvider([[ZeroDivisionError()], [Text("Fine.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        await bot.final()
        await bot.dispatcher.handle(bot.message(), Ask("!"))
        contents = await bot.final(count=2)
    assert "went wrong inside the bot" in markdown(contents[0])
    assert contents[1].text == "Fine."


@pytest.mark.parametrize("data", [b"", b"not a picture", png()[:60]])
async def test_a_bad_picture_is_refused_before_the_space_sees_it(
    tmp_path: Path, data: bytes
) -> None:
    """With a sentence."""
    provider = ScriptedProvider()
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(attachments=(bot.attachment(data),)), Ask("?"))
        (content,) = await bot.final()
    assert content.mood is Mood.FAILED
    assert provider.calls == []


async def test_stop_keeps_what_was_written(tmp_path: Path) -> None:
    """And closes the provider's stream."""
    provider = ScriptedProvider([[Text("Once upon"), asyncio.Event()]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("A story"))
        await bot.surface().until(lambda s: "Once upon" in s.texts)
        other = await bot.dispatcher.handle(bot.message(person=BOB), Stop())
        assert other is not None
        assert "Nothing of yours" in other.text
        await bot.dispatcher.handle(bot.message(), Stop())
        (content,) = await bot.final()
    assert markdown(content) == "Once upon\n\n■ Stopped."
    assert content.mood is Mood.STOPPED
    assert provider.open == 0


async def test_a_deleted_reply_stops_the_turn(tmp_path: Path) -> None:
    """Nobody waits for it any more, so the Space need not work for it."""
    provider = ScriptedProvider([[Text("Once"), asyncio.Event()]])
    async with scripted_bot(tmp_path, provider) as bot:
        surface = bot.surface()
        surface.faults.extend([None, MessageGone("deleted")])
        await bot.dispatcher.handle(bot.message(), Ask("A story"))
        await bot.final()
        (turn,) = await bot.storage.turns.latest(ChannelKey("test", ("c",)), 9)
    assert turn.state is TurnState.CANCELLED
    assert provider.open == 0


async def test_retry_asks_the_same_again_with_another_seed(tmp_path: Path) -> None:
    """The picture comes along."""
    provider = ScriptedProvider([[Text("a")], [Text("b")]])
    async with scripted_bot(tmp_path, provider) as bot:
        nothing = await bot.dispatcher.handle(bot.message(), Retry())
        assert nothing is not None
        await bot.dispatcher.handle(bot.message(attachments=(bot.attachment(png()),)), Ask("?"))
        await bot.final()
        assert await bot.dispatcher.handle(bot.message(), Retry()) is None
        await bot.final(count=2)
    first, second = provider.calls
    assert second["media"] == first["media"]
    assert second["seed"] != first["seed"]


async def test_reset_starts_afresh(tmp_path: Path) -> None:
    """Neither words nor pictures from before are sent."""
    provider = ScriptedProvider([[Text("a")], [Text("b")]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(attachments=(bot.attachment(png()),)), Ask("one"))
        await bot.final()
        notice = await bot.dispatcher.handle(bot.message(), Reset())
        assert notice is not None
        await bot.dispatcher.handle(bot.message(), Ask("two"))
        await bot.final(count=2)
    assert said(provider.calls[1]) == ["two"]
    assert provider.calls[1]["media"] is None


async def test_help_is_answered_at_once(tmp_path: Path) -> None:
    """Without the Space."""
    async with scripted_bot(tmp_path) as bot:
        notice = await bot.dispatcher.handle(bot.message(), Help())
    assert notice is not None
    assert "/imagine" in notice.text


async def test_limits_count_per_person(tmp_path: Path) -> None:
    """One person's eagerness costs nobody else a turn."""
    provider = ScriptedProvider([[Text(str(number))] for number in range(9)])
    async with scripted_bot(tmp_path, provider, allowance=Allowance(2, 0, 0)) as bot:
        answers = [await bot.dispatcher.handle(bot.message(), Ask("?")) for _ in range(3)]
        assert await bot.dispatcher.handle(bot.message(person=BOB), Ask("?")) is None
    assert answers[:2] == [None, None]
    assert answers[2] is not None
    assert "try again in" in answers[2].text


async def test_the_conversation_is_kept_with_the_channel(tmp_path: Path) -> None:
    """The next call gets what the last one gave."""
    conversation = JsonConversation(session_hash="abc", zerogpu_uuid="u")
    provider = ScriptedProvider([[conversation, Text("a")], [Text("b")]])
    async with scripted_bot(tmp_path, provider) as bot:
        for count in (1, 2):
            await bot.dispatcher.handle(bot.message(), Ask("?"))
            await bot.final(count=count)
    assert provider.calls[1]["conversation"] == conversation


async def test_a_stopped_process_goes_on_after_the_restart(tmp_path: Path) -> None:
    """Same message, same seed, same picture, and the history is still there."""
    provider = ScriptedProvider([[Text("Before.")], [Text("Half"), asyncio.Event()]])
    async with scripted_bot(tmp_path, provider, grace=0.0) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("First"))
        await bot.final()
        await bot.dispatcher.handle(
            bot.message(attachments=(bot.attachment(png()),)), Ask("Second")
        )
        await bot.surface().until(lambda s: "Half" in s.texts)
        surfaces = bot.surfaces
    assert "restarting" in surfaces["c"].texts[1]
    assert provider.open == 0

    again = ScriptedProvider([[Text("Whole answer.")]])
    async with scripted_bot(tmp_path, again, surfaces, resume=True) as bot:
        contents = await bot.final()
        refused = await bot.storage.turns.unfinished()
    assert [content.text for content in contents] == ["Before.", "Whole answer."]
    assert again.calls[0]["seed"] == provider.calls[1]["seed"]
    assert again.calls[0]["media"] == provider.calls[1]["media"]
    assert said(again.calls[0]) == ["First", "Before.", "Second"]
    assert refused == []


async def test_an_answer_that_was_made_is_not_made_again(tmp_path: Path) -> None:
    """Delivered after the restart from the row alone."""
    provider = ScriptedProvider([[Text("The answer.")]])
    async with scripted_bot(tmp_path, provider, grace=0.0) as bot:
        surface = bot.surface()
        surface.gate = asyncio.Event()
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        async with asyncio.timeout(50):
            await bot.answered.wait()
        surfaces = bot.surfaces
    surfaces["c"].gate = None
    surfaces["c"].in_flight = 0
    again = ScriptedProvider()
    async with scripted_bot(tmp_path, again, surfaces, resume=True) as bot:
        contents = await bot.final()
    assert [content.text for content in contents] == ["The answer."]
    assert again.calls == []


async def test_nothing_is_accepted_while_stopping(tmp_path: Path) -> None:
    """The person hears it instead of waiting."""
    provider = ScriptedProvider()
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.engine.drain(0.0)
        notice = await bot.dispatcher.handle(bot.message(), Ask("?"))
    assert notice is not None
    assert "restarting" in notice.text
    assert provider.calls == []


@pytest.mark.parametrize(
    ("value", "private", "shown"),
    [("private", True, True), ("private", False, False), ("on", False, True), ("off", True, False)],
)
async def test_previews_are_asked_for_where_they_are_shown(
    tmp_path: Path, value: str, private: bool, shown: bool
) -> None:
    """They tell what they will be, and nothing of them is kept."""
    limits = replace(PLAIN, private=private, preview_seconds=0.0)
    surface, go = ScriptedSurface(limits=limits), asyncio.Event()
    sketch = Preview([File(png("gray"), "image/png")])
    provider = ScriptedProvider([[*([sketch] if shown else []), go, drawn()]])
    settings = Settings(previews=value)
    async with scripted_bot(tmp_path, provider, {"c": surface}, settings=settings) as bot:
        await bot.dispatcher.handle(bot.message(), Imagine("fox", 42))
        if shown:
            await surface.until(lambda s: any(each.previews for each in s.messages.values()))
            (content,) = surface.messages.values()
            assert [file.alt for file in content.previews] == ["Not finished: fox"]
        go.set()
        (content,) = await bot.final()
        with pytest.raises(KeyError):
            await bot.storage.pictures.get(sketch.images[0].key)
    assert provider.calls[0]["previews"] is shown
    assert (len(content.files), content.previews) == (5, ())
