"""Replies on Discord: what arrives at a local Discord, by the real client, over sockets."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from bot.models import Address
from bot.platforms.discord.surface import LIMITS, DiscordSurface
from bot.reply.rate_limiter import Creations
from bot.reply.surface import Anchor, Content, Mood, Search, Surface
from tests.servers.discord import DiscordServer
from tests.servers.discord_components import V2, text_of
from tests.servers.discord_running import Running, closing, make, running
from tests.servers.discord_world import LOADING, SEND, Channel

FIVE = tuple(
    File(b"RIFF fox %d" % n, "image/webp", f"fox-{n}.webp", f"a red fox, {n}") for n in range(5)
)
WORKING = Content("Drawing … 40 %")
DONE = Content("A red fox. Seed 42.", FIVE, Mood.DONE)


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as one:
        yield one


@pytest.fixture
async def bot(server: DiscordServer) -> AsyncIterator[Running]:
    server.channel(server.guild())
    server.person("Ada")
    async with running(server) as one:
        yield one


def general(server: DiscordServer) -> Channel:
    return next(iter(server.channels.values()))


async def asked(server: DiscordServer, bot: Running) -> Address:
    """The address of an ordinary message that mentions the bot."""
    await server.says(server.people[0], general(server), f"<@{server.bot.id}> hello")
    await server.wait_for(lambda: bot.inbox.got)
    return bot.inbox.got.pop().message.address


async def commanded(server: DiscordServer, bot: Running, **changes: Any) -> Address:
    """The address of /imagine."""
    await server.runs(server.people[0], general(server), "imagine", prompt="a red fox")
    await server.wait_for(lambda: bot.inbox.got)
    address = bot.inbox.got.pop().message.address
    return replace(address, data=address.data | changes)


def restored(address: Address) -> Address:
    """What another process reads from the database."""
    return Address(**json.loads(json.dumps(asdict(address))))


def shown(server: DiscordServer) -> list[dict[str, Any]]:
    """What the bot wrote, oldest first, with nothing that still says "thinking"."""
    return [m for m in server.messages(general(server)) if m["author"]["id"] == server.bot.id]


def data_of(server: DiscordServer, message: dict[str, Any]) -> list[bytes]:
    """The bytes of a message's attachments."""
    prefix = len(server.url)
    return [server.rest.cdn[one["url"][prefix:]][0] for one in message["attachments"]]


async def test_the_surface_fits_its_port(server: DiscordServer, bot: Running) -> None:
    """Limits are Discord's, drafts do not exist, and files come by edit."""
    surface: Surface = bot.adapter.surface(await asked(server, bot))
    assert (surface.limits.text, surface.limits.files, surface.limits.attach) == (2000, 10, True)
    with pytest.raises(PreviewUnsupported):
        await surface.preview(WORKING)


@given(st.text(max_size=20), st.text(max_size=20))
def test_measure_counts_utf16_units(one: str, two: str) -> None:
    """Never less than code points, and additive, so that splitting by it is safe."""
    surface = DiscordSurface.measure
    nobody: Any = None
    assert surface(nobody, one) >= len(one)
    assert surface(nobody, one + two) == surface(nobody, one) + surface(nobody, two)
    assert surface(nobody, "a🦊") == 3


class TestOrdinaryMessage:
    async def test_it_replies_and_is_edited(self, server: DiscordServer, bot: Running) -> None:
        """One message that refers to the question, changed in place."""
        address = await asked(server, bot)
        surface = bot.adapter.surface(address)
        receipt = await surface.create(WORKING, "turn-0")
        await surface.edit(receipt, Content("Hello, Ada.", mood=Mood.DONE))
        (message,) = shown(server)
        assert message["content"] == "Hello, Ada."
        assert message["message_reference"]["message_id"] == int(address.data["reply_to"])
        assert receipt == {"ids": [message["id"]]}

    async def test_a_question_that_was_deleted_is_still_answered(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """The reference is not a condition."""
        address = await asked(server, bot)
        await server.remove(general(server), address.data["reply_to"])
        await bot.adapter.surface(address).create(WORKING, "turn-0")
        assert len(shown(server)) == 1

    async def test_the_same_nonce_makes_one_message(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """A create whose answer was lost may be repeated."""
        surface = bot.adapter.surface(await asked(server, bot))
        server.drop_next("POST", "/messages$", after=True)
        with pytest.raises(DeliveryUnknown):
            await surface.create(WORKING, "turn-0")
        first = await surface.create(WORKING, "turn-0")
        second = await surface.create(WORKING, "turn-1")
        assert [one["id"] for one in shown(server)] == [*first["ids"], *second["ids"]]

    async def test_every_edit_states_the_pictures(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """A gallery names its files, so an edit brings along what it is to show, and no more."""
        surface = bot.adapter.surface(await asked(server, bot))
        receipt = await surface.create(WORKING, "turn-0")
        await surface.edit(receipt, DONE)
        await surface.edit(receipt, replace(DONE, text="Other words."))
        stated = shown(server)[0]["attachments"]
        assert [one["description"] for one in stated] == [upload.alt for upload in FIVE]
        await surface.edit(receipt, replace(DONE, files=FIVE[:2]))
        assert data_of(server, shown(server)[0]) == [upload.data for upload in FIVE[:2]]
        await surface.edit(receipt, Content("Nothing."))
        assert shown(server)[0]["attachments"] == []
        uploads = [len(call.files) for call in server.calls("PATCH", "/messages/")]
        assert uploads == [5, 5, 2, 0]

    async def test_an_upload_whose_answer_was_lost_is_sent_again(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """What may not be there is not taken for kept, and never shown twice."""
        surface = bot.adapter.surface(await asked(server, bot))
        receipt = await surface.create(WORKING, "turn-0")
        server.drop_next("PATCH", "/messages/", after=True)
        with pytest.raises(DeliveryUnknown):
            await surface.edit(receipt, DONE)
        await surface.edit(receipt, DONE)
        assert data_of(server, shown(server)[0]) == [upload.data for upload in FIVE]

    async def test_deleting_twice_is_fine(self, server: DiscordServer, bot: Running) -> None:
        """A message that is gone already counts as deleted."""
        surface = bot.adapter.surface(await asked(server, bot))
        receipt = await surface.create(WORKING, "turn-0")
        await surface.delete(receipt)
        await surface.delete(receipt)
        assert shown(server) == []

    async def test_another_process_goes_on(self, server: DiscordServer, bot: Running) -> None:
        """Address and receipt as JSON are all that an edit with pictures needs."""
        address = await asked(server, bot)
        receipt = await bot.adapter.surface(address).create(WORKING, "turn-0")
        async with closing(make(server)) as other:
            await other.open()
            await other.surface(restored(address)).edit(json.loads(json.dumps(receipt)), DONE)
        (message,) = shown(server)
        assert message["content"] == DONE.text
        assert data_of(server, message) == [upload.data for upload in FIVE]


class TestInteraction:
    async def test_the_reply_takes_the_placeholders_place(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """One message from "thinking" to five pictures, all through the token."""
        surface = bot.adapter.surface(await commanded(server, bot))
        receipt = await surface.create(WORKING, "turn-0")
        await surface.edit(receipt, DONE)
        (message,) = general(server).messages.values()
        assert text_of(message) == "A red fox. Seed 42."
        assert len(message["attachments"]) == 5
        assert not message["flags"] & LOADING
        assert not server.calls("POST", "^/channels") + server.calls("PATCH", "^/channels")

    async def test_a_repeated_create_is_harmless(self, server: DiscordServer, bot: Running) -> None:
        """The first message is an edit, so a lost answer costs nothing, after a restart too."""
        address = await commanded(server, bot)
        server.drop_next("PATCH", "@original", after=True)
        with pytest.raises(DeliveryUnknown):
            await bot.adapter.surface(address).create(WORKING, "turn-0")
        async with closing(make(server)) as other:
            await other.open()
            await other.surface(restored(address)).create(WORKING, "turn-0")
        assert len(general(server).messages) == 1

    async def test_more_messages_follow(self, server: DiscordServer, bot: Running) -> None:
        """The second segment is a message of its own, after a restart too."""
        address = await commanded(server, bot)
        await bot.adapter.surface(address).create(WORKING, "turn-0")
        async with closing(make(server)) as other:
            await other.open()
            surface = other.surface(restored(address))
            second = await surface.create(Content("two"), "turn-1")
            await surface.edit(second, Content("two, done"))
        assert [one["content"] for one in shown(server)] == [WORKING.text, "two, done"]

    async def test_any_other_nonce_works_by_order(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """Without a number the first nonce seen is the first message's."""
        surface = bot.adapter.surface(await commanded(server, bot))
        for nonce in ("once", "once", "twice"):
            await surface.create(Content(nonce), nonce)
        assert [one["content"] for one in shown(server)] == ["once", "twice"]

    async def test_before_minute_14_it_moves_to_the_channel(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """The same message is changed with the bot's own token, and more are sent with it."""
        address = await commanded(server, bot)
        receipt = await bot.adapter.surface(address).create(WORKING, "turn-0")
        later = DiscordSurface(
            bot.adapter._opened().http, address, me=1, clock=lambda: time.time() + 14 * 60
        )
        await later.edit(receipt, DONE)
        await later.create(Content("and more"), "turn-1")
        assert [one["content"] for one in shown(server)] == [DONE.text, "and more"]
        assert len(server.calls("PATCH", "^/channels")) == 1
        assert len(server.calls("PATCH", "^/webhooks")) == 1

    async def test_a_token_that_ended_early_moves_it_too(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """Discord's 50027 is the end of the token, not of the reply; it is asked only once."""
        address = await commanded(server, bot)
        surface = bot.adapter.surface(address)
        receipt = await surface.create(WORKING, "turn-0")
        for one in server.interactions.values():
            one.ended = True
        await surface.edit(receipt, Content("going on"))
        await surface.edit(receipt, DONE)
        (message,) = shown(server)
        assert len(message["attachments"]) == 5
        assert len(server.calls("PATCH", "^/webhooks")) == 2

    async def test_a_placeholder_is_filled_after_the_token_ended(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """A reply that starts late still replaces "thinking"; if that is gone it is sent anew."""
        server.token_life = -1.0
        first, second = await commanded(server, bot), await commanded(server, bot)
        await server.remove(general(server), second.data["interaction"]["message_id"])
        await bot.adapter.surface(first).create(Content("late"), "turn-0")
        await bot.adapter.surface(second).create(Content("later"), "turn-0")
        texts = [text_of(one) for one in general(server).messages.values()]
        assert texts == ["late", "later"]

    async def test_a_placeholder_that_was_removed(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """The answer is owed all the same and follows as a new message."""
        address = await commanded(server, bot)
        await server.remove(general(server), address.data["interaction"]["message_id"])
        await bot.adapter.surface(address).create(WORKING, "turn-0")
        assert [one["content"] for one in shown(server)] == [WORKING.text]

    async def test_where_the_bot_is_no_member_the_token_is_all(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """An app that a person brought along cannot go on in the channel, and says why."""
        server.token_life = -1.0
        surface = bot.adapter.surface(await commanded(server, bot, member=False))
        with pytest.raises(SurfaceForbidden) as caught:
            await surface.create(WORKING, "turn-0")
        assert "15 minutes" in Catalogue().words()(caught.value.key)
        assert not server.calls("POST", "^/channels")


class TestFaults:
    @pytest.mark.parametrize(
        ("status", "code", "expected"),
        [
            (400, 50035, ContentRefused),
            (413, 40005, ContentRefused),
            (400, 30046, RateLimited),
            (401, 0, SurfaceForbidden),
            (403, 50013, SurfaceForbidden),
            (404, 10003, SurfaceForbidden),
            (404, 10008, MessageGone),
            (429, 0, RateLimited),
            (503, 0, DeliveryUnknown),
        ],
    )
    async def test_every_answer_has_its_error(
        self,
        server: DiscordServer,
        bot: Running,
        status: int,
        code: int,
        expected: type[SurfaceError],
    ) -> None:
        """Discord's status and code become one SurfaceError, in edits and creates."""
        surface = bot.adapter.surface(await asked(server, bot))
        receipt = await surface.create(WORKING, "turn-0")
        server.fail_next("PATCH", "/messages/", status, code, headers={"Retry-After": "7.5"})
        with pytest.raises(expected) as caught:
            await surface.edit(receipt, DONE)
        if isinstance(caught.value, RateLimited):
            assert caught.value.retry_after == 7.5
        server.fail_next("POST", "/messages$", status, code)
        with pytest.raises(SurfaceError) as caught:
            await surface.create(WORKING, "turn-1")
        # A create cannot say that a message is gone: there was none.
        assert type(caught.value) is (SurfaceUnavailable if expected is MessageGone else expected)

    async def test_a_long_wait_is_not_slept_through(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """A 429 for minutes is handed up, so that other chats can be served meanwhile."""
        surface = bot.adapter.surface(await asked(server, bot))
        receipt = await surface.create(WORKING, "turn-0")
        server.fail_next("PATCH", "/messages/", 429, headers={"Via": "x"}, retry_after=200.0)
        with pytest.raises(RateLimited) as caught:
            await surface.edit(receipt, DONE)
        assert caught.value.retry_after == 200

    async def test_a_missing_permission_is_named(self, server: DiscordServer, bot: Running) -> None:
        """A 403 after the check (somebody changed the channel) still says what is wrong."""
        surface = bot.adapter.surface(await asked(server, bot))
        general(server).denied = SEND
        with pytest.raises(SurfaceForbidden) as caught:
            await surface.create(WORKING, "turn-0")
        assert "Send Messages" in Catalogue().words()(caught.value.key)

    async def test_text_that_is_too_long_is_refused(
        self, server: DiscordServer, bot: Running
    ) -> None:
        """Discord's own check is passed on with its words."""
        surface = bot.adapter.surface(await asked(server, bot))
        with pytest.raises(ContentRefused, match="2000"):
            await surface.create(Content("x" * 2001), "turn-0")

    async def test_a_discord_that_is_not_there(self, server: DiscordServer, bot: Running) -> None:
        """Both ways to notice it are tried again: refused, and cut off while it was closing."""
        surface = bot.adapter.surface(await asked(server, bot))
        receipt = await surface.create(WORKING, "turn-0")
        await server.__aexit__()
        for request in (surface.create(WORKING, "turn-1"), surface.edit(receipt, DONE)):
            with pytest.raises((SurfaceUnavailable, DeliveryUnknown)):
                await request

    async def test_a_delete_never_leaves_doubt(self, server: DiscordServer, bot: Running) -> None:
        """A delete that was cut off may simply be tried again."""
        surface = bot.adapter.surface(await asked(server, bot))
        receipt = await surface.create(WORKING, "turn-0")
        server.drop_next("DELETE", "/messages/", after=False, times=2)  # aiohttp tries twice
        with pytest.raises(SurfaceUnavailable):
            await surface.delete(receipt)
        await surface.delete(receipt)
        assert shown(server) == []


def test_the_interval_keeps_within_the_known_limit() -> None:
    """Five edits in any 5 s at most: Discord's bucket per channel."""
    assert math.floor(5 / LIMITS.interval) + 1 <= 5
    assert LIMITS.rate <= 50


async def test_a_burst_is_slowed_down_and_loses_nothing(
    server: DiscordServer, bot: Running
) -> None:
    """discord.py waits for the bucket that the headers describe, so nothing is refused."""
    surface = bot.adapter.surface(await asked(server, bot))
    receipt = await surface.create(WORKING, "turn-0")
    server.limits = (5, 0.5)
    for number in range(12):
        await surface.edit(receipt, Content(f"{number} %"))
    assert not server.refused
    assert shown(server)[0]["content"] == "11 %"


async def test_no_reply_can_ping_or_unfold_links(server: DiscordServer, bot: Running) -> None:
    """Every request that carries text allows no mention and suppresses previews."""
    evil = Content(f"@everyone <@{server.people[0].id}> https://example.org")
    for address in (await asked(server, bot), await commanded(server, bot)):
        surface = bot.adapter.surface(address)
        receipt = await surface.create(evil, "turn-0")
        await surface.edit(receipt, replace(DONE, text=evil.text))
        await surface.create(replace(evil, files=FIVE[:1]), "turn-1")
    bodies = [call.body for call in server.requests if isinstance(call.body, dict)]
    texts = [body for body in bodies if text_of(body)]
    assert len(texts) == 6
    assert all(body["allowed_mentions"] == {"parse": []} for body in texts)
    assert all(body["flags"] == (4 if body["content"] else V2) for body in texts)
    assert not [message for message in shown(server) if message["mentions"]]


class TestFind:
    """Messages whose create was not acknowledged."""

    @staticmethod
    def search(anchor: Anchor, nonce: str, *known: str) -> Search:
        async def is_known(message_id: str) -> bool:
            return message_id in known

        async def turn() -> None:
            return

        async def leave(_: Anchor) -> None:
            return

        alone = Creations().searching
        return Search(anchor, nonce, Content("The answer."), is_known, turn, alone, leave)

    async def test_by_what_it_answers(self, server: DiscordServer, bot: Running) -> None:
        """Long after Discord has forgotten the nonce, another process finds it."""
        address = await asked(server, bot)
        surface = bot.adapter.surface(address)
        anchor = surface.anchor()
        first = await surface.create(WORKING, "turn-0")
        server.drop_next("POST", "/messages", after=True, times=2)
        with pytest.raises(DeliveryUnknown):
            await surface.create(Content("more"), "turn-1")
        ann = server.people[0]
        await server.says(ann, general(server), "me too", reply_to=address.data["reply_to"])
        later = bot.adapter.surface(restored(address))
        found = await later.find(self.search(anchor, "turn-1", *first["ids"]))
        assert found is not None
        await later.edit(found, Content("changed"))
        assert [one["content"] for one in shown(server)][:2] == [WORKING.text, "changed"]

    async def test_what_follows_a_command(self, server: DiscordServer, bot: Running) -> None:
        """Discord knows no nonces there, but says which answer a message follows."""
        address = await commanded(server, bot)
        surface = bot.adapter.surface(address)
        anchor = surface.anchor()
        first = await surface.create(WORKING, "turn-0")
        assert (
            await surface.find(self.search(anchor, "turn-0")) is None
        )  # to be made again: idempotent
        server.drop_next("POST", "/webhooks/", after=True, times=2)
        with pytest.raises(DeliveryUnknown):
            await surface.create(Content("more"), "turn-1")
        found = await surface.find(self.search(anchor, "turn-1", *first["ids"]))
        assert found is not None
        assert found["ids"] == [shown(server)[-1]["id"]]

    async def test_nothing_of_it(self, server: DiscordServer, bot: Running) -> None:
        """A create that never arrived, and a channel that the bot may not read."""
        surface = bot.adapter.surface(await asked(server, bot))
        assert await surface.find(self.search(surface.anchor(), "turn-0")) is None
        server.fail_next("GET", "/messages", 403, 50013)
        assert await surface.find(self.search(surface.anchor(), "turn-0")) is None


async def test_what_the_headers_say_reaches_the_pacing(server: DiscordServer) -> None:
    """The platform's own count, after each request."""
    server.limits = (5, 5.0)
    server.channel(server.guild())
    server.person("Ada")
    async with running(server) as bot:
        surface = bot.adapter.surface(await asked(server, bot))
        before = surface.rate_limit_info
        await surface.create(WORKING, "turn-0")
        after = surface.rate_limit_info
    assert before is None
    assert after is not None
    assert after.left == 4
    assert 0 < after.seconds <= 5
