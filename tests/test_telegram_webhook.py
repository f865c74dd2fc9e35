"""Webhook mode: who may deliver, what is acknowledged when, and that it stays set."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.errors import AdapterError, TokenRefused
from bot.models import Ask
from bot.platforms.telegram.updates import ALLOWED_UPDATES
from bot.platforms.telegram.webhook import forwarded_addresses, is_allowed
from tests.pictures import picture
from tests.scripted_dispatcher import ScriptedDispatcher
from tests.servers.telegram import TelegramServer
from tests.servers.telegram_support import DELIVERED, NETWORKS, by_webhook, hooked, opened, serving
from tests.servers.telegram_webhook import HEADER
from tests.servers.web_bot import ScriptedWebBot
from tests.servers.web_bot import serving as serving_web

TELEGRAM, STRANGER = "149.154.167.220", "8.8.8.8"


async def post(telegram: TelegramServer, body: Any, **headers: str) -> int:
    """Call the webhook as anybody could; the status of the answer."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as session,
        session.post(telegram.hook.url, data=body, headers=sent) as response,
    ):
        return response.status


@by_webhook
async def test_it_is_set_with_all_that_telegram_must_know(telegram: TelegramServer) -> None:
    """Kinds of updates, connections, and a secret that nobody had to think of."""
    ready = list[bool]()
    telegram.fail_next("setWebhook", 502, "Bad Gateway", times=2)
    async with serving(telegram, ScriptedDispatcher(), ready):
        await telegram.wait_for(lambda: telegram.hook.url and ready)
        call = telegram.called("setWebhook")[-1]
    assert ready == [True]
    assert call.params["allowed_updates"] == list(ALLOWED_UPDATES)
    assert call.params["max_connections"] == "100"
    assert len(telegram.hook.secret) >= 32
    assert telegram.called("getUpdates") == []


@by_webhook
async def test_strangers_are_refused(telegram: TelegramServer) -> None:
    """Without the secret, from elsewhere, or with no update: nothing is taken in."""
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        await telegram.wait_for(lambda: telegram.hook.url)
        known = {HEADER: telegram.hook.secret}
        update = b'{"update_id": 1}'
        assert await post(telegram, update) == 401
        assert await post(telegram, update, **{HEADER: "\u00e4guess"}) == 401
        assert await post(telegram, update, **known, X_Forwarded_For=STRANGER) == 403
        assert (
            await post(telegram, update, **known, X_Forwarded_For=f"{TELEGRAM}, {STRANGER}") == 403
        )
        assert await post(telegram, b"nonsense", **known) == 400
        assert await post(telegram, b"[1]", **known) == 400
        assert await post(telegram, io.BytesIO(b"x" * 1_100_000), **known) == 413
        assert await post(telegram, update, **known, X_Forwarded_For=TELEGRAM) == 200
    assert dispatcher.got == []


@pytest.mark.parametrize(
    ("remote", "forwarded", "allowed"),
    [
        (TELEGRAM, [], True),
        (STRANGER, [], False),
        (STRANGER, [TELEGRAM], False),
        ("127.0.0.1", [], True),
        ("127.0.0.1", [TELEGRAM], True),
        ("172.17.0.1", [STRANGER, TELEGRAM, "10.0.0.1"], True),
        ("172.17.0.1", [TELEGRAM, STRANGER], False),
        ("::1", [f"[::ffff:{TELEGRAM}]:443"], True),
        ("::1", [f"{TELEGRAM}:443"], True),
        ("::1", ["2001:4860:4860::8888"], False),
        ("127.0.0.1", ["unknown"], False),
        (None, [], True),
    ],
)
def test_sources(remote: str | None, forwarded: list[str], allowed: bool) -> None:
    """The last public address counts; what a stranger wrote before it does not."""
    assert is_allowed(NETWORKS, remote, forwarded) is allowed
    assert is_allowed((), remote, forwarded)


def test_source_on_the_internet_of_ones_own() -> None:
    """One's own Bot API server can be named instead; a header may come several times."""
    assert is_allowed([ip_network("8.8.8.8")], STRANGER, [])
    assert forwarded_addresses(["1.2.3.4, 5.6.7.8", " ", "::1"]) == ["1.2.3.4", "5.6.7.8", "::1"]


@by_webhook
async def test_what_comes_while_it_does_not_serve_is_not_lost(telegram: TelegramServer) -> None:
    """Refused with 503 while the bot starts or stops, and brought again."""
    ada = telegram.person("Ada")
    dispatcher = ScriptedDispatcher()
    async with opened(telegram) as adapter:
        for text in ("one", "two"):
            serve = asyncio.create_task(adapter.serve(dispatcher, lambda _: None))
            await telegram.wait_for(lambda: telegram.hook.url)
            await dispatcher.wait(0 if text == "one" else 1)
            serve.cancel()
            await asyncio.gather(serve, return_exceptions=True)
            telegram.say(telegram.private(ada), ada, text)
            await telegram.wait_for(lambda: 503 in telegram.hook.statuses)
    assert dispatcher.commands == [Ask("one")]
    assert len(telegram.unconfirmed) == 1


@by_webhook
async def test_chats_do_not_wait_for_each_other(telegram: TelegramServer) -> None:
    """What is said in one chat keeps its order; a chat that is stuck holds up no other."""
    ada, bob = telegram.person("Ada"), telegram.person("Bob")
    dispatcher = ScriptedDispatcher()
    dispatcher.gate.clear()
    async with serving(telegram, dispatcher):
        for text in ("one", "two", "three"):
            telegram.say(telegram.private(ada), ada, text)
        await dispatcher.wait_for(lambda: dispatcher.begun == 1)
        telegram.say(telegram.private(bob), bob, "Hello")
        await dispatcher.wait_for(lambda: dispatcher.begun == 2)
        dispatcher.gate.set()
        await dispatcher.wait(4)
    adas = [command for message, command in dispatcher.got if message.person.name == "Ada"]
    assert adas == [Ask("one"), Ask("two"), Ask("three")]


@by_webhook
async def test_an_acknowledgement_that_got_lost(telegram: TelegramServer) -> None:
    """The same update again is acknowledged again, and nothing else happens."""
    ada = telegram.person("Ada")
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        message = telegram.say(telegram.private(ada), ada, "/help")
        await dispatcher.wait(1)
        await telegram.wait_for(lambda: not telegram.unconfirmed)
        body = aiohttp.JsonPayload({"update_id": 1, "message": message})
        assert await post(telegram, body, **{HEADER: telegram.hook.secret}) == 200
    assert dispatcher.begun == 1


@by_webhook
async def test_open_album_outlives_the_process(telegram: TelegramServer, tmp_path: Path) -> None:
    """Its items are acknowledged, or Telegram would not bring the rest; they are kept meanwhile."""
    ada = telegram.person("Ada")
    first = ScriptedDispatcher()
    slow = replace(DELIVERED, album_seconds=60)
    async with serving(telegram, first, folder=tmp_path, timing=slow):
        telegram.show_album(telegram.private(ada), ada, [picture(), picture()], "Which?")
        await telegram.wait_for(lambda: not telegram.unconfirmed)
    assert first.begun == 0
    kept = list(tmp_path.iterdir())
    assert len(kept) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)
    again = ScriptedDispatcher()
    async with serving(telegram, again, folder=tmp_path):
        ((message, command),) = await again.wait(1)
        async with asyncio.timeout(50):
            while list(tmp_path.iterdir()):  # noqa: ASYNC110 - no event tells of a folder
                await asyncio.sleep(0.01)
    assert (len(message.attachments), command) == (2, Ask("Which?"))


@by_webhook
async def test_album_that_cannot_be_kept_comes_again(
    telegram: TelegramServer, tmp_path: Path
) -> None:
    """A full disk: nothing is acknowledged that is not written down."""
    ada = telegram.person("Ada")
    folder = tmp_path / "file" / "journal"
    folder.parent.write_text("")
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher, folder=folder):
        telegram.show_album(telegram.private(ada), ada, [picture(), picture()])
        await telegram.wait_for(lambda: 503 in telegram.hook.statuses)
        assert len(telegram.unconfirmed) == 2
        folder.parent.unlink()
        ((message, _),) = await dispatcher.wait(1)
    assert len(message.attachments) == 2


@by_webhook
async def test_another_program_took_the_webhook(telegram: TelegramServer) -> None:
    """It is noticed and set again."""
    ada = telegram.person("Ada")
    dispatcher = ScriptedDispatcher()
    async with serving(telegram, dispatcher):
        await telegram.wait_for(lambda: telegram.hook.url)
        telegram.hook.set({"url": "http://127.0.0.1:1/elsewhere"})
        await telegram.wait_for(lambda: len(telegram.called("setWebhook")) == 2)
        telegram.say(telegram.private(ada), ada, "Hello")
        await dispatcher.wait(1)


@pytest.mark.parametrize(
    ("method", "status", "text", "sentence"),
    [
        ("setWebhook", 400, "Bad Request: bad webhook: HTTPS url must be provided", "webhook_url"),
        ("getWebhookInfo", 404, "Not Found: method not found", "no webhooks"),
    ],
)
@by_webhook
async def test_what_can_never_work_is_said(
    telegram: TelegramServer, method: str, status: int, text: str, sentence: str
) -> None:
    """An address that Telegram does not take, and a server without webhooks."""
    telegram.fail_next(method, status, text)
    async with opened(telegram) as adapter:
        with pytest.raises(AdapterError, match=sentence):
            await asyncio.wait_for(adapter.serve(ScriptedDispatcher(), lambda _: None), 45)


@by_webhook
async def test_token_revoked_while_serving(telegram: TelegramServer) -> None:
    """Nothing would be delivered any more, and nobody would know why."""
    async with opened(telegram) as adapter:
        serve = asyncio.create_task(adapter.serve(ScriptedDispatcher(), lambda _: None))
        await telegram.wait_for(lambda: telegram.hook.url)
        telegram.token = "123456:new"
        with pytest.raises(TokenRefused, match="@BotFather") as error:
            await asyncio.wait_for(serve, 45)
    assert error.value.__context__ is None


@by_webhook
async def test_on_the_server_of_the_web_chat(
    telegram: TelegramServer, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """Telegram needs no access token of the web chat, under any name; others still do."""
    ada = telegram.person("Ada")
    dispatcher = ScriptedDispatcher()
    async with (
        hooked(telegram, timing=replace(DELIVERED, webhook_check_seconds=60)) as adapter,
        serving_web(
            web_bot, tmp_path / "uploads", access_token="secret", extra=adapter.routes()
        ) as web,
        aiohttp.ClientSession() as session,
    ):
        serve = asyncio.create_task(adapter.serve(dispatcher, lambda _: None))
        try:
            await telegram.wait_for(lambda: telegram.hook.url)
            telegram.hook.url = f"{web.url}telegram"
            telegram.say(telegram.private(ada), ada, "Hello")
            await dispatcher.wait(1)
            foreign = {HEADER: telegram.hook.secret, "Host": "bot.example.org"}
            url, update = f"{web.url}telegram", b'{"update_id": 99}'
            async with session.post(url, data=update, headers=foreign) as response:
                assert response.status == 200
            async with session.get(url) as response:
                assert response.status == 401
            async with session.get(f"{web.url}metrics") as response:
                assert response.status == 401
        finally:
            serve.cancel()
            await asyncio.gather(serve, return_exceptions=True)
    assert dispatcher.commands == [Ask("Hello")]
