"""Who may use the web chat: host names, origins and the access token, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.platforms.web import WebAdapter
from bot.platforms.web.guard import COOKIE
from tests.servers.web_bot import ScriptedWebBot, form, messages_url, serving

ROOM = "room-of-the-test"
TOKEN = "correct horse battery"


@pytest.fixture
async def locked(web_bot: ScriptedWebBot, tmp_path: Path) -> AsyncIterator[WebAdapter]:
    async with serving(web_bot, tmp_path / "files", access_token=TOKEN) as adapter:
        yield adapter


async def test_every_response_carries_the_security_headers(
    visitor: aiohttp.ClientSession, web: WebAdapter
) -> None:
    """The page, its files, the interface and errors all carry the policy."""
    for path in ("", "static/app.js", f"api/rooms/{ROOM}/turns", "healthz", "nowhere"):
        async with visitor.get(web.url + path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'self';")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.headers["Server"] == "janus-bot"


async def test_static_files_and_nothing_else(
    visitor: aiohttp.ClientSession, web: WebAdapter
) -> None:
    """The page's own files are served with their type and ETag; no other path opens a file."""
    async with visitor.get(f"{web.url}static/app.js") as response:
        assert response.content_type == "text/javascript"
        etag = response.headers["ETag"]
    async with visitor.get(f"{web.url}static/app.js", headers={"If-None-Match": etag}) as response:
        assert response.status == 304
    for name in ("index.html", "..%2Fadapter.py", "%2Fetc%2Fpasswd", "adapter.py"):
        async with visitor.get(f"{web.url}static/{name}") as response:
            assert response.status == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "a b"]
)
async def test_a_foreign_host_name_is_refused(
    visitor: aiohttp.ClientSession, web: WebAdapter, web_bot: ScriptedWebBot, host: str
) -> None:
    """DNS rebinding: a name that points here but is not ours gets nothing, not even the page."""
    for url in (web.url, f"{web.url}api/rooms/{ROOM}/turns", f"{web.url}metrics"):
        async with visitor.get(url, headers={"Host": host}) as response:
            assert response.status == 421
    async with visitor.post(messages_url(web), data=form(), headers={"Host": host}) as response:
        assert response.status == 421
    assert web_bot.received == []


async def test_a_proxy_may_publish_it_under_a_name(
    visitor: aiohttp.ClientSession, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """A configured name is answered, with its own Origin, and no other name."""
    async with serving(web_bot, tmp_path, names=("chat.example",)) as web:
        headers = {"Host": "chat.example", "Origin": "https://chat.example"}
        async with visitor.post(messages_url(web), data=form(), headers=headers) as response:
            assert response.status == 202
        async with visitor.get(web.url, headers={"Host": "other.example"}) as response:
            assert response.status == 421


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_another_page_can_neither_send_nor_listen(
    visitor: aiohttp.ClientSession,
    web: WebAdapter,
    web_bot: ScriptedWebBot,
    headers: dict[str, str],
) -> None:
    """Cross-site posts, plain form posts and event streams are refused before they are read."""
    async with visitor.post(messages_url(web), data=form(), headers=headers) as response:
        assert response.status == 403
    plain = {"text": "hello"}
    async with visitor.post(messages_url(web), data=plain, headers=headers) as response:
        assert response.status == 403
    for path in ("events", "turns"):
        url = f"{web.url}api/rooms/{ROOM}/{path}"
        async with visitor.get(url, headers=headers) as response:
            assert response.status == 403
    assert web_bot.received == []


async def test_our_own_page_may(visitor: aiohttp.ClientSession, web: WebAdapter) -> None:
    """The headers that a browser sends for the page itself are accepted."""
    origin = web.url.rstrip("/")
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    async with visitor.post(messages_url(web), data=form(), headers=headers) as response:
        assert response.status == 202
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_without_the_token_there_is_only_health(
    visitor: aiohttp.ClientSession, locked: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """Everything but the two health pages asks for the token, and the start page asks kindly."""
    for path in ("healthz", "readyz"):
        async with visitor.get(locked.url + path) as response:
            assert response.status == 200
    for path in ("metrics", "static/app.js", f"api/rooms/{ROOM}/turns", f"pictures/{'ab' * 32}"):
        async with visitor.get(locked.url + path) as response:
            assert response.status == 401
    async with visitor.post(messages_url(locked), data=form()) as response:
        assert response.status == 401
    async with visitor.get(locked.url) as response:
        assert response.status == 401
        assert 'name="token"' in await response.text()
    assert web_bot.received == []


async def test_token_in_the_address_becomes_a_cookie(
    visitor: aiohttp.ClientSession, locked: WebAdapter
) -> None:
    """`?token=` is taken once: the browser is sent on without it, with a cookie that is not it."""
    params = {"token": TOKEN}
    async with visitor.get(locked.url, params=params, allow_redirects=False) as response:
        assert response.status == 303
        assert response.headers["Location"] == "/"
        cookie = response.cookies[COOKIE]
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Strict"
    assert TOKEN not in cookie.value
    async with visitor.get(locked.url) as response:
        assert response.status == 200
    async with visitor.get(f"{locked.url}metrics") as response:
        assert response.status == 200


async def test_login_form(visitor: aiohttp.ClientSession, locked: WebAdapter) -> None:
    """The login page takes the token, refuses another one, and takes none from other sites."""
    login = f"{locked.url}login"
    async with visitor.post(login, data={"token": "wrong"}) as response:
        assert response.status == 401
        assert "That is not the access token." in await response.text()
    evil = {"Origin": "https://evil.example"}
    async with visitor.post(login, data={"token": TOKEN}, headers=evil) as response:
        assert response.status == 403
    async with visitor.post(login, data={"token": TOKEN}) as response:
        assert response.status == 200
        assert 'id="composer"' in await response.text()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        ("Bearer wrong", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer ", 401),
        ("Bearer \u00e9\u00e9", 401),
    ],
)
async def test_bearer(
    visitor: aiohttp.ClientSession, locked: WebAdapter, value: str, expected: int
) -> None:
    """Programs send the token as a bearer; anything else is refused."""
    async with visitor.get(f"{locked.url}metrics", headers={"Authorization": value}) as response:
        assert response.status == expected


async def test_a_visit_from_a_link_is_asked_again_once(
    visitor: aiohttp.ClientSession, locked: WebAdapter
) -> None:
    """A strict cookie is missing on a visit from another site, so the page reloads, but once."""
    headers = {"Sec-Fetch-Site": "cross-site"}
    async with visitor.get(locked.url, headers=headers) as response:
        assert "/?again" in await response.text()
    async with visitor.get(f"{locked.url}?again", headers=headers) as response:
        assert "/?again" not in await response.text()
