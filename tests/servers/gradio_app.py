"""A Gradio app with the Space's two functions, for any Gradio from 5 on. Runs by itself.

    python gradio_app.py [--concurrency N] [--queue-size N] [--max-file BYTES]

It may be run by the Python of another environment, so it imports nothing but Gradio and Pillow.
Words in square brackets tell the functions what to do, so that every path can be taken. It ends
with its standard input, so it cannot outlive who started it.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image

READY = "ready: "
"""Begins the one line on standard output; the rest of it is the URL."""


def multimodal_understanding(
    image: Image.Image,
    question: str,
    seed: int = 42,
    top_p: float = 0.95,
    temperature: float = 0.1,
) -> Iterator[str]:
    """Say what was asked, word by word."""
    if "[fail]" in question:
        raise ValueError("nobody sees this")
    if "[quota]" in question:
        raise gr.Error(
            "You have exceeded your GPU quota (120s requested vs. 42s left). Try again in 0:01:00"
        )
    if "[log]" in question:
        gr.Info("Waiting for a GPU to become available")
    size = f"{image.width}x{image.height}"
    words = f"{size} {image.getpixel((0, 0))} {question} seed {seed:.0f}"
    if "[whole]" in question:
        time.sleep(0.05)
        yield words
        return
    said = ""
    for word in words.split(" "):
        time.sleep(0.2 if "[slow]" in question else 0)
        said += word if not said else f" {word}"
        yield said


def generate_image(
    prompt: str,
    seed: int = 12345,
    guidance: float = 5,
    t2i_temperature: float = 1.0,
    progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio asks for its progress
) -> Iterator[list[Image.Image]]:
    """Five pictures of one colour each, which follows from the values; with [grow], grey before."""
    for step in range(3):
        progress((step, 3), desc="Drawing", unit="steps")
        # Gradio tells its clients of progress ten times a second at most.
        time.sleep(0.15)
        if "[grow]" in prompt:
            yield [Image.new("RGB", (64, 64), (127, 127, 60 * step))] * 5
            time.sleep(0.5)
    colour = (int(seed) % 256, int(guidance * 20), len(prompt) % 256)
    yield [Image.new("RGB", (64, 64), (*colour[:2], index)) for index in range(5)]


def build() -> Any:
    """The app, not yet served."""
    with gr.Blocks() as blocks:
        image, question = gr.Image(type="pil"), gr.Textbox()
        seed, top_p, temperature = gr.Number(precision=0), gr.Slider(0, 1), gr.Slider(0, 1)
        prompt, seed2 = gr.Textbox(), gr.Number(precision=0)
        guidance, temperature2 = gr.Slider(1, 10), gr.Slider(0, 1)
        ask, draw = gr.Button(), gr.Button()
        ask.click(
            multimodal_understanding, [image, question, seed, top_p, temperature], gr.Textbox()
        )
        draw.click(generate_image, [prompt, seed2, guidance, temperature2], gr.Gallery())
    return blocks


def _free_port() -> int:
    """Gradio does not take 0; by default it would take 7860, which others may want, too."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--concurrency", type=int, default=4)
    options.add_argument("--queue-size", type=int, default=64)
    options.add_argument("--max-file", type=int, default=2**25)
    said = options.parse_args()
    blocks = build()
    # Functions that wait run in threads, of which there are 40 if nothing else is said.
    blocks.queue(default_concurrency_limit=said.concurrency, max_size=said.queue_size).launch(
        server_name="127.0.0.1",
        server_port=_free_port(),
        max_threads=max(40, said.concurrency),
        max_file_size=said.max_file,
        prevent_thread_lock=True,
        quiet=True,
        _frontend=False,  # with it, Gradio gives up where its own page takes longer than 3 s
    )
    print(f"{READY}{blocks.local_url}", flush=True)  # noqa: T201 - this line is the interface
    sys.stdin.read()
    os._exit(0)  # Gradio has threads that would go on


if __name__ == "__main__":
    _main()
