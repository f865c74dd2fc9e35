"""The Gradio app with the page and the API of the Space deepseek-ai/Janus-Pro-7B.

The order in which components and listeners are made is part of the API: Gradio numbers both, and
older clients call function 2 with trigger 10 and function 3 with trigger 20. So the layout below
follows the Space's own, although nothing else here does.

Gradio's own `launch` looks for a free port by itself and cannot be given port 0, so the app is
mounted on FastAPI and served by uvicorn, both of which Gradio brings along.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI
from gradio.components import Component
from PIL import Image, ImageDraw

from bot.errors import BadInput, BotError, ImageTooLarge, ImageUnreadable
from bot.space.calls import Calls
from bot.space.engine import MAX_SEED, MAX_TEXT_CHARS, Engine, Progress

MAX_PIXELS = 50_000_000
"""Of a picture; decoded it takes three bytes for each."""
MAX_UPLOAD_BYTES = 32 * 2**20
_KEEP_FILES_SECONDS = 3600  # a picture can be downloaded; older ones are removed every ten minutes
_SHUTDOWN_TIMEOUT_SECONDS = 1  # for open event streams, most of which would go on for ever


class Server(uvicorn.Server):
    """Tells when it is ready. SIGINT and SIGTERM end it, and are raised again afterwards."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def server(
    engine: Engine,
    ready: Callable[[], None],
    calls: Calls,
    *,
    queue_size: int = 32,
    concurrency: int = 1,
) -> Server:
    """A server for the app, not yet running.

    Args:
        engine: answers and draws.
        ready: called once requests are answered.
        calls: decides who may call.
        queue_size: requests that may wait; further ones are refused with 503. 0 for no limit.
        concurrency: calls of each function that run at the same time.
    """
    outer = FastAPI(openapi_url=None)
    config = uvicorn.Config(
        calls.in_front_of(outer),
        log_level="warning",
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_SECONDS,
        server_header=False,
    )
    made = Server(config, ready)
    page = blocks(engine, calls)
    page.queue(max_size=queue_size or None, default_concurrency_limit=concurrency)
    gr.mount_gradio_app(outer, page, path="/", **options())
    return made


def options() -> dict[str, Any]:
    """How the page is served and looks, for Gradio's `mount_gradio_app` and `launch`."""
    return {
        "show_error": False,  # as on the Space: only texts that are meant for people leave
        "max_file_size": MAX_UPLOAD_BYTES,
        "run_history": False,
        "footer_links": ["api"],
        "theme": gr.themes.Default(
            # Plain names: the default ones would be fetched from a font service.
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
    }


def blocks(engine: Engine, calls: Calls) -> gr.Blocks:
    """The page and its functions."""
    with gr.Blocks(
        title="Janus-Pro-7B",
        analytics_enabled=False,
        delete_cache=(_KEEP_FILES_SECONDS // 6, _KEEP_FILES_SECONDS),
    ) as made:
        understanding = _understanding()
        generation = _generation()
        # Listeners after all components: each gets the next function number.
        understanding.listen(_understand_with(engine, calls))
        generation.listen(_generate_with(engine, calls))
    page: gr.Blocks = made
    return page


@dataclass(frozen=True, slots=True)
class _Form:
    """One half of the page: a button that sends its inputs to a function."""

    button: gr.Button
    inputs: list[Component]
    output: Component

    def listen(self, function: Callable[..., Any]) -> None:
        self.button.click(function, inputs=self.inputs, outputs=self.output)


def _understanding() -> _Form:
    gr.Markdown("# Multimodal Understanding")
    with gr.Row():
        image = gr.Image(type="pil")
        with gr.Column():
            question = gr.Textbox(label="Question")
            seed = gr.Number(label="Seed", precision=0, value=42)
            top_p = gr.Slider(0, 1, value=0.95, step=0.05, label="top_p")
            temperature = gr.Slider(0, 1, value=0.1, step=0.05, label="temperature")
    button = gr.Button("Chat")
    output = gr.Textbox(label="Response")
    gr.Examples(
        [["Describe this picture.", _test_card()]],
        inputs=[question, image],
        label="Multimodal Understanding examples",
    )
    _with_words(image, "The picture cannot be read.")
    for number in (seed, top_p, temperature):
        _with_words(number, f"{number.label} has to be a number.")
    return _Form(button, [image, question, seed, top_p, temperature], output)


def _generation() -> _Form:
    gr.Markdown("# Text-to-Image Generation")
    with gr.Row():
        guidance = gr.Slider(1, 10, value=5, step=0.5, label="CFG Weight")
        temperature = gr.Slider(0, 1, value=1.0, step=0.05, label="temperature")
    prompt = gr.Textbox(label="Prompt. (Prompt in more detail can help produce better images!)")
    seed = gr.Number(label="Seed (Optional)", precision=0, value=12345)
    button = gr.Button("Generate Images")
    output = gr.Gallery(label="Generated Images", columns=2, rows=2, height=300)
    gr.Examples(
        ["A red fox in the snow", "A lighthouse by the sea at sunset"],
        inputs=prompt,
        label="Text to image generation examples.",
    )
    for number in (seed, guidance, temperature):
        _with_words(number, f"{number.label} has to be a number.")
    return _Form(button, [prompt, seed, guidance, temperature], output)


_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    SyntaxError,
    Image.DecompressionBombError,
)
"""What Gradio and Pillow raise for values that are none of what a field takes."""


def _with_words(component: Component, words: str) -> Component:
    """Say in words what is wrong with a value; Gradio itself says nothing, and logs a traceback."""
    given = component.preprocess

    def preprocess(payload: Any) -> Any:
        try:
            return given(payload)
        except gr.Error:  # has its own words
            raise
        except _UNREADABLE as error:
            raise gr.Error(words, print_exception=False) from error

    setattr(component, "preprocess", preprocess)  # noqa: B010 - one component, not its class
    return component


def _understand_with(engine: Engine, calls: Calls) -> Callable[..., AsyncIterator[str]]:
    """The function behind the first form; parameter names and defaults are API."""

    async def multimodal_understanding(  # noqa: PLR0913, PLR0917 - two are filled by Gradio
        image: Image.Image | None,
        question: str,
        seed: int = 42,
        top_p: float = 0.95,
        temperature: float = 0.1,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio asks for its progress
        request: gr.Request | None = None,
    ) -> AsyncIterator[str]:
        answer = ""
        with _errors_shown():
            answering = engine.describe(
                await asyncio.to_thread(_readable, image),
                _bounded(question),
                seed=_checked_seed(seed),
                top_p=top_p,
                temperature=temperature,
                caller=calls.caller(request),
            )
            async with calls.running(answering, request) as steps:
                async for step in steps:
                    if isinstance(step, Progress):
                        progress((step.done, step.total), desc=step.what, unit=step.unit)
                    else:
                        answer += step
                        yield answer

    return multimodal_understanding


def _generate_with(
    engine: Engine, calls: Calls
) -> Callable[..., AsyncIterator[Sequence[Image.Image]]]:
    """The function behind the second form; parameter names and defaults are API."""

    async def generate_image(
        prompt: str,
        seed: int | None = 12345,
        guidance: float = 5,
        t2i_temperature: float = 1.0,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio asks for its progress
        request: gr.Request | None = None,
    ) -> AsyncIterator[Sequence[Image.Image]]:
        with _errors_shown():
            drawing = engine.draw(
                _bounded(prompt),
                # The form calls its seed optional: an emptied field asks for any.
                seed=secrets.randbelow(MAX_SEED + 1) if seed is None else _checked_seed(seed),
                guidance=guidance,
                temperature=t2i_temperature,
                caller=calls.caller(request),
            )
            async with calls.running(drawing, request) as steps:
                async for step in steps:
                    if isinstance(step, Progress):
                        progress((step.done, step.total), desc=step.what, unit=step.unit)
                    else:
                        yield step.images

    return generate_image


@contextlib.contextmanager
def _errors_shown() -> Iterator[None]:
    """Show people why a call failed: Gradio passes on the text of its own errors only."""
    try:
        yield
    except BotError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _readable(image: Image.Image | None) -> Image.Image | None:
    """The picture as RGB; so far Gradio has read only its header."""
    if image is None:
        return None
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(
            f"The picture has {width} x {height} pixels; {MAX_PIXELS:,} are the most that I take."
        )
    try:
        return image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for broken files
        raise ImageUnreadable("The picture is damaged.") from error


def _bounded(text: Any) -> str:
    if not isinstance(text, str):
        raise BadInput("There is no text.")
    if len(text) > MAX_TEXT_CHARS:
        raise BadInput(f"The text has {len(text):,} characters; {MAX_TEXT_CHARS:,} are the most.")
    return text


def _checked_seed(seed: Any) -> int:
    if not isinstance(seed, int):
        raise BadInput("The seed has to be a whole number.")
    if not 0 <= seed <= MAX_SEED:
        raise BadInput(f"The seed {seed} is not between 0 and {MAX_SEED}.")
    return seed


def _test_card() -> Image.Image:
    """Three stripes and a disc, for the page's example."""
    card = Image.new("RGB", (480, 320), "#e8c468")
    draw = ImageDraw.Draw(card)
    draw.rectangle((160, 0, 320, 320), fill="#2a9d8f")
    draw.rectangle((320, 0, 480, 320), fill="#264653")
    draw.ellipse((170, 90, 310, 230), fill="#e76f51")
    return card
