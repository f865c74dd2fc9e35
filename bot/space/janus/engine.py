"""Janus-Pro behind the Space's two functions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import torch
from PIL import Image

from bot.errors import BotError
from bot.space.engine import STARTING, Answering, Caller, Drawing, Pictures, Progress
from bot.space.janus import requests
from bot.space.janus.batch import Batch, CudaRecorder, PictureRows
from bot.space.janus.loop import Loop, Pace
from bot.space.janus.pictures import PictureReader, PixelDrawer
from bot.space.janus.prompts import Prompts
from bot.space.janus.remembered import Remembered, key_of
from bot.space.janus.requests import Event, Request
from bot.space.janus.shape import Shape, read_shape
from bot.space.janus.weights import load as load_weights

log = logging.getLogger(__name__)

ANSWER_TOKENS = 512
"""Of an answer at most, as in the original demo."""
PROMPT_TOKENS = 2900
"""Of what a person wrote, with the template; the bot itself cuts its questions to 2,800."""
_STEPS_RECORDED = 4
_CHECK_PROMPT, _CHECK_STEPS, _CHECK_TOLERANCE = 8, 8, 2e-2
_PIECES = {"cpu": 96}
_PIECE_ELSEWHERE = 1024
"""Tokens of a prompt that are read at a time: about as long as a few steps."""


Send: TypeAlias = Callable[[Event], None]


class Plan(Protocol):
    """What of a plan the engine needs; see `bot.space.janus.plan`."""

    @property
    def device(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def pictures(self) -> int: ...
    @property
    def drawing_rows(self) -> int: ...
    @property
    def picture_positions(self) -> int: ...
    @property
    def answer_rows(self) -> int: ...
    @property
    def answer_positions(self) -> int: ...
    @property
    def remembered_bytes(self) -> int: ...


def load(folder: Path, plan: Plan, report: Callable[[Progress], None]) -> Janus:
    """Read a model and get it going; takes from seconds to minutes.

    Args:
        folder: the model's files.
        plan: where and how.
        report: told how far it is.

    Raises:
        ModelUnusable: the files are not those of a model, or not whole.
    """
    torch.set_grad_enabled(False)
    shape, device = read_shape(folder), torch.device(plan.device)
    prompts, reader = Prompts(folder), PictureReader(folder, shape)

    def told(done: int, total: int) -> None:
        report(Progress(done, total, f"Loading the model, {100 * done // total} %", STARTING))

    weights = load_weights(folder, shape, plan.dtype, device, told)
    model, choice = weights.language, weights.choice
    log.info("matrix products: %s, off by %.1e at most", choice.form.__name__, choice.error)
    drawer = PixelDrawer(weights.pixels, shape)
    with torch.inference_mode():
        batch = Batch(
            model,
            model.cache(plan.drawing_rows, plan.picture_positions),
            model.cache(plan.answer_rows, plan.answer_positions),
            CudaRecorder() if device.type == "cuda" else None,
            _STEPS_RECORDED if device.type == "cuda" else 1,
        )
        pace = Pace(checked_step(batch, plan.pictures), _pixel_row(drawer, shape))
    vision = weights.vision
    weight = next(vision.parameters())
    loop = Loop(
        batch,
        lambda pixels: vision(pixels.to(weight)),
        drawer,
        Remembered(plan.remembered_bytes),
        pace=pace,
        at_once=plan.pictures,
        piece=_PIECES.get(device.type, _PIECE_ELSEWHERE),
    )
    return Janus(loop, prompts, reader, shape.image_tokens)


class Janus:
    """Implements `bot.space.engine.Engine`.

    Args:
        loop: carries requests on.
        prompts: makes tokens of texts.
        reader: makes values of pictures.
        image_tokens: of a picture.
    """

    def __init__(
        self, loop: Loop, prompts: Prompts, reader: PictureReader, image_tokens: int
    ) -> None:
        self._loop, self._prompts, self._reader = loop, prompts, reader
        self._image_tokens = image_tokens

    def close(self) -> None:
        """End everything that runs; waits for the step that is being made."""
        self._loop.close()

    async def draw(
        self, prompt: str, *, seed: int, guidance: float, temperature: float, caller: Caller
    ) -> Drawing:
        """Draw; as `bot.space.engine.Engine` says."""
        most = min(self._loop.picture_room - self._image_tokens, PROMPT_TOKENS)
        with_prompt, without = self._prompts.drawing(prompt, most)

        def request(send: Send) -> Request:
            return requests.Drawing(
                caller, seed, temperature, send, with_prompt, without, float(guidance)
            )

        async with contextlib.aclosing(self._followed(request)) as events:
            async for event in events:
                if isinstance(event, (Progress, Pictures)):
                    yield event

    async def describe(
        self,
        image: Image.Image | None,
        question: str,
        *,
        seed: int,
        top_p: float,
        temperature: float,
        caller: Caller,
    ) -> Answering:
        """Answer; as `bot.space.engine.Engine` says. Without a picture it is plain chat."""
        room = self._loop.answer_room - ANSWER_TOKENS - self._image_tokens
        before, after = self._prompts.question(
            question, min(room, PROMPT_TOKENS), picture=image is not None
        )
        pixels, key = None, None
        if image is not None:
            pixels = await asyncio.to_thread(self._reader.pixels, image)
            key = await asyncio.to_thread(key_of, caller.scope, image)

        def request(send: Send) -> Request:
            ends = frozenset({self._prompts.end})
            return requests.Answer(
                *(caller, seed, temperature, send, before, pixels, after, key, top_p),
                ANSWER_TOKENS,
                ends,
            )

        tokens, said = list[int](), ""
        async with contextlib.aclosing(self._followed(request)) as events:
            async for event in events:
                if isinstance(event, Progress):
                    yield event
                elif isinstance(event, list):
                    tokens += event
                    text = self._prompts.text(tokens)
                    # A letter may be made of several tokens; its first ones are no text yet.
                    if len(text) > len(said) and not text.endswith("\ufffd"):
                        yield text[len(said) :]
                        said = text
        if rest := self._prompts.text(tokens)[len(said) :]:
            yield rest

    async def _followed(
        self, request_with: Callable[[Send], Request]
    ) -> AsyncGenerator[Event, None]:
        """Everything that a request is told; when this is closed, the request is let go."""
        events: asyncio.Queue[Event] = asyncio.Queue()
        here = asyncio.get_running_loop()

        def send(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # closed: nobody listens any more
                here.call_soon_threadsafe(events.put_nowait, event)

        request = request_with(send)
        self._loop.submit(request)
        try:
            while (event := await events.get()) is not None:
                if isinstance(event, BotError):
                    raise event
                yield event
        finally:
            request.is_cancelled = True


def checked_step(batch: Batch, pictures: int) -> float:
    """Seconds of one step with so many pictures; recorded steps that are not right are given up.

    Both ways draw the same likeliest tokens of the same prompt, and what every layer wrote down
    meanwhile must agree. Hardware that nobody has tested draws slowly then, and never wrongly.
    """
    record, steps = batch.record, batch.steps
    batch.record = None
    seconds, tokens, written = _likeliest(batch, pictures)
    if record is None:
        return seconds
    batch.record = record
    try:
        _likeliest(batch, pictures)  # records
        seconds_recorded, tokens_recorded, written_recorded = _likeliest(batch, pictures)
    except RuntimeError as error:
        log.warning("steps cannot be recorded here (%s); drawing will be slow", error)
        batch.forget_recordings()
        return seconds
    off = float((written - written_recorded).abs().max() / written.abs().max())
    if tokens != tokens_recorded or not off < _CHECK_TOLERANCE:
        log.warning("recorded steps differ from plain ones by %.1e; drawing will be slow", off)
        batch.forget_recordings()
        return seconds
    log.info("%d steps at once are recorded: %.1f times as fast", steps, seconds / seconds_recorded)
    return seconds_recorded


def _likeliest(batch: Batch, pictures: int) -> tuple[float, list[list[int]], torch.Tensor]:
    """Draw some likeliest tokens: seconds of a step, the tokens, and what all layers wrote."""
    model = batch.model
    cache = model.cache(2, _CHECK_PROMPT)
    words = torch.arange(2 * _CHECK_PROMPT, device=model.embedding.device) % model.shape.vocab
    model.read(model.embed(words.view(2, -1)), cache, 0, 0)
    like = model.embedding.new_ones((), dtype=torch.float32)
    noise = like.expand(pictures, model.shape.image_vocab)
    group = PictureRows(
        pictures, 5.0, 0.0, lambda: noise, _CHECK_PROMPT, words[:pictures] % model.shape.image_vocab
    )
    batch.add_pictures(group, [cache.take(row, _CHECK_PROMPT) for row in range(2)])
    try:
        begun = time.perf_counter()
        while len(group.drawn) <= _CHECK_STEPS:
            batch.step()
        seconds = (time.perf_counter() - begun) / (len(group.drawn) - 1)
        return seconds, group.drawn, batch.picture_cache.take(0, group.position).float()
    finally:
        batch.remove_pictures(group)


def _pixel_row(drawer: PixelDrawer, shape: Shape) -> float:
    """Seconds for one row of tokens of a picture, turned into pixels."""
    rows = max(1, shape.grid // 4)
    tokens = torch.zeros(rows * shape.grid, dtype=torch.long)
    begun = time.perf_counter()
    drawer.draw(tokens)
    return (time.perf_counter() - begun) / rows
