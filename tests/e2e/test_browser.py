"""The chat page in a real browser: what a person sees and does."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright, expect

from bot.actions import Action, Button, Verb
from bot.files import File
from bot.models import Ask, Imagine, Notice, TurnState
from bot.platforms.web import WebAdapter
from bot.reply.surface import Activity, Content, Status
from bot.turns.commands import Retry, Stop
from tests.servers.web_bot import ScriptedWebBot, picture, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 60_000

# One event loop for the module, because one browser serves all its tests.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt install chromium"),
    pytest.mark.timeout(300),
]


@dataclass
class Watched:
    """A page, and everything about it that should not happen.

    Attributes:
        page: the page.
        foreign: requests to anywhere but its own origin.
        errors: console errors and uncaught exceptions.
    """

    page: Page
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Begin to listen."""

        def on_request(request: Request) -> None:
            parts = urlsplit(request.url)
            if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
                self.foreign.append(request.url)

        self.page.on("request", on_request)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda line: (
                self.errors.append(line.text) if line.type in ("error", "warning") else None
            ),
        )


@pytest_asyncio.fixture(loop_scope="module")
async def web(web_bot: ScriptedWebBot, tmp_path: Path) -> AsyncIterator[WebAdapter]:
    async with serving(
        web_bot, tmp_path / "files", stand_in="An offline stand-in answers."
    ) as adapter:
        yield adapter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="module")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(WAIT_MS)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def watched(context: BrowserContext, web: WebAdapter) -> Watched:
    watched = Watched(await context.new_page())
    watched.watch()
    await watched.page.goto(web.url)
    await expect(watched.page.locator("#welcome")).to_be_visible(timeout=WAIT_MS)
    return watched


@pytest.fixture
def page(watched: Watched) -> Page:
    return watched.page


async def say(page: Page, text: str) -> None:
    await page.fill("#text", text)
    await page.press("#text", "Enter")


async def sees(page: Page, text: str) -> None:
    await expect(page.get_by_text(text).first).to_be_visible(timeout=WAIT_MS)


async def test_a_question_by_keyboard(
    watched: Watched, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """Typing and Enter is enough; the status moves, and the answer is rendered and harmless."""
    page = watched.page
    await sees(page, "An offline stand-in answers.")
    await page.keyboard.type("first line")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("second line")
    await page.keyboard.press("Enter")
    turn = await web_bot.next_turn()
    assert turn.command == Ask("first line\nsecond line")
    await expect(page.locator("#text")).to_have_value("")
    working = Status(Activity.WORKING, "Working 242/576", 0.42, "about 20 s", "50 % of memory")
    await web_bot.show(web, turn, Content(status=working))
    await sees(page, "Working 242/576 · about 20 s")
    await sees(page, "50 % of memory")
    await expect(page.get_by_role("progressbar")).to_have_js_property("value", 0.42)
    await web_bot.finish(web, turn, "A **hill**. <script>document.title = 'owned'</script>")
    await expect(page.locator(".prose strong")).to_have_text("hill", timeout=WAIT_MS)
    await sees(page, "<script>")
    await expect(page).to_have_title("Janus")
    await expect(page.locator("progress")).to_have_count(0)
    await expect(page.locator("#announcer")).to_have_text("The answer is there")
    await expect(page.locator("#text")).to_be_focused()
    assert watched.foreign == []
    assert watched.errors == []


async def test_examples_fill_the_box(page: Page, web_bot: ScriptedWebBot) -> None:
    """An example is there to be changed: it fills the box and is not sent."""
    await page.get_by_role("button", name=re.compile("red fox")).click()
    await expect(page.locator("#text")).to_have_value(re.compile("^/imagine a red fox"))
    await expect(page.locator("#text")).to_be_focused()
    assert web_bot.received == []
    await page.keyboard.press("Enter")
    assert isinstance((await web_bot.next_turn()).command, Imagine)


async def test_drag_and_drop_with_a_question(
    page: Page, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A dropped picture can be taken back, goes with the question, and arrives unchanged."""
    data = picture(90, 150, 220)
    drop = """([bytes, name, type]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
        for (const kind of ["dragenter", "dragover", "drop"]) {
            const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent(kind, options));
        }
    }"""
    await page.evaluate(drop, [list(data), "hill.png", "image/png"])
    await expect(page.locator("#added img")).to_have_count(1)
    await page.get_by_role("button", name="Remove hill.png").click()
    await expect(page.locator("#added")).to_be_hidden()
    await page.evaluate(drop, [list(b"text"), "notes.txt", "text/plain"])
    await sees(page, "“notes.txt” is not a picture.")
    await page.evaluate(drop, [list(data), "hill.png", "image/png"])
    await say(page, "What is this?")
    turn = await web_bot.next_turn()
    assert await web.fetch(turn.channel, turn.attachments[0], len(data)) == data
    await expect(page.locator(".asked img")).to_have_js_property("naturalWidth", 96)


async def test_five_pictures_and_a_closer_look(
    watched: Watched, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A drawing keeps room for five pictures, shows them, and each can be seen large and saved."""
    page = watched.page
    await say(page, "/imagine a hill --seed 42")
    turn = await web_bot.next_turn()
    assert turn.command == Imagine("a hill", 42)
    await expect(page.locator(".place")).to_have_count(5)
    await web_bot.finish(web, turn, "five hills", [picture(40 * n, 90, 160) for n in range(5)])
    await expect(page.locator(".gallery img")).to_have_count(5, timeout=WAIT_MS)
    await page.locator(".gallery .tile").nth(4).click()
    await expect(page.locator("#lightbox-caption")).to_have_text("Picture 5")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#lightbox-caption")).to_have_text("Picture 1")
    async with page.expect_download() as downloading:
        await page.locator("#lightbox-download").click()
    path = await (await downloading.value).path()
    assert path.read_bytes() == picture(0, 90, 160)
    await page.keyboard.press("Escape")
    await expect(page.locator("#lightbox")).to_be_hidden()
    assert watched.foreign == []
    assert watched.errors == []


async def test_pictures_grow_in_their_places(
    watched: Watched, web: WebAdapter, web_bot: ScriptedWebBot, context: BrowserContext
) -> None:
    """Each newer state takes the place of the one before, also after a reload; nothing jumps."""
    page = watched.page
    status = Status(Activity.WORKING, "Drawing", share=0.4)
    await say(page, "/imagine a hill")
    turn = await web_bot.next_turn()

    async def show(level: int, name: str) -> None:
        files = tuple(
            File(picture(40 * n, level, 160), "image/png", alt="Not finished: a hill")
            for n in range(5)
        )
        await web_bot.show(web, turn, Content(status=status, previews=files))
        keys = [f'.place img[src="/previews/{file.key}"]' for file in files]
        for key in keys:
            await expect(page.locator(key)).to_have_count(1, timeout=WAIT_MS)
        await expect(page.locator(".place img")).to_have_count(5)
        if folder := os.environ.get("JANUS_TEST_SCREENSHOTS"):
            await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    place = page.locator(".place").nth(4)
    await expect(place).to_be_visible(timeout=WAIT_MS)
    await web_bot.show(web, turn, Content(status=status))
    await expect(page.locator(".status")).to_contain_text("Drawing")
    empty = await page.locator(".places").bounding_box()
    await show(60, "growing")
    assert await page.locator(".places").bounding_box() == empty
    await expect(page.get_by_role("img", name="Not finished: a hill")).to_have_count(1)
    await page.reload()
    await expect(page.locator(".place img")).to_have_count(5, timeout=WAIT_MS)
    await show(110, "grown")
    # What was seen last stays until the picture itself can be seen.
    await page.evaluate(
        """() => {
            window.gaps = 0;
            new MutationObserver(() => {
              const shown = document.querySelectorAll(".place img, .tile img");
              if ([...shown].filter((each) => each.naturalWidth).length < 5) gaps++;
            }).observe(document.querySelector(".answered"), { childList: true, subtree: true });
        }"""
    )
    await web_bot.finish(web, turn, "five hills", [picture(40 * n, 160, 160) for n in range(5)])
    await expect(page.locator('.gallery img[src^="/pictures/"]')).to_have_count(5, timeout=WAIT_MS)
    assert await page.evaluate("window.gaps") == 0
    size = await page.locator(".gallery").bounding_box()
    assert size is not None
    assert empty is not None
    assert (size["width"], size["height"]) == (empty["width"], empty["height"])
    await expect(page.locator(".place")).to_have_count(0)
    gone = File(picture(0, 110, 160), "image/png").key
    response = await context.request.get(f"{web.url}previews/{gone}")
    assert response.status == 404
    assert watched.errors == []


async def test_stopping_a_drawing_takes_its_previews_away(
    page: Page, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """What is not finished does not stay as if it were."""
    await say(page, "/imagine a hill")
    turn = await web_bot.next_turn()
    files = (File(picture(1, 2, 3), "image/png", alt="Not finished: a hill"),)
    await web_bot.show(web, turn, Content(status=Status(Activity.WORKING, "x"), previews=files))
    await expect(page.locator(".place img")).to_have_count(1, timeout=WAIT_MS)
    await web_bot.finish(web, turn, outcome=TurnState.CANCELLED, note="Stopped.")
    await expect(page.locator(".verdict .prose")).to_have_text("Stopped.", timeout=WAIT_MS)
    await expect(page.locator(".answered img")).to_have_count(0)


async def test_stop_by_key_and_by_button(
    page: Page, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """Esc and the button stop what is being made; then there is nothing left to stop."""
    web_bot.notice = Notice("Stopping.")
    await say(page, "a long story")
    turn = await web_bot.next_turn()
    await web_bot.next_command()
    await expect(page.locator("#send")).to_have_attribute("aria-label", "Stop")
    await page.keyboard.press("Escape")
    assert await web_bot.next_command() == Stop()
    await sees(page, "Stopping.")
    await page.locator("#send").click()
    assert await web_bot.next_command() == Stop()
    await web_bot.finish(web, turn, "Once", outcome=TurnState.CANCELLED, note="Stopped.")
    await expect(page.locator(".prose")).to_have_text(["Once", "Stopped."], timeout=WAIT_MS)
    await expect(page.locator(".verdict .prose")).to_have_text("Stopped.")
    await expect(page.locator("#send")).to_have_attribute("aria-label", "Send", timeout=WAIT_MS)
    await expect(page.locator("#send")).to_be_disabled()


async def test_signs_in_an_answer(page: Page, web: WebAdapter, web_bot: ScriptedWebBot) -> None:
    """An answer that begins like a status is an answer, while it is written and after a reload."""
    texts = ["⏳ Wait", "▰▰▱ 40% · half", "⚠️ Careful", "■ Stop"]
    for text in texts:
        await say(page, "a sign?")
        turn = await web_bot.next_turn()
        await web_bot.show(web, turn, Content(text))
        prose = page.locator(".entry").last.locator(".prose")
        await expect(prose).to_have_text(text, timeout=WAIT_MS)
        await expect(page.locator(".status")).to_have_count(0)
        await web_bot.finish(web, turn, text)
        await expect(prose).to_have_text(text)
    await page.reload()
    await expect(page.locator(".answered .prose")).to_have_text(texts, timeout=WAIT_MS)


async def test_a_failure_can_be_tried_again(
    page: Page, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A failed answer explains itself and offers the one thing to do."""
    await say(page, "why?")
    turn = await web_bot.next_turn()
    await web_bot.finish(web, turn, outcome=TurnState.FAILED, note="The Space is asleep.")
    await sees(page, "The Space is asleep.")
    await page.get_by_role("button", name="Try again").click()
    again = await web_bot.next_turn()
    ((_, action),) = web_bot.presses
    assert action.verb is Verb.RETRY
    await web_bot.finish(web, again, "Because.")
    await sees(page, "Because.")
    await expect(page.locator(".entry .bubble")).to_have_text(["why?", "why?"])
    await page.get_by_role("button", name="Again", exact=True).click()
    await web_bot.next_turn()
    assert web_bot.received[-1][1] == Retry()


async def test_buttons_under_a_drawing(
    watched: Watched, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """Each does what its picture says, by mouse and by key, and is there after a reload."""
    page = watched.page
    await say(page, "/imagine a hill")
    turn = await web_bot.next_turn()
    web_bot.drawings[turn.id] = Imagine("a hill", 42, 5.0)
    await web_bot.finish(web, turn, "a hill", [picture(40 * n, 90, 160) for n in range(2)])
    entry = page.locator(".entry").first
    await expect(entry.locator(".press")).to_have_count(7, timeout=WAIT_MS)
    full = Notice("Picture 2.", files=(File(picture(40, 90, 160), "image/png", "hill.png"),))
    web_bot.press_notices.append(full)
    await page.get_by_role("button", name="Save picture 2 as it was made").click()
    async with page.expect_download() as downloading:
        await entry.locator(".note a", has_text="hill.png").click()
    download = await downloading.value
    assert download.suggested_filename == "hill.png"
    assert (await download.path()).read_bytes() == picture(40, 90, 160)
    await page.get_by_role("button", name="Prompt").click()
    await expect(page.locator("#text")).to_have_value("a hill")
    await expect(page.locator("#options .chip")).to_have_text(["/imagine", "seed 42", "guidance 5"])
    await page.keyboard.type(" at night")
    await page.keyboard.press("Enter")
    assert (await web_bot.next_turn()).command == Imagine("a hill at night", 42, 5.0)
    await page.reload()
    await entry.get_by_role("button", name="New").focus()
    await page.keyboard.press("Enter")
    again = await web_bot.next_turn()
    assert again.command == turn.command
    await web_bot.finish(web, again, "another hill")
    await sees(page, "another hill")
    web_bot.press_notices.append(Notice("Removed."))
    await entry.get_by_role("button", name="Remove this answer").click()
    await expect(page.locator("#toast")).to_have_text("Removed.", timeout=WAIT_MS)
    await web_bot.remove(web, turn)
    await expect(entry.locator(".gallery, .press")).to_have_count(0, timeout=WAIT_MS)
    await page.reload()
    await expect(page.locator(".bubble")).to_have_text(
        ["/imagine a hill", "/imagine a hill at night --seed 42 --guidance 5", "/imagine a hill"],
        timeout=WAIT_MS,
    )
    await expect(entry.locator(".gone")).to_be_visible()
    assert watched.foreign == []
    assert watched.errors == []


async def test_options_of_a_drawing(page: Page, web: WebAdapter, web_bot: ScriptedWebBot) -> None:
    """Each can be taken away by key; what is typed goes before it; a command stays a command."""
    await say(page, "/imagine a hill")
    turn = await web_bot.next_turn()
    web_bot.drawings[turn.id] = Imagine("a hill", 42, 5.0)
    await web_bot.finish(web, turn, "a hill", [picture(40, 90, 160)])
    edit = page.get_by_role("button", name="Prompt")
    options = page.locator("#options .chip")
    await edit.click()
    await page.get_by_role("button", name="Remove seed 42").focus()
    await page.keyboard.press("Enter")
    await expect(options).to_have_text(["/imagine", "guidance 5"])
    await expect(page.locator("#text")).to_be_focused()
    await page.keyboard.type(" --guidance 7")
    await page.keyboard.press("Enter")
    assert (await web_bot.next_turn()).command == Imagine("a hill", None, 7.0)
    await expect(options).to_have_count(0)
    await edit.click()
    await page.get_by_role("button", name="Remove /imagine").click()
    await expect(options).to_have_count(0)
    await say(page, "What is a hill?")
    assert (await web_bot.next_turn()).command == Ask("What is a hill?")
    web_bot.notice = Notice("All that I can do.")
    await edit.click()
    await say(page, "/help")
    await sees(page, "All that I can do.")
    await expect(options).to_have_count(0)


async def test_a_menu_in_russian(
    browser: Browser, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A Russian browser gets a Russian page, and a menu changes in its place, press by press."""
    context = await browser.new_context(locale="ru-RU", reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(web.url)
    await expect(page.get_by_role("button", name="Новый чат")).to_be_visible(timeout=WAIT_MS)
    await page.fill("#text", "/set")
    await page.keyboard.press("Tab")
    await expect(page.locator("#text")).to_have_value("/settings ")

    def menu(value: str) -> Notice:
        chosen = Button(Action(Verb.SET, "guidance", "7"), f"{value} 7", chosen=True)
        return Notice(f"Guidance: {value}", buttons=((chosen,),), replaces=True)

    web_bot.notice = menu("пять")
    await page.keyboard.press("Enter")
    note = page.get_by_role("region", name="От бота")
    await expect(note).to_contain_text("пять", timeout=WAIT_MS)
    for value in ("шесть", "семь"):
        web_bot.press_notices.append(menu(value))
        await note.locator(".press").click()
        await expect(note).to_contain_text(f"Guidance: {value}", timeout=WAIT_MS)
    assert [action for _, action in web_bot.presses] == [Action(Verb.SET, "guidance", "7")] * 2
    ids = {message.message_id for message, _ in web_bot.presses}
    assert len(ids) == 2
    await expect(note.locator(".press")).to_be_focused()
    await note.get_by_role("button", name="Закрыть").click()
    await expect(note).to_have_count(0)
    await context.close()


async def test_after_a_restart_everything_is_there(
    context: BrowserContext, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """The page says that it reconnects, then shows what was said and what was finished since."""
    page = await context.new_page()
    async with serving(web_bot, tmp_path / "files") as web:
        port = int(web.url.rstrip("/").rpartition(":")[2])
        await page.goto(web.url)
        await say(page, "first question")
        await web_bot.finish(web, await web_bot.next_turn(), "first answer")
        await sees(page, "first answer")
        await say(page, "second question")
        second = await web_bot.next_turn()
        await web_bot.show(web, second, Content(status=Status(Activity.WAITING, "Got it…")))
        await sees(page, "Got it…")
    await expect(page.locator("#connection")).to_be_visible(timeout=WAIT_MS)
    await say(page, "third question")
    await sees(page, "Not sent. The bot cannot be reached.")
    async with serving(web_bot, tmp_path / "files", port=port) as web:
        await expect(page.locator("#connection")).to_be_hidden(timeout=WAIT_MS)
        await web_bot.finish(web, second, "second answer, after all")
        await sees(page, "second answer, after all")
        await page.get_by_role("button", name="Send again").click()
        await web_bot.finish(web, await web_bot.next_turn(), "third answer")
        await sees(page, "third answer")
        await page.reload()
        await expect(page.locator(".bubble")).to_have_text(
            ["first question", "second question", "third question"], timeout=WAIT_MS
        )
        await expect(page.locator(".answered .prose")).to_have_text(
            ["first answer", "second answer, after all", "third answer"]
        )


async def test_a_new_chat_is_another_room(
    page: Page, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """Rooms do not mix, and going back shows the old one again."""
    await say(page, "in the first room")
    first = await web_bot.next_turn()
    await web_bot.finish(web, first, "answer in the first room")
    await sees(page, "answer in the first room")
    await page.get_by_role("button", name="New chat").click()
    await expect(page.locator("#welcome")).to_be_visible(timeout=WAIT_MS)
    await expect(page.locator(".entry")).to_have_count(0)
    await say(page, "in the second room")
    assert (await web_bot.next_turn()).channel != first.channel
    await page.go_back()
    await sees(page, "answer in the first room")
    await expect(page.get_by_text("in the second room")).to_have_count(0)


async def test_a_phones_width(page: Page, web: WebAdapter, web_bot: ScriptedWebBot) -> None:
    """At 360 pixels nothing scrolls sideways, whatever is in an answer."""
    await page.set_viewport_size({"width": 360, "height": 640})
    measure = (
        "() => [document.documentElement, document.querySelector('main')].map(e => e.scrollWidth)"
    )
    assert max(await page.evaluate(measure)) <= 360
    await say(page, "/imagine " + "w" * 300)
    table = "| a | b | c |\n|---|---|---|\n| " + "x" * 80 + " | " + "y" * 80 + " | z |"
    text = f"{'long' * 100}\n\n```\n{'code ' * 80}\n```\n\n{table}"
    await web_bot.finish(web, await web_bot.next_turn(), text, [picture(9, 9, 200)] * 5)
    await expect(page.locator(".gallery img")).to_have_count(5, timeout=WAIT_MS)
    assert max(await page.evaluate(measure)) <= 360


async def test_login_in_the_browser(
    context: BrowserContext, web_bot: ScriptedWebBot, tmp_path: Path
) -> None:
    """A person without the token sees a small form; with it the chat opens and works."""
    async with serving(web_bot, tmp_path / "files", access_token="open sesame") as web:
        page = await context.new_page()
        await page.goto(web.url)
        await page.get_by_label("Access token").fill("open sesame")
        await page.keyboard.press("Enter")
        await expect(page.locator("#welcome")).to_be_visible(timeout=WAIT_MS)
        await say(page, "hello")
        assert (await web_bot.next_turn()).command == Ask("hello")


async def test_two_pages_of_one_room(
    context: BrowserContext, page: Page, web: WebAdapter, web_bot: ScriptedWebBot
) -> None:
    """A second page of the same room shows what is asked on the first, and its answer."""
    other = await context.new_page()
    await other.goto(page.url)
    await expect(other.locator("#welcome")).to_be_visible(timeout=WAIT_MS)
    await say(page, "seen on both?")
    turn = await web_bot.next_turn()
    await web_bot.show(web, turn, Content(status=Status(Activity.WAITING, "Got it…")))
    await sees(other, "seen on both?")
    await web_bot.finish(web, turn, "Yes, on both.")
    await sees(other, "Yes, on both.")
