"""A real Gradio server with the Space's two functions, in a process of its own.

The functions do what words in square brackets tell them to, so that every path can be taken.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

READY = "ready: "


@asynccontextmanager
async def real_gradio() -> AsyncIterator[str]:
    """A running server; its URL."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "NO_PROXY": "*"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__)), stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        while line := (await process.stdout.readline()).decode():
            if line.startswith(READY):
                yield line.removeprefix(READY).strip()
                return
        raise AssertionError("the Gradio server ended before it was ready")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _free_port() -> int:
    """Gradio does not take 0; by default it would take 7860, which others may want, too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serve() -> None:
    import gradio as gr  # noqa: PLC0415 - only in the server's own process
    from PIL import Image  # noqa: PLC0415 - likewise

    def understand(
        image: Any, question: str, seed: float, top_p: float, temperature: float
    ) -> Iterator[str]:
        if "[fail]" in question:
            raise ValueError("nobody sees this")
        if "[quota]" in question:
            raise gr.Error(
                "You have exceeded your GPU quota (120s requested vs. 42s left). "
                "Try again in 0:01:00"
            )
        size = f"{image.width}x{image.height}"
        said = ""
        for word in f"{size} {image.getpixel((0, 0))} {question} seed {seed:.0f}".split(" "):
            time.sleep(0.2 if "[slow]" in question else 0)
            said += word if not said else f" {word}"
            yield said

    def generate(
        prompt: str, seed: float, guidance: float, temperature: float, progress: Any
    ) -> list[Any]:
        for step in range(3):
            progress((step, 3), desc="Drawing", unit="steps")
            time.sleep(0.05)
        colour = (int(seed) % 256, int(guidance * 20), len(prompt) % 256)
        return [Image.new("RGB", (64, 64), (*colour[:2], index)) for index in range(5)]

    # A default that is an object of Gradio's is how a function asks for progress.
    generate.__defaults__ = (gr.Progress(),)
    with gr.Blocks() as blocks:
        image, question = gr.Image(type="pil"), gr.Textbox()
        seed, top_p, temperature = gr.Number(precision=0), gr.Slider(0, 1), gr.Slider(0, 1)
        prompt, seed2 = gr.Textbox(), gr.Number(precision=0)
        guidance, temperature2 = gr.Slider(1, 10), gr.Slider(0, 1)
        ask, draw = gr.Button(), gr.Button()
        ask.click(
            understand,
            [image, question, seed, top_p, temperature],
            gr.Textbox(),
            api_name="multimodal_understanding",
        )
        draw.click(
            generate,
            [prompt, seed2, guidance, temperature2],
            gr.Gallery(),
            api_name="generate_image",
        )
    blocks.queue(default_concurrency_limit=4).launch(
        server_name="127.0.0.1", server_port=_free_port(), prevent_thread_lock=True, quiet=True
    )
    print(f"{READY}{blocks.local_url}", flush=True)  # noqa: T201 - read by `real_gradio`
    blocks.block_thread()


if __name__ == "__main__":
    _serve()
