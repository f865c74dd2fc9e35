"""Messages whose acknowledgement was lost: found by their number, never sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.errors import DeliveryUnknown, RateLimited
from bot.platforms.telegram.surface import MAX_PROBES
from bot.reply.rate_limiter import Creations
from bot.reply.surface import Anchor, Content, Search
from tests.pictures import picture
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_support import Make, upload

pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")


class Killed(Exception):
    """The process dies here."""


class Finding:
    """A search as a live reply makes it; ids in `known` belong to other replies.

    With `life`, the process dies before it can make more requests than that.
    """

    def __init__(
        self, anchor: Anchor, content: Content, known: Sequence[int] = (), life: int | None = None
    ) -> None:
        self.requests = 0
        self.moving = asyncio.Event()
        self._life = life
        self.left = anchor
        self._known = {str(each) for each in known}
        self.search = Search(
            anchor,
            "turn-0",
            content,
            is_known=self._is_known,
            acquire=self._acquire,
            alone=Creations().searching,
            leave=self._leave,
        )

    def knows(self, ids: Sequence[int]) -> None:
        """Store messages of other replies."""
        self._known.update(str(each) for each in ids)

    async def _is_known(self, message_id: str) -> bool:
        return message_id in self._known

    async def _acquire(self) -> None:
        if self.requests == self._life:
            raise Killed
        self.requests += 1
        self.moving.set()

    async def _leave(self, anchor: Anchor) -> None:
        self.left = anchor


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("files", [0, 1, 5])
async def test_a_message_whose_answer_was_lost_is_found(
    telegram: TelegramServer, make_surface: Make, private: bool, files: int
) -> None:
    """By its number, among messages of people and other replies; it is not sent again."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann) if private else telegram.group()
    surface = make_surface(chat, reply_to=telegram.say(chat, ann, "hello")["message_id"])
    content = Content("The answer.", tuple(upload(picture(64 + n, 64)) for n in range(files)))
    anchor = surface.anchor()
    other = await make_surface(chat).create(Content("another reply"), "other-0")
    telegram.say(chat, ann, "by the way")
    method = {0: "sendMessage", 1: "sendPhoto"}.get(files, "sendMediaGroup")
    telegram.drop_next(method, stored=True)
    with pytest.raises(DeliveryUnknown):
        await surface.create(content, "turn-0")
    sent = telegram.replies(chat)[1:]
    telegram.say(chat, ann, "are you there?")
    finding = Finding(anchor, content, known=other["ids"])
    receipt = await make_surface(chat).find(finding.search)
    assert receipt is not None
    assert receipt["ids"] == [message["message_id"] for message in sent]
    assert finding.requests
    await surface.edit(receipt, Content("Changed.", content.files))
    assert (sent[0].get("text") or sent[0]["caption"]) == "Changed."
    assert telegram.replies(chat)[0]["text"] == "another reply"


async def test_another_replys_lost_message_is_not_taken(
    telegram: TelegramServer, make_surface: Make
) -> None:
    """Two answers were lost in one chat; each reply finds its own, whichever looks first."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    questions = [telegram.say(chat, ann, text)["message_id"] for text in ("one?", "two?")]
    contents = [Content("One."), Content("Two.")]
    anchor = make_surface(chat, reply_to=questions[1]).anchor()
    for question, content in zip(questions, contents, strict=True):
        telegram.drop_next("sendMessage", stored=True)
        with pytest.raises(DeliveryUnknown):
            await make_surface(chat, reply_to=question).create(content, "turn-0")
    found: list[int] = []
    for question, content in reversed(list(zip(questions, contents, strict=True))):
        finding = Finding(anchor, content, known=found)
        receipt = await make_surface(chat, reply_to=question).find(finding.search)
        assert receipt is not None
        found += receipt["ids"]
    replies = telegram.replies(chat)
    assert found == [message["message_id"] for message in reversed(replies)]
    assert [message["text"] for message in replies] == ["One.", "Two."]


async def test_a_message_that_is_just_being_created_is_left_alone(
    telegram: TelegramServer, make_surface: Make
) -> None:
    """The search waits until its id is stored, and then knows it."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    creations = Creations()
    finding = Finding({"after": telegram.say(chat, ann, "?")["message_id"]}, Content("x"))
    finding.search = replace(finding.search, alone=creations.searching)
    async with creations.creating():
        receipt = await make_surface(chat).create(Content("another reply"), "other-0")
        looking = asyncio.create_task(make_surface(chat).find(finding.search))
        await asyncio.wait_for(finding.moving.wait(), 45)
        finding.knows(receipt["ids"])
    assert await looking is None
    assert telegram.replies(chat)[0]["text"] == "another reply"


async def test_a_message_that_never_arrived_is_not_found(
    telegram: TelegramServer, make_surface: Make
) -> None:
    """A person's message is not taken for the bot's, and the search has an end."""
    ann = telegram.person("Ann")
    chat = telegram.group()
    surface = make_surface(chat, reply_to=telegram.say(chat, ann, "hello")["message_id"])
    anchor = surface.anchor()
    telegram.say(chat, ann, "by the way")
    finding = Finding(anchor, Content("The answer."))
    assert await surface.find(finding.search) is None
    assert finding.requests == MAX_PROBES
    assert telegram.messages(chat)[1]["text"] == "by the way"


async def test_a_search_that_is_refused_is_done_again_later(
    telegram: TelegramServer, make_surface: Make
) -> None:
    """A flood wait is no answer to where the message is."""
    chat = telegram.group()
    surface = make_surface(chat)
    telegram.fail_next(
        "editMessageText", 429, "Too Many Requests: retry after 3", parameters={"retry_after": 3}
    )
    with pytest.raises(RateLimited):
        await surface.find(Finding(surface.anchor(), Content("x")).search)


async def test_a_search_goes_on_where_it_was_cut_off(
    telegram: TelegramServer, make_surface: Make
) -> None:
    """A bot that is killed again and again still gets to its end."""
    ann = telegram.person("Ann")
    chat = telegram.private(ann)
    surface = make_surface(chat, reply_to=telegram.say(chat, ann, "hello")["message_id"])
    content, anchor = Content("The answer."), surface.anchor()
    for number in range(3):
        telegram.say(chat, ann, f"and {number}")
    telegram.drop_next("sendMessage", stored=True)
    with pytest.raises(DeliveryUnknown):
        await surface.create(content, "turn-0")
    for _ in range(3):  # lives in which one number can be looked at
        finding = Finding(anchor, content, life=1)
        with pytest.raises(Killed):
            await make_surface(chat).find(finding.search)
        assert finding.left["after"] == anchor["after"] + 1
        anchor = finding.left
    finding = Finding(anchor, content)
    assert await make_surface(chat).find(finding.search) is not None
    assert finding.requests == 1


async def test_a_search_that_was_cut_off_has_the_same_end(
    telegram: TelegramServer, make_surface: Make
) -> None:
    """Going on does not make it longer."""
    surface = make_surface(telegram.group())
    finding = Finding(surface.anchor(), Content("x"))
    assert await surface.find(finding.search) is None
    again = Finding(finding.left, Content("x"))
    assert await surface.find(again.search) is None
    assert again.requests == 0
