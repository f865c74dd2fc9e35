"""GPU time that Hugging Face lends: known before a call, and told where it helps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web

from bot.commands.doctor import findings
from bot.config import Config, SpaceSection
from bot.errors import QuotaExceeded
from bot.i18n import Catalogue
from bot.metrics import Metrics
from bot.models import Ahead
from bot.provider import DeepseekAI_JanusPro7b, Spaces
from bot.provider import quota as module
from bot.provider.quota import advice, described
from bot.provider.responses import GpuTime
from bot.reply.render import Phase, ReplyState, status
from bot.turns.data_requests import gpu_line
from tests.servers.faulty_space import (
    CLOSE,
    STARTS,
    FaultySpace,
    failed,
    faulty_space,
    only,
    reply,
    says,
)
from tests.servers.space_client import SOON, ask, text_of

TOKEN = "hf_quota"
QUOTA = "/api/spaces/zero-gpu/quota"


def lends(base: float, current: float, **more: Any) -> Any:
    async def answer(_: web.Request) -> web.StreamResponse | None:
        body = {"base": base, "current": current, "resetsAt": None, **more}
        return web.json_response(body)

    return only(QUOTA, answer)


def on_hub(server: FaultySpace, **options: Any) -> DeepseekAI_JanusPro7b:
    options = {"space": "me/janus", "hf_token": TOKEN, **options}
    return DeepseekAI_JanusPro7b(hf_url=server.url, timeouts=SOON, **options)


async def test_it_is_asked_at_most_once_a_minute(
    space: FaultySpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For an account, however many Spaces are asked with its token."""
    space.refuse = lends(2400, 1810, resetsAt="2026-11-29T10:00:00.000Z")
    one, other = on_hub(space), on_hub(space, space="me/other")
    for each in (one, other, one):
        known = await each.ask_gpu_time()
        assert (known.base, known.left, known.resets_at) == (2400, 1810, 1795946400.0)
    assert len(space.asked(QUOTA)) == 1
    assert space.asked(QUOTA)[0]["Authorization"] == f"Bearer {TOKEN}"
    monkeypatch.setattr(module, "_FRESH_SECONDS", 0.0)
    await one.ask_gpu_time()
    assert len(space.asked(QUOTA)) == 2


async def test_nobody_is_asked_without_a_token(space: FaultySpace) -> None:
    """Nor for a server that is not Hugging Face's."""
    anonymous = await on_hub(space, hf_token=None).ask_gpu_time()
    own = await DeepseekAI_JanusPro7b(api_url=space.url, hf_token=TOKEN).ask_gpu_time()
    assert (anonymous.anonymous, anonymous.limited, own.limited) == (True, True, False)
    assert not space.requests


@pytest.mark.parametrize("status_code", [401, 403])
async def test_a_token_without_the_right(space: FaultySpace, status_code: int) -> None:
    """The right is named."""
    space.refuse = only(QUOTA, reply(status_code, '{"error": "no"}'))
    known = await on_hub(space).ask_gpu_time()
    assert known.left is None
    assert "billing read" in known.why


@pytest.mark.parametrize("body", ["", "[]", '{"base": "x"}', '{"base": 1}', "<html>"])
async def test_answers_that_tell_nothing(space: FaultySpace, body: str) -> None:
    space.refuse = only(QUOTA, reply(200, body))
    known = await on_hub(space).ask_gpu_time()
    assert (known.left, bool(known.why), known.suffices) == (None, True, True)


async def test_what_a_space_asks_for_is_learnt_from_its_refusal(space: FaultySpace) -> None:
    """And remembered for that Space."""
    one = on_hub(space)
    space.script = says(
        STARTS, failed("You have exceeded your GPU quota (60s requested vs. 42s left)."), CLOSE
    )
    with pytest.raises(QuotaExceeded):
        await ask(one, "", ["x"])
    assert one.gpu_time.asks == 60
    assert on_hub(space, space="me/other").gpu_time.asks is None
    assert DeepseekAI_JanusPro7b().gpu_time.asks == 120


async def test_a_space_without_time_is_passed_over_before_it_is_asked(space: FaultySpace) -> None:
    """Where there is another; the only one is asked all the same, as it knows best."""
    space.refuse = lends(300, 100)
    public = on_hub(space, space="deepseek-ai/Janus-Pro-7B")
    async with faulty_space() as own:
        both = Spaces([public, DeepseekAI_JanusPro7b(api_url=own.url)])
        answer = [response async for response in both.create_async_generator("", ["x"])]
        assert text_of(answer) == "An answer."
        assert (len(space.joined), len(own.joined)) == (0, 1)
    alone = Spaces([public])
    assert text_of([r async for r in alone.create_async_generator("", ["x"])]) == "An answer."
    assert len(space.joined) == 1


async def test_a_space_with_time_goes_first(space: FaultySpace) -> None:
    space.refuse = lends(300, 120)
    public = on_hub(space, space="deepseek-ai/Janus-Pro-7B")
    async with faulty_space() as own:
        both = Spaces([public, DeepseekAI_JanusPro7b(api_url=own.url)])
        assert [r async for r in both.create_async_generator("", ["x"])]
        assert (len(space.joined), len(own.joined)) == (1, 0)
        assert both.calls_left is None, "a server of one's own has no limit"


@pytest.mark.parametrize(
    ("left", "asks", "calls"),
    [
        (120, 120, 1),
        (119, 120, 0),
        (300, 120, 9),
        (2400, 120, 114),
        (100, None, 4),
        (None, 120, None),
    ],
)
def test_drawings_that_are_let_in(
    left: float | None, asks: float | None, calls: int | None
) -> None:
    """By the time that they ask for, and not by what they take."""
    assert GpuTime("", left=left, asks=asks).calls == calls


def test_the_advice_has_the_published_figures() -> None:
    assert "without a token about 1 request a day" in advice(120)
    assert "free account about 9 drawings" in advice(120)
    assert "no limit" in advice(120)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (GpuTime("own", limited=False), ["no limit"]),
        (GpuTime("it", anonymous=True, asks=120), ["asks for 120 s", "about 1 request a day"]),
        (GpuTime("it", asks=120, base=2400, left=1810), ["1810 of 2400 s", "about 84 drawings"]),
        (GpuTime("it", why="The token may not."), ["not known: The token may not."]),
    ],
)
def test_it_is_told_in_a_sentence(known: GpuTime, words: Sequence[str]) -> None:
    assert all(word in described(known) for word in words)


async def test_doctor_tells_it(space: FaultySpace) -> None:
    config = Config(spaces=(SpaceSection(url=space.url, name="Ours"),))
    said = [str(finding) async for finding in findings(config)]
    assert any("GPU time of Ours: no limit" in line for line in said)
    assert any("generate_image(prompt, seed, guidance, temperature)" in line for line in said)


def test_metrics_tell_it() -> None:
    metrics = Metrics()
    metrics.watch_gpu_time(
        lambda: [GpuTime("a/b", asks=120, left=42.0), GpuTime("own", limited=False)]
    )
    shown = metrics.exposition().decode()
    assert 'janus_bot_gpu_seconds_left{space="a/b"} 42.0' in shown
    assert 'janus_bot_gpu_seconds_asked{space="a/b"} 120.0' in shown
    assert "own" not in shown


@pytest.mark.parametrize("language", ["en", "ru"])
def test_people_are_told_in_their_language(language: str) -> None:
    """Who waits, and admins with /stats."""
    words = Catalogue().words(language)
    for left in (0, 1, 5):
        waiting = ReplyState(Phase.WAITING, Ahead(2, 0, drawings_left=left))
        assert "GPU" in status(waiting, 0.0, words).text
    assert "GPU" not in status(ReplyState(Phase.WAITING, Ahead(2, 0)), 0.0, words).text
    told = [
        gpu_line(known, words)
        for known in (
            GpuTime("a/b", asks=120, left=300),
            GpuTime("a/b", anonymous=True, asks=120),
            GpuTime("a/b"),
        )
    ]
    assert all("GPU" in line or "120" in line for line in told)
    assert not gpu_line(GpuTime("own", limited=False), words)


def test_the_first_lines_say_it(caplog: pytest.LogCaptureFixture) -> None:
    """Of what an empty configuration uses."""
    with caplog.at_level(logging.INFO):
        assert "about 1 request a day" in described(DeepseekAI_JanusPro7b().gpu_time)
