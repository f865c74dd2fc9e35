"""What somebody sees who runs `make demo`: the real program, in a real browser.

`SCREENSHOT=docs/screenshot.png make test ARGS=tests/e2e/test_demo.py` makes the README's picture.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from bot.space.drawing import paint
from tests.e2e.running_bot import running_bot
from tests.e2e.test_browser import ARGUMENTS, CHROMIUM

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt install chromium"),
    pytest.mark.timeout(600),
]

WAIT_MS = 90_000


def a_photo(folder: Path) -> Path:
    """A picture to ask about, as the stand-in draws it."""
    path = folder / "mountains.png"
    paint("a house in the mountains", 0, seed=3, guidance=5, temperature=1).save(path)
    return path


async def ask_and_imagine(page: Page, photo: Path) -> None:
    await page.set_input_files("#files", str(photo))
    await page.fill("#text", "What is in this picture?")
    await page.press("#text", "Enter")
    await expect(page.locator("#conversation")).to_contain_text("768", timeout=WAIT_MS)
    await page.fill("#text", "/imagine a red fox --seed 42")
    await page.press("#text", "Enter")
    await expect(page.locator("#conversation")).to_contain_text("seed 42 ·", timeout=WAIT_MS)
    await five_pictures(page)


async def five_pictures(page: Page) -> None:
    for number in range(1, 6):
        picture = page.get_by_alt_text(f"a red fox ({number} of 5)")
        await expect(picture).to_be_visible(timeout=WAIT_MS)
        await expect(picture).to_have_js_property("naturalWidth", 768, timeout=WAIT_MS)


@pytest.mark.slow
async def test_the_demo_answers_and_draws(tmp_path: Path) -> None:
    """A question about a picture and `/imagine a red fox` work in the browser, and stay."""
    async with running_bot(tmp_path, "demo") as bot, async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        line = await bot.printed("in your browser")
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line
        page = await chromium.new_page(
            viewport={"width": 1100, "height": 960}, reduced_motion="reduce"
        )
        page.set_default_timeout(WAIT_MS)
        await page.goto(found[0])
        await ask_and_imagine(page, a_photo(tmp_path))
        await page.reload()
        await expect(page.locator("#conversation")).to_contain_text("seed 42 ·", timeout=WAIT_MS)
        await five_pictures(page)
        if target := os.environ.get("SCREENSHOT"):
            await page.mouse.move(500, 500)
            await page.mouse.wheel(0, 10_000)
            await page.screenshot(path=tmp_path / "shot.png")
            shutil.copy(tmp_path / "shot.png", target)
        await chromium.close()
        bot.end()
        assert await bot.ended() == 0, bot.story()
