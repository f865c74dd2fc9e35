"""Several connections to Discord, in one process and in several."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from bot.models import Ask, ChannelKey
from bot.platforms.discord.client import SESSION_START_PAUSE_SECONDS as PAUSE
from bot.platforms.discord.client import SessionStarts
from tests.servers.discord import DiscordServer
from tests.servers.discord_running import Running, running
from tests.servers.discord_world import Channel

WAIT = 120.0
pytestmark = pytest.mark.timeout(300)  # a busy machine takes its time


@pytest.fixture
def sharded(empty_discord: DiscordServer) -> DiscordServer:
    """Two servers, one for each of two shards; one start of a session in 5 s is taken."""
    empty_discord.gateway.at_once = 1
    for number in range(2):
        guild = empty_discord.guild(f"Server {number}")
        guild.id = str(int(guild.id) + (((number - (int(guild.id) >> 22)) % 2) << 22))
        empty_discord.channel(guild, f"general-{number}")
    empty_discord.person("Ada")
    return empty_discord


def channels(sharded: DiscordServer) -> list[Channel]:
    """One on each shard, and a direct message, which comes on the first shard."""
    return [
        *(guild.channels[0] for guild in sharded.guilds),
        sharded.dm(sharded.people[0]),
    ]


async def all_ask(sharded: DiscordServer, word: str) -> None:
    for channel in channels(sharded):
        await sharded.says(sharded.people[0], channel, f"<@{sharded.bot.id}> {word}")


def heard(bot: Running) -> list[ChannelKey]:
    return [handed.message.channel for handed in bot.dispatcher.got]


def keys(*places: Channel) -> list[ChannelKey]:
    return [ChannelKey("discord", (channel.id,)) for channel in places]


@pytest.mark.parametrize("advised", [False, True])
async def test_two_in_one_process(sharded: DiscordServer, advised: bool) -> None:
    """As many as configured, or as Discord advises; everything is heard once."""
    sharded.shards = 2 if advised else 1
    async with running(sharded, shards=0 if advised else 2) as bot:
        assert sorted(sharded.gateway.shards) == [(0, 2), (1, 2)]
        await all_ask(sharded, "hello")
        await sharded.wait_for(lambda: len(bot.dispatcher.got) == 3, WAIT)
        assert sorted(map(str, heard(bot))) == sorted(map(str, keys(*channels(sharded))))
        assert bot.dispatcher.commands == [Ask("hello")] * 3
    assert sharded.gateway.too_soon == 0


async def test_one_that_is_lost_is_resumed(sharded: DiscordServer) -> None:
    """The other goes on hearing; nothing is lost or heard twice; it is not ready meanwhile."""
    async with running(sharded, shards=2) as bot:
        await sharded.gateway.drop(1)
        await all_ask(sharded, "meanwhile")
        await sharded.wait_for(lambda: len(bot.dispatcher.got) == 3 and bot.states[-1], WAIT)
        await all_ask(sharded, "afterwards")
        await sharded.wait_for(lambda: len(bot.dispatcher.got) == 6, WAIT)
        assert bot.states == [True, False, True]
    assert sharded.gateway.resumed == 1
    assert len(sharded.gateway.identified) == 2
    words = [
        str(command.question) for command in bot.dispatcher.commands if isinstance(command, Ask)
    ]
    assert sorted(words) == ["afterwards"] * 3 + ["meanwhile"] * 3


async def test_split_over_two_processes(sharded: DiscordServer) -> None:
    """Each hears its servers only, direct messages reach the first, and both get to start.

    Neither knows when the other one starts, so Discord may send one back to wait.
    """
    async with (
        running(sharded, shards=2, shard_ids=(0,)) as first,
        running(sharded, shards=2, shard_ids=(1,)) as second,
    ):
        await sharded.wait_for(lambda: len(sharded.gateway.live) == 2 and second.states[-1], WAIT)
        assert sorted(sharded.gateway.shards) == [(0, 2), (1, 2)]
        await all_ask(sharded, "hello")
        await sharded.wait_for(
            lambda: len(first.dispatcher.got) + len(second.dispatcher.got) == 3, WAIT
        )
    of_first, of_second, direct = channels(sharded)
    assert sorted(map(str, heard(first))) == sorted(map(str, keys(of_first, direct)))
    assert heard(second) == keys(of_second)


async def test_no_session_starts_that_discord_does_not_take(sharded: DiscordServer) -> None:
    """With fewer left today than it needs, it waits until there are more, and says so."""
    sharded.sessions_left = 1
    with capture_logs() as logs:
        async with running(sharded, shards=2) as bot:
            assert bot.states == [True]
    (said,) = (line for line in logs if line["event"] == "too many session starts today")
    assert said["left"] == 1
    assert said["log_level"] == "warning"
    assert len(sharded.calls("GET", "^/gateway/bot")) == 2
    assert len(sharded.gateway.identified) == 2


class TestSessionStarts:
    @pytest.mark.parametrize(
        ("at_once", "shards", "expected"),
        [
            (1, (0, 1, 2), [PAUSE, PAUSE]),
            (2, (0, 1, 2, 3), [PAUSE]),  # while 2 waits, 3 has waited too
            (16, (0, 1, 2, 3), []),
            (16, (0, 0), [PAUSE]),
            (0, (0, 1), [PAUSE]),
        ],
    )
    async def test_buckets(self, at_once: int, shards: tuple[int, ...], expected: object) -> None:
        """Shards of different buckets start together; one that starts anew always waits."""
        now, slept = [0.0], []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            now[0] += seconds

        starts = SessionStarts(lambda: now[0], sleep)
        starts.at_once = at_once
        for shard in shards:
            await starts.acquire(shard)
        assert slept == expected
