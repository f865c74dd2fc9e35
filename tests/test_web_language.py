"""The languages of the web chat: whose page is in which, and that all of it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.i18n import Catalogue
from bot.platforms.web import UploadLimits, WebAdapter, pages
from bot.platforms.web.pages import spoken
from bot.platforms.web.parsing import accepted_languages
from bot.turns.commands import WORDS, Help
from tests.servers.web_bot import ScriptedWebBot, form, messages_url, serving

STATIC = Path(pages.__file__).parent / "static"
CYRILLIC = re.compile("[\u0430-\u044f\u0451]", re.IGNORECASE)
LATIN_ANYWHERE = re.compile(r"\b(?:Janus(?:-bot)?|JavaScript|Enter|Shift|Esc|Bearer|Space)\b")


async def page(visitor: aiohttp.ClientSession, web: WebAdapter, languages: str) -> str:
    async with visitor.get(web.url, headers={"Accept-Language": languages}) as response:
        return await response.text()


def said_in(html: str) -> dict[str, Any]:
    """What the page hands to its scripts."""
    found = re.search(r'<script id="said" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    said: dict[str, Any] = json.loads(found[1])
    return said


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("ru-RU,ru;q=0.9,en;q=0.8", ["ru-RU", "ru", "en"]),
        ("en;q=0.5, ru", ["ru", "en"]),
        ("de;q=0, en;q=0.001", ["en"]),
        ("*, fr", ["fr"]),
        ("", []),
        ("zh-Hant-TW ; q=0.3", ["zh-Hant-TW"]),
        ("../../etc, <script>, x", []),
    ],
)
def test_what_a_browser_asks_for(header: str, tags: list[str]) -> None:
    """Favourites first; what is refused or malformed is left out."""
    assert accepted_languages(header) == tags


@given(st.text())
def test_any_header_is_readable(header: str) -> None:
    """Nothing that a browser sends is a fault of the server."""
    assert all(re.fullmatch(r"[A-Za-z0-9-]{2,35}", tag) for tag in accepted_languages(header))


@pytest.mark.parametrize(
    ("languages", "default", "language"),
    [
        ("ru", "en", "ru"),
        ("de, ru;q=0.5, en;q=0.1", "en", "ru"),
        ("de", "en", "en"),
        ("de", "ru", "ru"),
        ("", "ru", "ru"),
        ("en-GB", "ru", "en"),
    ],
)
async def test_the_page_is_in_the_visitors_language(
    visitor: aiohttp.ClientSession,
    web_bot: ScriptedWebBot,
    tmp_path: Path,
    languages: str,
    default: str,
    language: str,
) -> None:
    """The first one that the bot speaks, else the configured one; and the person's is known."""
    async with serving(web_bot, tmp_path, language=default) as web:
        assert f'<html lang="{language}">' in await page(visitor, web, languages)
        headers = {"Accept-Language": languages}
        async with visitor.post(messages_url(web), data=form("/help"), headers=headers) as response:
            assert response.status == 202
    ((message, command),) = web_bot.received
    assert command == Help()
    if "de" != languages != "":
        assert message.person.language.startswith(language)


async def test_nothing_on_a_russian_page_is_english(
    visitor: aiohttp.ClientSession, web: WebAdapter
) -> None:
    """Every text and label of the page, but for prompts, which the model understands in English."""
    html = await page(visitor, web, "ru")
    body = re.sub(r"<script.*?</script>|<svg hidden>.*?</svg>", "", html, flags=re.DOTALL)
    texts = re.findall(r">([^<>]*[A-Za-z]{2}[^<>]*)<", body)
    texts += re.findall(r'(?:aria-label|title|placeholder)="([^"]*)"', body)
    prompts = {"a red fox in fresh snow, soft morning light"}
    prompts |= {"a lighthouse in a storm, oil painting --seed 42"}
    for text in {text.strip() for text in texts} - prompts:
        assert CYRILLIC.search(text) or not LATIN_ANYWHERE.sub("", text).strip(), text
    for key, text in said_in(html)["words"].items():
        assert CYRILLIC.search(text), key


async def test_every_command_is_offered(visitor: aiohttp.ClientSession, web: WebAdapter) -> None:
    """The page knows all commands, in its language."""
    offered = said_in(await page(visitor, web, "ru"))["commands"]
    assert [command["word"] for command in offered] == list(WORDS)
    assert all(CYRILLIC.search(command["about"]) for command in offered)


def test_the_scripts_say_only_what_the_page_knows() -> None:
    """Each sentence that a script says is handed to it, and none is that no script says."""
    scripts = "".join(path.read_text("utf-8") for path in STATIC.glob("*.js"))
    known = spoken(Catalogue().words(), UploadLimits())
    assert set(re.findall(r'\bsay\("([a-z-]+)"', scripts)) <= known.keys()
    assert {key for key in known if f'"{key}"' not in scripts} == set()


def test_the_scripts_have_no_sentences_of_their_own() -> None:
    """No text with a space in it but class names, and no capital that begins a sentence."""
    for path in STATIC.glob("*.js"):
        code = re.sub(
            r"^\s*(?://|/?\*).*$|\s//.*$", "", path.read_text("utf-8"), flags=re.MULTILINE
        )
        for text in re.findall(r'"([^"\n]*)"', code):
            assert not re.match(r"[A-Z][a-z]+ [a-z]", text), f"{path.name}: {text}"


def test_nothing_in_the_page_ends_its_script_element(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence with a tag in it stays a sentence."""
    monkeypatch.setattr(pages, "spoken", lambda *_: {"x": "</script><b>"})
    made = pages.Pages(banner="</p><b>", limits=UploadLimits()).index(Catalogue().words())
    assert made.text is not None
    assert said_in(made.text)["words"] == {"x": "</script><b>"}
    assert "<b>&" not in made.text
    assert made.text.count("<b>") == 3  # those of the three examples


async def test_refusals_are_in_the_visitors_language(
    visitor: aiohttp.ClientSession, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """Forms, foreign pages, unknown commands, the login page."""
    headers = {"Accept-Language": "ru"}
    async with serving(web_bot, tmp_path / "open", uploads=UploadLimits(files=1)) as web:
        for body, status in ((form("  "), 422), (form("/fly me"), 422), (form("x", id="?"), 400)):
            async with visitor.post(messages_url(web), data=body, headers=headers) as response:
                assert response.status == status
                assert CYRILLIC.search((await response.json())["error"])
        foreign = {"Origin": "https://evil.example", **headers}
        async with visitor.post(messages_url(web), data=form(), headers=foreign) as response:
            assert response.status == 403
            assert CYRILLIC.search(await response.text())
    async with serving(web_bot, tmp_path / "closed", access_token="secret") as web:
        assert "Токен доступа" in await page(visitor, web, "ru")
        async with visitor.get(f"{web.url}metrics", headers=headers) as response:
            assert CYRILLIC.search((await response.json())["error"])
    assert web_bot.received == []


async def test_a_banner_may_be_a_key(
    visitor: aiohttp.ClientSession, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """A sentence of the catalogue is shown in each visitor's language."""
    async with serving(web_bot, tmp_path, stand_in="web-stand-in") as web:
        assert "Offline stand-in" in await page(visitor, web, "en")
        assert "Автономная замена" in await page(visitor, web, "ru")
