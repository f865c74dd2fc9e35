"""Long answers as quotes that people open, if `[telegram] long_answers` says so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from telegram import MessageEntity

from bot.i18n import Catalogue
from bot.models import Address, Answer, TurnState
from bot.platforms.telegram.client import TelegramTarget
from bot.platforms.telegram.entities import folded, render
from bot.reply.render import Page, Phase, ReplyState, contents
from bot.reply.surface import Content, Mood
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_support import opened
from tests.servers.telegram_world import Chat, Json, units

LONG = "A **fox** is an animal. " * 60
QUOTE = MessageEntity.EXPANDABLE_BLOCKQUOTE


def address(chat: Chat) -> Address:
    return TelegramTarget(chat.id, private=chat.is_private).to_address()


def quotes(message: Json) -> list[tuple[int, int]]:
    """Offsets and lengths of what is folded."""
    entities = message.get("entities") or []
    return [(each["offset"], each["length"]) for each in entities if each["type"] == QUOTE]


async def test_an_answer_is_folded_when_it_is_done(telegram: TelegramServer) -> None:
    """Not while it grows; a change of the mood alone is worth an edit. Short ones stay open."""
    group = telegram.group()
    async with opened(telegram, folds=True) as adapter:
        surface = adapter.surface(address(group))
        assert surface.limits.moods
        receipt = await surface.create(Content(LONG), "turn-0")
        assert quotes(telegram.replies(group)[0]) == []
        await surface.edit(receipt, Content(LONG, mood=Mood.DONE))
        await surface.create(Content("A **fox**.", mood=Mood.DONE), "turn-1")
    long, short = telegram.replies(group)
    assert quotes(long) == [(0, units(long["text"]))]
    assert quotes(short) == []
    assert any(entity["type"] == "bold" for entity in long["entities"])


async def test_messages_are_the_default(telegram: TelegramServer) -> None:
    """Nothing is folded, and nothing is edited to fold it."""
    chat = telegram.private(telegram.person("Ada"))
    async with opened(telegram) as adapter:
        surface = adapter.surface(address(chat))
        assert not surface.limits.moods
        await surface.create(Content(LONG, mood=Mood.DONE), "turn-0")
    assert quotes(telegram.replies(chat)[0]) == []


async def test_what_does_not_fit_follows_in_further_quotes(telegram: TelegramServer) -> None:
    """Telegram takes 4,096 units a message; all of the text arrives."""
    chat = telegram.private(telegram.person("Ada"))
    text = LONG * 6
    state = ReplyState(phase=Phase.FINAL, answer=Answer(TurnState.DONE, text))
    async with opened(telegram, folds=True) as adapter:
        surface = adapter.surface(address(chat))
        page = Page(surface.limits, surface.measure, Catalogue().words("en"))
        for number, content in enumerate(contents(state, page, 0.0, "turn")):
            await surface.create(content, f"turn-{number}")
    sent = telegram.replies(chat)
    assert len(sent) > 1
    *full, rest = sent  # what is left over may be short enough to stand open
    assert all(quotes(each) == [(0, units(each["text"]))] for each in full)
    assert len(quotes(rest)) <= 1
    assert sum(each["text"].count("fox") for each in sent) == text.count("fox")


@given(
    st.lists(st.sampled_from(["> a", "# b", "`c`", "**d**", "```py\ne\n```", "\N{FOX FACE}", ""]))
)
def test_a_quote_holds_no_other_quote(lines: list[str]) -> None:
    """Telegram refuses that; everything else may stand in one."""
    shown = folded(render("\n".join([*lines, *["x"] * 20])))
    kinds = [entity.type for entity in shown.entities]
    assert kinds.count(QUOTE) == 1
    assert MessageEntity.BLOCKQUOTE not in kinds
    assert all(entity.offset + entity.length <= units(shown.text) for entity in shown.entities)
