"""Turns survive quotas, edits, deletions, refusals, crashes and long absences."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import QuotaExceeded, SurfaceForbidden
from bot.models import Ask, Imagine, Turn, TurnState
from bot.provider.responses import Reasoning, Stage, Text
from bot.reply.render import markdown
from bot.turns.commands import Retry, Stop
from bot.turns.run import MAX_AGE_SECONDS, MAX_ATTEMPTS
from tests.pictures import png
from tests.scripted_bot import BOB, ScriptedBot, ScriptedProvider, scripted_bot
from tests.scripted_surface import ScriptedSurface

QUOTA = "The free GPU time is used up."


def shows(part: str) -> Callable[[ScriptedSurface], bool]:
    return lambda surface: any(part in text for text in surface.texts)


async def stored(bot: ScriptedBot, message_id: str = "1") -> Turn:
    turn = await bot.storage.turns.of_message(bot.message().channel, message_id)
    assert turn is not None
    return turn


async def test_a_known_wait_for_quota_is_waited_for(tmp_path: Path) -> None:
    """The turn is parked with a countdown and answered afterwards, without anybody's doing."""
    provider = ScriptedProvider([[QuotaExceeded(QUOTA, retry_after=1.0)], [Text("Here.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        await bot.surface().until(shows("I go on by myself"))
        (content,) = await bot.final()
        turn = await stored(bot)
    assert content.text == "Here."
    assert (turn.state, turn.attempts, turn.parked_until) == (TurnState.DONE, 2, None)
    assert [call["seed"] for call in provider.calls] == [turn.seed, turn.seed]


async def test_a_parked_turn_holds_up_nobody_in_its_channel(tmp_path: Path) -> None:
    """Others go on; there may be another Space."""
    provider = ScriptedProvider([[QuotaExceeded(QUOTA, retry_after=900)], [Text("Hello.")]])
    async with scripted_bot(tmp_path, provider, grace=0.0) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        await bot.surface().until(shows("about 15 min"))
        await bot.dispatcher.handle(bot.message(person=BOB), Ask("Hello?"))
        await bot.ended.wait_for("c", 1)
        assert "Hello." in bot.surface().texts


async def test_a_parked_turn_can_be_stopped(tmp_path: Path) -> None:
    """The countdown says how, and it works."""
    provider = ScriptedProvider([[QuotaExceeded(QUOTA, retry_after=900)]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        await bot.surface().until(shows("/stop"))
        await bot.dispatcher.handle(bot.message(), Stop())
        (content,) = await bot.final()
    assert markdown(content) == "■ Stopped."


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (QuotaExceeded(QUOTA, retry_after=7200), ()),
        (QuotaExceeded(QUOTA), ()),
        (QuotaExceeded(QUOTA, retry_after=1), (Text("Once"),)),
    ],
)
async def test_not_every_quota_is_waited_for(
    error: QuotaExceeded, shown: tuple[Text, ...], tmp_path: Path
) -> None:
    """Too long, unknown, or after text was shown: the person is told instead."""
    provider = ScriptedProvider([[*shown, error]])
    async with scripted_bot(tmp_path, provider, quota_wait=3600.0) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        (content,) = await bot.final()
        assert (await stored(bot)).state is TurnState.FAILED
    assert QUOTA in markdown(content)


async def test_a_parked_turn_survives_a_restart(tmp_path: Path) -> None:
    """The next process waits for the rest of the time only."""
    provider = ScriptedProvider([[QuotaExceeded(QUOTA, retry_after=900)], [Text("Here.")]])
    surfaces: dict[str, ScriptedSurface] = {}
    async with scripted_bot(tmp_path, provider, surfaces, grace=0.0) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        await bot.surface().until(shows("about 15 min"))
    async with scripted_bot(tmp_path, provider, surfaces) as bot:
        turn = await stored(bot)
        assert turn.state is TurnState.PARKED
        assert turn.parked_until is not None
        await bot.storage.turns.save(replace(turn, parked_until=time.time()))
        bot.engine.resume_later("test")
        (content,) = await bot.final()
    assert content.text == "Here."


async def test_an_edited_request_is_begun_again_in_the_same_reply(tmp_path: Path) -> None:
    """What was said to the old words is taken back, and the seed stays."""
    go = asyncio.Event()
    provider = ScriptedProvider([[Text("Old answer"), go], [Text("New answer.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        message = bot.message()
        await bot.dispatcher.handle(message, Ask("Old?"))
        await bot.surface().until(shows("Old answer"))
        await bot.dispatcher.edited(message, Ask("New?"))
        (content,) = await bot.final()
        turn = await stored(bot)
    assert content.text == "New answer."
    assert turn.command == Ask("New?")
    assert provider.calls[1]["messages"][-1]["content"] == "New?"
    assert provider.calls[0]["seed"] == provider.calls[1]["seed"]


async def test_the_newest_of_several_edits_counts(tmp_path: Path) -> None:
    """However fast they come; each is stored when its update may be forgotten."""
    go = asyncio.Event()
    provider = ScriptedProvider([[Text("Old answer"), go]])
    provider.scripts += [[Text("New."), go]] * 3
    async with scripted_bot(tmp_path, provider) as bot:
        message = bot.message()
        await bot.dispatcher.handle(message, Ask("Old?"))
        await bot.surface().until(shows("Old answer"))
        edits = [Ask("New?"), Ask("Newer?"), Ask("Newest?")]
        await asyncio.gather(*(bot.dispatcher.edited(message, edit) for edit in edits))
        assert (await stored(bot)).command == Ask("Newest?")
        go.set()
        (content,) = await bot.final()
        turn = await stored(bot)
    assert content.text == "New."
    assert turn.command == Ask("Newest?")
    assert provider.calls[-1]["messages"][-1]["content"] == "Newest?"


async def test_an_edit_of_a_turn_that_waits_keeps_its_place(tmp_path: Path) -> None:
    """The new words are asked when it comes to them."""
    go = asyncio.Event()
    provider = ScriptedProvider([[go, Text("One.")], [Text("Two.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("1"))
        second = bot.message()
        await bot.dispatcher.handle(second, Ask("2"))
        await bot.surface().until(shows("1 ahead"))
        await bot.dispatcher.edited(second, Imagine("a fox", seed=7))
        go.set()
        await bot.final(count=2)
        assert provider.calls[1]["prompt"] == "a fox"
        assert provider.calls[1]["seed"] == 7


async def test_an_edit_that_changes_nothing_is_nothing(tmp_path: Path) -> None:
    """Platforms report an edit when a link's preview arrives."""
    go = asyncio.Event()
    provider = ScriptedProvider([[Reasoning(Stage.RUNNING), go, Text("Once.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        message = bot.message()
        await bot.dispatcher.handle(message, Ask("?"))
        await bot.surface().until(shows("Working"))
        await bot.dispatcher.edited(message, Ask("?"))
        go.set()
        (content,) = await bot.final()
        await bot.dispatcher.edited(message, Ask("Too late?"))
    assert content.text == "Once."
    assert len(provider.calls) == 1


async def test_a_deleted_request_takes_its_reply_with_it(tmp_path: Path) -> None:
    """Whoever takes a question back wants no answer to stand there."""
    provider = ScriptedProvider([[Text("Secret"), asyncio.Event()]])
    async with scripted_bot(tmp_path, provider) as bot:
        message = bot.message(attachments=(bot.attachment(png()),))
        await bot.dispatcher.handle(message, Ask("?"))
        await bot.surface().until(shows("Secret"))
        await bot.dispatcher.deleted(message.channel, message.message_id)
        assert await bot.final() == []
        assert (await stored(bot)).state is TurnState.CANCELLED
        assert await bot.storage.turns.lineage((await stored(bot)).id, 10) == []
    assert provider.open == 0


async def test_where_the_bot_may_not_write_the_person_hears_it_elsewhere(tmp_path: Path) -> None:
    """With what is missing, and the reason is kept with the turn."""
    provider = ScriptedProvider([[asyncio.Event()]])
    surface = ScriptedSurface()
    surface.faults.append(SurfaceForbidden("I lack the permission Attach Files."))
    async with scripted_bot(tmp_path, provider, {"c": surface}) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("?"))
        await bot.final()
        turn = await stored(bot)
        ((person, text),) = bot.told
    assert person.name == "Ann"
    assert "Attach Files" in text
    assert turn.state is TurnState.FAILED
    assert turn.answer is not None
    assert "Attach Files" in turn.answer.note


@pytest.mark.parametrize(
    ("age", "attempts", "says"),
    [(MAX_AGE_SECONDS + 60, 1, "more than a day"), (60, MAX_ATTEMPTS, f"{MAX_ATTEMPTS} times")],
)
async def test_what_should_not_be_tried_again_ends_with_a_word(
    age: float, attempts: int, says: str, tmp_path: Path
) -> None:
    """Nothing is resumed for ever, and nobody is left without an answer."""
    provider = ScriptedProvider([[Text("Never asked.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        turn = Turn.accept(bot.message(), Ask("?"))
        old = replace(turn, accepted_at=time.time() - age, attempts=attempts)
        await bot.storage.turns.accept(old)
        bot.engine.resume_later("test")
        (content,) = await bot.final()
        assert (await stored(bot)).state is TurnState.FAILED
    assert says in markdown(content)
    assert not provider.calls


async def test_people_take_turns_across_channels(tmp_path: Path) -> None:
    """One person with requests in five channels does not keep another from the only place."""
    go = asyncio.Event()
    provider = ScriptedProvider([[go, Text("x")] for _ in range(6)])
    async with scripted_bot(tmp_path, provider, slots=lambda: 1) as bot:
        for channel in "abcde":
            await bot.dispatcher.handle(bot.message(channel), Ask(channel))
        await bot.surface("e").until(shows("ahead of you, all yours"))
        await bot.dispatcher.handle(bot.message("z", person=BOB), Ask("z"))
        await bot.surface("z").until(shows("You are next"))
        go.set()
        for channel in "abcdez":
            await bot.final(channel)
    asked = [call["messages"][-1]["content"] for call in provider.calls]
    assert asked[1] == "z"
    assert sorted(asked) == sorted("abcdez")


async def test_a_retry_takes_the_place_of_the_old_answer(tmp_path: Path) -> None:
    """Both versions are kept; history follows the one that was made last."""
    provider = ScriptedProvider([[Text("One.")], [Text("Two.")], [Text("Deux.")], [Text("Yes.")]])
    async with scripted_bot(tmp_path, provider) as bot:
        for count, text in enumerate(("First?", "Second?"), 1):
            await bot.dispatcher.handle(bot.message(), Ask(text))
            await bot.final(count=count)
        await bot.dispatcher.handle(bot.message(), Retry())
        await bot.final(count=3)
        await bot.dispatcher.handle(bot.message(), Ask("Third?"))
        await bot.final(count=4)
        assert len(await bot.storage.turns.latest(bot.message().channel, 10)) == 4
    said = [message["content"] for message in provider.calls[3]["messages"]]
    assert said == ["First?", "One.", "Second?", "Deux.", "Third?"]


async def test_answering_an_older_message_branches_from_there(tmp_path: Path) -> None:
    """And who goes on without answering one goes on from the newest branch."""
    texts = ["One.", "Two.", "Branch.", "On."]
    provider = ScriptedProvider([[Text(text)] for text in texts])
    async with scripted_bot(tmp_path, provider) as bot:
        await bot.dispatcher.handle(bot.message(), Ask("1"))
        await bot.final()
        first = await stored(bot)
        await bot.dispatcher.handle(bot.message(), Ask("2"))
        await bot.final(count=2)
        await bot.dispatcher.handle(bot.message(reply_to=f"{first.id}-0"), Ask("3"))
        await bot.final(count=3)
        await bot.dispatcher.handle(bot.message(), Ask("4"))
        await bot.final(count=4)
    said = [[m["content"] for m in call["messages"]] for call in provider.calls]
    assert said[2] == ["1", "One.", "3"]
    assert said[3] == ["1", "One.", "3", "Branch.", "4"]


async def test_turns_accepted_at_once_follow_one_another(tmp_path: Path) -> None:
    """However fast they come, each knows the one before it."""
    provider = ScriptedProvider([[Text(text)] for text in ("One.", "Two.", "Three.")])
    async with scripted_bot(tmp_path, provider) as bot:
        messages = [bot.message() for _ in range(3)]
        await asyncio.gather(*(bot.dispatcher.handle(each, Ask("?")) for each in messages))
        await bot.final(count=3)
    assert [len(call["messages"]) for call in provider.calls] == [1, 3, 5]
