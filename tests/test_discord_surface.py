"""Replies on Discord: what arrives at a local Discord, by the real client, over sockets."""

from __future__ import annotations

import json
import math
import time
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
from tests.servers.discord_people import general
from tests.servers.discord_running import Running, closing, make, running
from tests.servers.discord_world import LOADING, SEND

FIVE = tuple(
    File(b"RIFF fox %d" % n, "image/webp", f"fox-{n}.webp", f"a red fox, {n}") for n in range(5)
)
WORKING = Content("Drawing … 40 %")
DONE = Content("A red fox. Seed 42.", FIVE, Mood.DONE)


async def asked(discord: DiscordServer, discord_bot: Running) -> Address:
    """The address of an ordinary message that mentions the bot."""
    await discord.says(discord.people[0], general(discord), f"<@{discord.bot.id}> hello")
    await discord.wait_for(lambda: discord_bot.dispatcher.got)
    return discord_bot.dispatcher.got.pop().message.address


async def commanded(discord: DiscordServer, discord_bot: Running, **changes: Any) -> Address:
    """The address of /imagine."""
    await discord.runs(discord.people[0], general(discord), "imagine", prompt="a red fox")
    await discord.wait_for(lambda: discord_bot.dispatcher.got)
    address = discord_bot.dispatcher.got.pop().message.address
    return replace(address, data=address.data | changes)


def restored(address: Address) -> Address:
    """What another process reads from the database."""
    return Address(**json.loads(json.dumps(asdict(address))))


def shown(discord: DiscordServer) -> list[dict[str, Any]]:
    """What the bot wrote, oldest first, with nothing that still says "thinking"."""
    return [m for m in discord.messages(general(discord)) if m["author"]["id"] == discord.bot.id]


def data_of(discord: DiscordServer, message: dict[str, Any]) -> list[bytes]:
    """The bytes of a message's attachments."""
    prefix = len(discord.url)
    return [discord.rest.cdn[one["url"][prefix:]][0] for one in message["attachments"]]


async def test_the_surface_fits_its_port(discord: DiscordServer, discord_bot: Running) -> None:
    """Limits are Discord's, drafts do not exist, and files come by edit."""
    surface: Surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
    assert (surface.limits.text, surface.limits.files, surface.limits.attach) == (2000, 10, True)
    with pytest.raises(PreviewUnsupported):
        await surface.preview(WORKING)


@pytest.mark.parametrize("command", [True, False])
async def test_a_direct_message_is_private(
    discord: DiscordServer, discord_bot: Running, command: bool
) -> None:
    """Whether a command or a message began it, and after a restart as well; a channel is not."""
    ada = discord.people[0]
    for channel, private in ((discord.dm(ada), True), (general(discord), False)):
        if command:
            await discord.runs(ada, channel, "imagine", prompt="a red fox")
        else:
            await discord.says(ada, channel, f"<@{discord.bot.id}> hello")
        await discord.wait_for(lambda: discord_bot.dispatcher.got)
        address = restored(discord_bot.dispatcher.got.pop().message.address)
        assert discord_bot.adapter.surface(address).limits.private is private


@given(st.text(max_size=20), st.text(max_size=20))
def test_measure_counts_utf16_units(one: str, two: str) -> None:
    """Never less than code points, and additive, so that splitting by it is safe."""
    surface = DiscordSurface.measure
    nobody: Any = None
    assert surface(nobody, one) >= len(one)
    assert surface(nobody, one + two) == surface(nobody, one) + surface(nobody, two)
    assert surface(nobody, "a🦊") == 3


class TestOrdinaryMessage:
    async def test_it_replies_and_is_edited(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """One message that refers to the question, changed in place."""
        address = await asked(discord, discord_bot)
        surface = discord_bot.adapter.surface(address)
        receipt = await surface.create(WORKING, "turn-0")
        await surface.edit(receipt, Content("Hello, Ada.", mood=Mood.DONE))
        (message,) = shown(discord)
        assert message["content"] == "Hello, Ada."
        assert message["message_reference"]["message_id"] == int(address.data["reply_to"])
        assert receipt == {"ids": [message["id"]]}

    async def test_a_question_that_was_deleted_is_still_answered(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """The reference is not a condition."""
        address = await asked(discord, discord_bot)
        await discord.remove(general(discord), address.data["reply_to"])
        await discord_bot.adapter.surface(address).create(WORKING, "turn-0")
        assert len(shown(discord)) == 1

    async def test_the_same_nonce_makes_one_message(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A create whose answer was lost may be repeated."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        discord.drop_next("POST", "/messages$", after=True)
        with pytest.raises(DeliveryUnknown):
            await surface.create(WORKING, "turn-0")
        first = await surface.create(WORKING, "turn-0")
        second = await surface.create(WORKING, "turn-1")
        assert [one["id"] for one in shown(discord)] == [*first["ids"], *second["ids"]]

    async def test_a_sheet_goes_when_the_pictures_come(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """One file while it is drawn, changed in place; then five, or none where it was stopped."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        assert (surface.limits.private, surface.limits.preview_seconds) == (False, 10.0)
        receipt = await surface.create(WORKING, "turn-0")
        one, other = (
            File(b"\xff\xd8\xff %d" % number, "image/jpeg", "preview.jpg", "not finished")
            for number in range(2)
        )
        for sheet in (one, other):
            await surface.edit(receipt, replace(WORKING, previews=(sheet,)))
            (message,) = shown(discord)
            assert data_of(discord, message) == [sheet.data]
            assert WORKING.text in text_of(message)
        await surface.edit(receipt, DONE)
        (message,) = shown(discord)
        assert data_of(discord, message) == [file.data for file in FIVE]
        await surface.edit(receipt, replace(WORKING, previews=(one,)))
        await surface.edit(receipt, Content(note="Stopped.", mood=Mood.STOPPED))
        (message,) = shown(discord)
        assert not message["attachments"]

    async def test_every_edit_states_the_pictures(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A gallery names its files, so an edit brings along what it is to show, and no more."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        receipt = await surface.create(WORKING, "turn-0")
        await surface.edit(receipt, DONE)
        await surface.edit(receipt, replace(DONE, text="Other words."))
        stated = shown(discord)[0]["attachments"]
        assert [one["description"] for one in stated] == [upload.alt for upload in FIVE]
        await surface.edit(receipt, replace(DONE, files=FIVE[:2]))
        assert data_of(discord, shown(discord)[0]) == [upload.data for upload in FIVE[:2]]
        await surface.edit(receipt, Content("Nothing."))
        assert shown(discord)[0]["attachments"] == []
        uploads = [len(call.files) for call in discord.calls("PATCH", "/messages/")]
        assert uploads == [5, 5, 2, 0]

    async def test_an_upload_whose_answer_was_lost_is_sent_again(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """What may not be there is not taken for kept, and never shown twice."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        receipt = await surface.create(WORKING, "turn-0")
        discord.drop_next("PATCH", "/messages/", after=True)
        with pytest.raises(DeliveryUnknown):
            await surface.edit(receipt, DONE)
        await surface.edit(receipt, DONE)
        assert data_of(discord, shown(discord)[0]) == [upload.data for upload in FIVE]

    async def test_deleting_twice_is_fine(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A message that is gone already counts as deleted."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        receipt = await surface.create(WORKING, "turn-0")
        await surface.delete(receipt)
        await surface.delete(receipt)
        assert shown(discord) == []

    async def test_another_process_goes_on(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Address and receipt as JSON are all that an edit with pictures needs."""
        address = await asked(discord, discord_bot)
        receipt = await discord_bot.adapter.surface(address).create(WORKING, "turn-0")
        async with closing(make(discord)) as other:
            await other.open()
            await other.surface(restored(address)).edit(json.loads(json.dumps(receipt)), DONE)
        (message,) = shown(discord)
        assert message["content"] == DONE.text
        assert data_of(discord, message) == [upload.data for upload in FIVE]


class TestInteraction:
    async def test_the_reply_takes_the_placeholders_place(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """One message from "thinking" to five pictures, all through the token."""
        surface = discord_bot.adapter.surface(await commanded(discord, discord_bot))
        receipt = await surface.create(WORKING, "turn-0")
        await surface.edit(receipt, DONE)
        (message,) = general(discord).messages.values()
        assert text_of(message) == "A red fox. Seed 42."
        assert len(message["attachments"]) == 5
        assert not message["flags"] & LOADING
        assert not discord.calls("POST", "^/channels") + discord.calls("PATCH", "^/channels")

    async def test_a_repeated_create_is_harmless(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """The first message is an edit, so a lost answer costs nothing, after a restart too."""
        address = await commanded(discord, discord_bot)
        discord.drop_next("PATCH", "@original", after=True)
        with pytest.raises(DeliveryUnknown):
            await discord_bot.adapter.surface(address).create(WORKING, "turn-0")
        async with closing(make(discord)) as other:
            await other.open()
            await other.surface(restored(address)).create(WORKING, "turn-0")
        assert len(general(discord).messages) == 1

    async def test_more_messages_follow(self, discord: DiscordServer, discord_bot: Running) -> None:
        """The second segment is a message of its own, after a restart too."""
        address = await commanded(discord, discord_bot)
        await discord_bot.adapter.surface(address).create(WORKING, "turn-0")
        async with closing(make(discord)) as other:
            await other.open()
            surface = other.surface(restored(address))
            second = await surface.create(Content("two"), "turn-1")
            await surface.edit(second, Content("two, done"))
        assert [one["content"] for one in shown(discord)] == [WORKING.text, "two, done"]

    async def test_any_other_nonce_works_by_order(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Without a number the first nonce seen is the first message's."""
        surface = discord_bot.adapter.surface(await commanded(discord, discord_bot))
        for nonce in ("once", "once", "twice"):
            await surface.create(Content(nonce), nonce)
        assert [one["content"] for one in shown(discord)] == ["once", "twice"]

    async def test_before_minute_14_it_moves_to_the_channel(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """The same message is changed with the bot's own token, and more are sent with it."""
        address = await commanded(discord, discord_bot)
        receipt = await discord_bot.adapter.surface(address).create(WORKING, "turn-0")
        later = DiscordSurface(
            discord_bot.adapter._opened().http, address, me=1, clock=lambda: time.time() + 14 * 60
        )
        await later.edit(receipt, DONE)
        await later.create(Content("and more"), "turn-1")
        assert [one["content"] for one in shown(discord)] == [DONE.text, "and more"]
        assert len(discord.calls("PATCH", "^/channels")) == 1
        assert len(discord.calls("PATCH", "^/webhooks")) == 1

    async def test_a_token_that_ended_early_moves_it_too(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Discord's 50027 is the end of the token, not of the reply; it is asked only once."""
        address = await commanded(discord, discord_bot)
        surface = discord_bot.adapter.surface(address)
        receipt = await surface.create(WORKING, "turn-0")
        for one in discord.interactions.values():
            one.ended = True
        await surface.edit(receipt, Content("going on"))
        await surface.edit(receipt, DONE)
        (message,) = shown(discord)
        assert len(message["attachments"]) == 5
        assert len(discord.calls("PATCH", "^/webhooks")) == 2

    async def test_a_placeholder_is_filled_after_the_token_ended(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A reply that starts late still replaces "thinking"; if that is gone it is sent anew."""
        discord.token_life = -1.0
        first, second = await commanded(discord, discord_bot), await commanded(discord, discord_bot)
        await discord.remove(general(discord), second.data["interaction"]["message_id"])
        await discord_bot.adapter.surface(first).create(Content("late"), "turn-0")
        await discord_bot.adapter.surface(second).create(Content("later"), "turn-0")
        texts = [text_of(one) for one in general(discord).messages.values()]
        assert texts == ["late", "later"]

    async def test_a_placeholder_that_was_removed(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """The answer is owed all the same and follows as a new message."""
        address = await commanded(discord, discord_bot)
        await discord.remove(general(discord), address.data["interaction"]["message_id"])
        await discord_bot.adapter.surface(address).create(WORKING, "turn-0")
        assert [one["content"] for one in shown(discord)] == [WORKING.text]

    async def test_where_the_bot_is_no_member_the_token_is_all(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """An app that a person brought along cannot go on in the channel, and says why."""
        discord.token_life = -1.0
        surface = discord_bot.adapter.surface(await commanded(discord, discord_bot, member=False))
        with pytest.raises(SurfaceForbidden) as caught:
            await surface.create(WORKING, "turn-0")
        assert "15 minutes" in Catalogue().words()(caught.value.key)
        assert not discord.calls("POST", "^/channels")


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
        discord: DiscordServer,
        discord_bot: Running,
        status: int,
        code: int,
        expected: type[SurfaceError],
    ) -> None:
        """Discord's status and code become one SurfaceError, in edits and creates."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        receipt = await surface.create(WORKING, "turn-0")
        discord.fail_next("PATCH", "/messages/", status, code, headers={"Retry-After": "7.5"})
        with pytest.raises(expected) as caught:
            await surface.edit(receipt, DONE)
        if isinstance(caught.value, RateLimited):
            assert caught.value.retry_after == 7.5
        discord.fail_next("POST", "/messages$", status, code)
        with pytest.raises(SurfaceError) as caught:
            await surface.create(WORKING, "turn-1")
        # A create cannot say that a message is gone: there was none.
        assert type(caught.value) is (SurfaceUnavailable if expected is MessageGone else expected)

    async def test_a_long_wait_is_not_slept_through(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A 429 for minutes is handed up, so that other chats can be served meanwhile."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        receipt = await surface.create(WORKING, "turn-0")
        discord.fail_next("PATCH", "/messages/", 429, headers={"Via": "x"}, retry_after=200.0)
        with pytest.raises(RateLimited) as caught:
            await surface.edit(receipt, DONE)
        assert caught.value.retry_after == 200

    async def test_a_missing_permission_is_named(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A 403 after the check (somebody changed the channel) still says what is wrong."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        general(discord).denied = SEND
        with pytest.raises(SurfaceForbidden) as caught:
            await surface.create(WORKING, "turn-0")
        assert "Send Messages" in Catalogue().words()(caught.value.key)

    async def test_text_that_is_too_long_is_refused(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Discord's own check is passed on with its words."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        with pytest.raises(ContentRefused, match="2000"):
            await surface.create(Content("x" * 2001), "turn-0")

    async def test_a_discord_that_is_not_there(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Both ways to notice it are tried again: refused, and cut off while it was closing."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        receipt = await surface.create(WORKING, "turn-0")
        await discord.__aexit__()
        for request in (surface.create(WORKING, "turn-1"), surface.edit(receipt, DONE)):
            with pytest.raises((SurfaceUnavailable, DeliveryUnknown)):
                await request

    async def test_a_delete_never_leaves_doubt(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """A delete that was cut off may simply be tried again."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        receipt = await surface.create(WORKING, "turn-0")
        discord.drop_next("DELETE", "/messages/", after=False, times=2)  # aiohttp tries twice
        with pytest.raises(SurfaceUnavailable):
            await surface.delete(receipt)
        await surface.delete(receipt)
        assert shown(discord) == []


def test_the_interval_keeps_within_the_known_limit() -> None:
    """Five edits in any 5 s at most: Discord's bucket per channel."""
    assert math.floor(5 / LIMITS.interval) + 1 <= 5
    assert LIMITS.rate <= 50


async def test_a_burst_is_slowed_down_and_loses_nothing(
    discord: DiscordServer, discord_bot: Running
) -> None:
    """discord.py waits for the bucket that the headers describe, so nothing is refused."""
    surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
    receipt = await surface.create(WORKING, "turn-0")
    discord.limits = (5, 0.5)
    for number in range(12):
        await surface.edit(receipt, Content(f"{number} %"))
    assert not discord.refused
    assert shown(discord)[0]["content"] == "11 %"


async def test_no_reply_can_ping_or_unfold_links(
    discord: DiscordServer, discord_bot: Running
) -> None:
    """Every request that carries text allows no mention and suppresses previews."""
    evil = Content(f"@everyone <@{discord.people[0].id}> https://example.org")
    for address in (await asked(discord, discord_bot), await commanded(discord, discord_bot)):
        surface = discord_bot.adapter.surface(address)
        receipt = await surface.create(evil, "turn-0")
        await surface.edit(receipt, replace(DONE, text=evil.text))
        await surface.create(replace(evil, files=FIVE[:1]), "turn-1")
    bodies = [call.body for call in discord.requests if isinstance(call.body, dict)]
    texts = [body for body in bodies if text_of(body)]
    assert len(texts) == 6
    assert all(body["allowed_mentions"] == {"parse": []} for body in texts)
    assert all(body["flags"] == (4 if body["content"] else V2) for body in texts)
    assert not [message for message in shown(discord) if message["mentions"]]


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

    async def test_by_what_it_answers(self, discord: DiscordServer, discord_bot: Running) -> None:
        """Long after Discord has forgotten the nonce, another process finds it."""
        address = await asked(discord, discord_bot)
        surface = discord_bot.adapter.surface(address)
        anchor = surface.anchor()
        first = await surface.create(WORKING, "turn-0")
        discord.drop_next("POST", "/messages", after=True, times=2)
        with pytest.raises(DeliveryUnknown):
            await surface.create(Content("more"), "turn-1")
        ann = discord.people[0]
        await discord.says(ann, general(discord), "me too", reply_to=address.data["reply_to"])
        later = discord_bot.adapter.surface(restored(address))
        found = await later.find(self.search(anchor, "turn-1", *first["ids"]))
        assert found is not None
        await later.edit(found, Content("changed"))
        assert [one["content"] for one in shown(discord)][:2] == [WORKING.text, "changed"]

    async def test_what_follows_a_command(
        self, discord: DiscordServer, discord_bot: Running
    ) -> None:
        """Discord knows no nonces there, but says which answer a message follows."""
        address = await commanded(discord, discord_bot)
        surface = discord_bot.adapter.surface(address)
        anchor = surface.anchor()
        first = await surface.create(WORKING, "turn-0")
        assert (
            await surface.find(self.search(anchor, "turn-0")) is None
        )  # to be made again: idempotent
        discord.drop_next("POST", "/webhooks/", after=True, times=2)
        with pytest.raises(DeliveryUnknown):
            await surface.create(Content("more"), "turn-1")
        found = await surface.find(self.search(anchor, "turn-1", *first["ids"]))
        assert found is not None
        assert found["ids"] == [shown(discord)[-1]["id"]]

    async def test_nothing_of_it(self, discord: DiscordServer, discord_bot: Running) -> None:
        """A create that never arrived, and a channel that the bot may not read."""
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        assert await surface.find(self.search(surface.anchor(), "turn-0")) is None
        discord.fail_next("GET", "/messages", 403, 50013)
        assert await surface.find(self.search(surface.anchor(), "turn-0")) is None


async def test_what_the_headers_say_reaches_the_pacing(discord: DiscordServer) -> None:
    """The platform's own count, after each request."""
    discord.limits = (5, 5.0)
    discord.channel(discord.guild())
    discord.person("Ada")
    async with running(discord) as discord_bot:
        surface = discord_bot.adapter.surface(await asked(discord, discord_bot))
        before = surface.rate_limit_info
        await surface.create(WORKING, "turn-0")
        after = surface.rate_limit_info
    assert before is None
    assert after is not None
    assert after.left == 4
    assert 0 < after.seconds <= 5
