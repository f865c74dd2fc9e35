"""The Gradio app with the user interface and the API of the Space deepseek-ai/Janus-Pro-7B.

The order in which components and listeners are made is part of the API: Gradio numbers both, and
older clients call function 2 with trigger 10 and function 3 with trigger 20. So the layout below
follows the Space's own, although nothing else here does.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component
from PIL import Image, ImageDraw

from bot.errors import BadInput, BotError, ImageTooLarge, ImageUnreadable
from bot.space.engine import MAX_SEED, MAX_TEXT, Engine

MAX_PIXELS = 50_000_000
"""Of a picture; decoded it takes three bytes for each."""
MAX_UPLOAD = "32mb"
KEEP_FILES = 3600
"""Seconds that a picture can be downloaded; older ones are looked for every ten minutes."""


class SpaceStopping(BotError):
    """The Space ends, and the running work with it."""


def build(
    engine: Engine,
    *,
    queue_size: int = 32,
    concurrency: int = 1,
    stopping: Callable[[], bool] = lambda: False,
) -> gr.Blocks:
    """The app, not yet served.

    Args:
        engine: answers and draws.
        queue_size: requests that may wait; further ones are refused with 503. 0 for no limit.
        concurrency: calls of each function that run at the same time.
        stopping: asked between two steps of work; true ends the work.
    """
    with gr.Blocks(
        title="Janus-Pro-7B",
        analytics_enabled=False,
        delete_cache=(KEEP_FILES // 6, KEEP_FILES),
    ) as made:
        understanding = _understanding()
        generation = _generation()
        # Listeners after all components: each gets the next function number.
        understanding.listen(_understand_with(engine, stopping))
        generation.listen(_generate_with(engine, stopping))
    blocks: gr.Blocks = made
    blocks.queue(max_size=queue_size or None, default_concurrency_limit=concurrency)
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
        with _sentences():
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

        with _sentences():
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
def _sentences() -> Iterator[None]:
    """Show people why it failed; Gradio sends the text of its own errors only."""
    try:
        yield
    except BotError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _readable(image: Image.Image | None) -> Image.Image | None:
    """The picture as RGB. Gradio has read its header only."""
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
    if len(text) > MAX_TEXT:
        raise BadInput(f"The text has {len(text):,} characters; {MAX_TEXT:,} are the most.")
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
