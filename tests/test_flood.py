"""Streams in many chats at once keep within the limits of the platforms."""

from __future__ import annotations

import pytest

from tests.e2e.flood import Flood, Plan, flood

pytestmark = pytest.mark.timeout(300)


def assert_all_stand(run: Flood) -> None:
    for stream in run.streams:
        assert stream.failure is None
        assert run.shown_text(stream) == stream.text


async def test_streams_end_without_a_429() -> None:
    """Every chat shows its whole text in one message, and no request came too fast."""
    async with flood(Plan(privates=5, groups=3, channels=3, seconds=6.0, spread=0.5)) as run:
        await run.run()
        assert_all_stand(run)
        assert run.refused == 0


async def test_a_penalty_in_one_chat_delays_only_that_chat() -> None:
    """The final text waits for the end of the penalty, and one request at most earned it."""
    plan = Plan(privates=2, groups=2, channels=2, seconds=3.0, spread=0.0, penalty=5.0)
    async with flood(plan) as run:
        await run.run()
        assert_all_stand(run)
        closed = [stream for stream in run.streams if stream.closed_until]
        assert {stream.kind for stream in closed} == {"private", "group", "channel"}
        for stream in closed:
            assert stream.ended_at + stream.late >= stream.closed_until
        refused = [call for call in run.telegram.refused if call.method != "sendChatAction"]
        assert len(refused) <= 2
        assert len(run.discord.refused) <= 1
