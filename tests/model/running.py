"""A tiny model with the engine's loop on it, and what its requests were told."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import JanusForConditionalGeneration

from bot.errors import BotError
from bot.space.engine import Caller
from bot.space.janus.batch import Batch, Record
from bot.space.janus.loop import Loop, Pace
from bot.space.janus.pictures import PictureReader, PixelDrawer
from bot.space.janus.prompts import Prompts
from bot.space.janus.remembered import Key, Remembered, key_of
from bot.space.janus.requests import Answer, Drawing, Event, Request
from bot.space.janus.shape import Shape, read_shape
from bot.space.janus.weights import Weights, load
from tests.model import tiny

END_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, repr=False)
class TinyModel:
    """The same weights twice: as transformers' model, and as the engine loads them."""

    folder: Path
    reference: JanusForConditionalGeneration
    shape: Shape
    weights: Weights
    prompts: Prompts
    reader: PictureReader

    @classmethod
    def build(cls, folder: Path, **options: Any) -> TinyModel:
        reference = tiny.build(folder, **options)
        shape = read_shape(folder)
        weights = load(folder, shape, "float32", torch.device("cpu"))
        return cls(folder, reference, shape, weights, Prompts(folder), PictureReader(folder, shape))

    @property
    def pad(self) -> int:
        return int(self.reference.generation_config.pad_token_id)


class TokenDrawer(PixelDrawer):
    """Draws as the real one does, and remembers of which tokens."""

    def __init__(self, vq: torch.nn.Module, shape: Shape) -> None:
        super().__init__(vq, shape)
        self.tokens: list[list[int]] = []

    def draw(self, tokens: Tensor) -> Image.Image:
        self.tokens.append(tokens.tolist())
        return super().draw(tokens)


@dataclass
class Told:
    """A request, and everything that it was told."""

    request: Request
    events: queue.SimpleQueue[Event]
    all: list[Event] = field(default_factory=list)

    def __iter__(self) -> Iterator[Event]:
        """What is told until the end, which is raised if it is a failure."""
        while (event := self.events.get(timeout=END_TIMEOUT_SECONDS)) is not None:
            self.all.append(event)
            if isinstance(event, BotError):
                raise event
            yield event

    def words(self) -> list[int]:
        """All tokens of an answer."""
        return [token for event in self if isinstance(event, list) for token in event]

    def last(self) -> Any:
        """The last that was told before the end."""
        *_, event = self
        return event

    def cancel(self) -> None:
        self.request.is_cancelled = True


@dataclass
class Bench:
    """A running loop."""

    tiny: TinyModel
    loop: Loop
    batch: Batch
    drawer: TokenDrawer
    remembered: Remembered
    ended: list[Request] = field(default_factory=list)
    """In the order in which they ended."""

    def _submitted(self, request_with: Callable[[Callable[[Event], None]], Request]) -> Told:
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()

        def send(event: Event) -> None:
            if event is None or isinstance(event, BotError):
                self.ended.append(request)
            events.put(event)

        request = request_with(send)
        self.loop.submit(request)
        return Told(request, events)

    def draw(
        self,
        prompt: str = "a red fox",
        *,
        seed: int = 1,
        guidance: float = 5.0,
        temperature: float = 1.0,
        caller: str = "",
    ) -> Told:
        with_prompt, without = self.tiny.prompts.drawing(prompt, 200)
        return self._submitted(
            lambda send: Drawing(
                Caller(caller), seed, temperature, send, with_prompt, without, guidance
            )
        )

    def ask(
        self,
        question: str = "what colour is it",
        image: Image.Image | None = None,
        *,
        seed: int = 1,
        top_p: float = 0.95,
        temperature: float = 0.0,
        most: int = 24,
        scope: str = "",
        caller: str = "",
    ) -> Told:
        before, after = self.tiny.prompts.question(question, 200, picture=image is not None)
        pixels: Tensor | None = None
        key: Key | None = None
        if image is not None:
            pixels, key = self.tiny.reader.pixels(image), key_of(scope, image)
        ends = frozenset({self.tiny.prompts.end})
        return self._submitted(
            lambda send: Answer(
                Caller(caller, scope),
                seed,
                temperature,
                send,
                before=before,
                pixels=pixels,
                after=after,
                key=key,
                top_p=top_p,
                most=most,
                ends=ends,
            )
        )

    def drawn(self) -> list[list[int]]:
        """Tokens of all whole pictures that were drawn, in order."""
        whole = self.tiny.shape.image_tokens
        return [tokens for tokens in self.drawer.tokens if len(tokens) == whole]


@contextlib.contextmanager
def bench(
    model: TinyModel,
    *,
    rows: int = 20,
    answers: int = 3,
    at_once: int = 5,
    piece: int = 96,
    record: Record | None = None,
    steps: int = 1,
    remembered: int = 10**8,
    batch: type[Batch] = Batch,
) -> Iterator[Bench]:
    """A loop on the tiny model, closed at the end."""
    language = model.weights.language
    caches = language.cache(rows, 300), language.cache(answers, 600)
    with torch.inference_mode():
        own = batch(language, *caches, record, steps)
    drawer = TokenDrawer(model.weights.pixels, model.shape)
    kept = Remembered(remembered)
    loop = Loop(
        own,
        model.weights.vision,
        drawer,
        kept,
        pace=Pace(0.01, 0.001),
        at_once=at_once,
        piece=piece,
    )
    try:
        yield Bench(model, loop, own, drawer, kept)
    finally:
        loop.close()
        assert threading.active_count() < 50


def together(told: Sequence[Told]) -> None:
    """Wait for the end of all of them."""
    for each in told:
        for _ in each:
            pass
