"""Whatever is killed and whenever, every request is answered once: `benchmarks/crash.py`, short."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.crash import Plan, Victim, crash

pytestmark = pytest.mark.timeout(900)
LONGER = pytest.mark.skipif(
    not os.environ.get("JANUS_TEST_CRASH"),
    reason="takes minutes more; JANUS_TEST_CRASH=1 runs it",
)


@pytest.mark.parametrize(
    "victim",
    [
        Victim.BOT,
        pytest.param(Victim.PLATFORM, marks=LONGER),
        pytest.param(Victim.SPACE, marks=LONGER),
    ],
)
@pytest.mark.slow
async def test_every_request_is_answered_exactly_once(victim: Victim, tmp_path: Path) -> None:
    """Nothing is lost, nothing is there twice, and no placeholder stays behind."""
    plan = Plan(victim, kills=3, turns=15, seed=7, rooms=6)
    report = await crash(plan, tmp_path)
    assert report.exactly_once, str(report)
    assert report.kills == 3
    assert report.answered + report.unaccepted == report.asked >= 15
