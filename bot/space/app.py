"""The Gradio app with the page and the API of the Space deepseek-ai/Janus-Pro-7B.

The order in which components and listeners are made is part of the API: Gradio numbers both, and
older clients call function 2 with trigger 10 and function 3 with trigger 20. So the layout below
follows the Space's own, although nothing else here does.

Gradio's own `launch` looks for a free port by itself and cannot be given port 0, so the app is
mounted on FastAPI and served by uvicorn, both of which Gradio brings along.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI
from gradio.components import Component
from PIL import Image, ImageDraw
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.errors import BadInput, BotError, ImageTooLarge, ImageUnreadable
from bot.space.engine import MAX_SEED, MAX_TEXT_CHARS, Engine

MAX_PIXELS = 50_000_000
"""Of a picture; decoded it takes three bytes for each."""
MAX_UPLOAD_BYTES = 32 * 2**20
_KEEP_FILES_SECONDS = 3600  # a picture can be downloaded; older ones are removed every ten minutes
_SHUTDOWN_TIMEOUT_SECONDS = 1  # for open event streams, most of which would go on for ever

_CONTENT_SECURITY_POLICY = (
    # Gradio's page compiles its translations and styles itself while it loads.
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
)


class SpaceStopping(BotError):
    """The Space ends, and the running work with it."""


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
    engine: Engine, ready: Callable[[], None], *, queue_size: int = 32, concurrency: int = 1
) -> Server:
    """A server for the app, not yet running.

    Args:
        engine: answers and draws.
        ready: called once requests are answered.
        queue_size: requests that may wait; further ones are refused with 503. 0 for no limit.
        concurrency: calls of each function that run at the same time.
    """
    outer = FastAPI(openapi_url=None)
    config = uvicorn.Config(
        _OwnSourcesOnly(outer),
        log_level="warning",
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_SECONDS,
        server_header=False,
    )
    made = Server(config, ready)
    blocks = _blocks(engine, lambda: made.should_exit)
    blocks.queue(max_size=queue_size or None, default_concurrency_limit=concurrency)
    gr.mount_gradio_app(
        outer,
        blocks,
        path="/",
        show_error=False,  # as on the Space: only texts that are meant for people leave
        max_file_size=MAX_UPLOAD_BYTES,
        run_history=False,
        footer_links=["api"],
        theme=gr.themes.Default(
            # Plain names: the default ones would be fetched from a font service.
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
    )
    return made


class _OwnSourcesOnly:
    """Forbids the page to load anything from another host."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = _CONTENT_SECURITY_POLICY
            await send(message)

        await self._app(scope, receive, guarded)


def _blocks(engine: Engine, stopping: Callable[[], bool]) -> gr.Blocks:
    """The page and its functions; `stopping` is asked between two steps of work and ends it."""
    with gr.Blocks(
        title="Janus-Pro-7B",
        analytics_enabled=False,
        delete_cache=(_KEEP_FILES_SECONDS // 6, _KEEP_FILES_SECONDS),
    ) as made:
        understanding = _understanding()
        generation = _generation()
        # Listeners after all components: each gets the next function number.
        understanding.listen(_understand_with(engine, stopping))
        generation.listen(_generate_with(engine, stopping))
    blocks: gr.Blocks = made
    return blocks


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
    return _Form(button, [prompt, seed, guidance, temperature], output)


def _understand_with(engine: Engine, stopping: Callable[[], bool]) -> Callable[..., Iterator[str]]:
    """The function behind the first form; parameter names and defaults are API."""

    def multimodal_understanding(
        image: Image.Image | None,
        question: str,
        seed: int = 42,
        top_p: float = 0.95,
        temperature: float = 0.1,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio asks for its progress
    ) -> Iterator[str]:
        progress((0, 1), desc="Looking")
        answer = ""
        with _errors_shown():
            pieces = engine.describe(
                _readable(image),
                _bounded(question),
                seed=_checked_seed(seed),
                top_p=top_p,
                temperature=temperature,
            )
            for piece in pieces:
                if stopping():
                    raise SpaceStopping("The Space is stopping.")
                answer += piece
                yield answer

    return multimodal_understanding


def _generate_with(
    engine: Engine, stopping: Callable[[], bool]
) -> Callable[..., Sequence[Image.Image]]:
    """The function behind the second form; parameter names and defaults are API."""

    def generate_image(
        prompt: str,
        seed: int | None = 12345,
        guidance: float = 5,
        t2i_temperature: float = 1.0,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio asks for its progress
    ) -> Sequence[Image.Image]:
        def report(done: int, total: int, what: str) -> None:
            if stopping():
                raise SpaceStopping("The Space is stopping.")
            progress((done, total), desc=what, unit="steps")

        with _errors_shown():
            return engine.draw(
                _bounded(prompt),
                # The form calls its seed optional: an emptied field asks for any.
                seed=secrets.randbelow(MAX_SEED + 1) if seed is None else _checked_seed(seed),
                guidance=guidance,
                temperature=t2i_temperature,
                report=report,
            )

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


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise BadInput(f"The text has {len(text):,} characters; {MAX_TEXT_CHARS:,} are the most.")
    return text


def _checked_seed(seed: int) -> int:
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
