"""The one loop that carries all requests on together, in a thread of its own.

The life of a request is a generator: it reads its prompt piece by piece, joins the batch, and
yields until the next step has been made. A turn of the loop is short, so that nobody waits for
anybody: a piece of each prompt, one step for all who joined. Whoever is not wanted any more is
closed between two turns, and gives its rows back.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from PIL import Image
from torch import Tensor

from bot.errors import BotError
from bot.space.engine import QUEUED, TOKENS, Pictures, Progress
from bot.space.janus.batch import AnswerRow, Batch, PictureRows
from bot.space.janus.pictures import PixelDrawer, generator, noise
from bot.space.janus.remembered import Remembered
from bot.space.janus.requests import Answer, Drawing, NoMemory, Request, Stopping
from bot.space.janus.step import Cache, choose_picture_tokens, choose_words
from bot.space.janus.waiting import Waiting

log = logging.getLogger(__name__)

PICTURES = 5
"""Of a drawing, as in the original demo."""
PREVIEW_SHARE = 0.03
"""Of a drawing's time that previews may take."""
_PROGRESS_SECONDS = 0.5

Life: TypeAlias = Generator[None, None, None]
"""What a request does, up to the next turn of the loop at each `yield`."""


@dataclass(slots=True)
class Pace:
    """How long things take here, in seconds; the newest measurements count most.

    Attributes:
        step: one token of everybody.
        pixel_row: one row of tokens of one picture, turned into pixels.
    """

    step: float
    pixel_row: float

    def add(self, seconds: float, steps: int) -> None:
        each = seconds / steps
        self.step = 0.9 * self.step + 0.1 * each


class Loop:
    """Carries requests on until it is closed.

    Args:
        batch: continues sequences; its model reads prompts.
        vision: looks at a picture.
        drawer: makes pixels of tokens.
        remembered: what was read of pictures.
        pace: how long things take here, as far as it is known.
        at_once: pictures that are drawn together, at most.
        piece: tokens of a prompt that are read in one turn.
    """

    def __init__(  # noqa: PLR0913 - the parts of a model
        self,
        batch: Batch,
        vision: Callable[[Tensor], Tensor],
        drawer: PixelDrawer,
        remembered: Remembered,
        *,
        pace: Pace,
        at_once: int = PICTURES,
        piece: int = 96,
    ) -> None:
        self._batch, self._model = batch, batch.model
        self._vision, self._drawer, self._remembered = vision, drawer, remembered
        self._at_once, self._piece = at_once, piece
        self._drawings: Waiting[Drawing] = Waiting(lambda request: request.caller.address)
        self._answers: Waiting[Answer] = Waiting(lambda request: request.caller.address)
        self._lives: dict[Request, Life] = {}
        self._being_read: int | None = None  # tokens of a question in the row behind all answers
        self._ranks: dict[Request, tuple[int, int]] = {}
        self._pace = pace
        self._new: deque[Request] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="janus", daemon=True)
        self._thread.start()

    @property
    def device(self) -> torch.device:
        return self._model.embedding.device

    @property
    def picture_room(self) -> int:
        """Tokens that a prompt and a picture may have together."""
        return self._batch.picture_cache.positions - self._batch.steps

    @property
    def answer_room(self) -> int:
        """Tokens that a question, with its picture, and an answer may have together."""
        return self._batch.answer_cache.positions - self._batch.steps

    def submit(self, request: Request) -> None:
        """Take a request; everything else it is told. From any thread.

        Raises:
            Stopping: the loop is closed, or has broken down.
        """
        with self._changed:
            if self._is_closing or not self._thread.is_alive():
                raise Stopping("The Space is stopping.")
            self._new.append(request)
            self._changed.notify()

    def close(self) -> None:
        """End all requests and the thread; waits for the turn that is being made."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            with torch.inference_mode():
                while not self._is_closing:
                    self._wait_for_work()
                    self._let_go()
                    self._let_join()
                    self._turn()
        finally:
            for life in self._lives.values():
                life.close()
            waiting = [*self._new, *self._drawings, *self._answers]
            for request in (*self._lives, *waiting):
                request.send(Stopping("The Space is stopping."))
            self._remembered.clear()

    def _wait_for_work(self) -> None:
        with self._changed:
            while not (self._new or self._is_closing or self._is_busy):
                self._changed.wait(self._remembered.expire())
            while self._new:
                request = self._new.popleft()
                if isinstance(request, Drawing):
                    self._drawings.add(request)
                elif isinstance(request, Answer):
                    self._answers.add(request)

    @property
    def _is_busy(self) -> bool:
        return bool(self._lives or len(self._drawings) or len(self._answers))

    def _let_go(self) -> None:
        """Close the lives of those who are not wanted any more."""
        for request in [request for request in self._lives if request.is_cancelled]:
            self._lives.pop(request).close()
        self._drawings.discard(lambda request: request.is_cancelled)
        self._answers.discard(lambda request: request.is_cancelled)

    def _let_join(self) -> None:
        """Begin the lives of those for whom there is room, and tell the others their place."""
        rows = self._batch.picture_cache.rows
        while len(self._drawings) and rows - self._rows_taken >= self._rows_of(
            next(iter(self._drawings))
        ):
            drawing = self._drawings.take()
            self._lives[drawing] = self._draw(drawing)
        answering = sum(isinstance(request, Answer) for request in self._lives)
        # One question is read at a time, into the row behind all answers.
        if (
            len(self._answers)
            and self._being_read is None
            and answering < self._batch.answer_cache.rows
        ):
            answer = self._answers.take()
            self._being_read = 0
            self._lives[answer] = self._answer(answer)
        before, self._ranks = self._ranks, {}
        for queue in (list(self._drawings), list(self._answers)):
            for rank, request in enumerate(queue):
                self._ranks[request] = (rank, len(queue))
                if before.get(request) != self._ranks[request]:
                    request.send(Progress(rank, len(queue), "Waiting", QUEUED))

    def _rows_of(self, drawing: Drawing) -> int:
        return self._at_once * (1 if drawing.guidance == 1 else 2)

    @property
    def _rows_taken(self) -> int:
        return sum(
            self._rows_of(request) for request in self._lives if isinstance(request, Drawing)
        )

    def _turn(self) -> None:
        """Carry everybody on: some have work of their own, the others wait for the step."""
        began = time.perf_counter()
        stepped = bool(self._batch.pictures or self._batch.answers)
        if stepped:
            try:
                self._batch.step()
            except RuntimeError as error:
                self._failed(error)
                return
        for request in list(self._lives):
            self._carry_on(request, next)
        if stepped:
            self._pace.add(time.perf_counter() - began, self._batch.steps)

    def _carry_on(self, request: Request, how: Callable[[Life], None]) -> None:
        try:
            how(self._lives[request])
        except StopIteration:
            del self._lives[request]
            request.send(None)
        except BotError as error:
            del self._lives[request]
            request.send(error)
        except RuntimeError as error:  # what torch raises, whatever it is about
            del self._lives[request]
            log.exception("a request failed", exc_info=error)
            request.send(BotError(f"The model could not do that ({str(error).splitlines()[0]})."))

    def _failed(self, error: RuntimeError) -> None:
        """A step broke off. For want of memory, the youngest drawing tries again with less."""
        concerned: Sequence[Request] = list(self._lives)
        drawings = [request for request in concerned if isinstance(request, Drawing)]
        if _is_want_of_memory(error) and drawings:
            concerned = drawings[-1:]
        for request in concerned:
            self._carry_on(request, lambda life: life.throw(error))

    @property
    def _tokens_being_read(self) -> int:
        return self._being_read or 0

    # The life of a drawing.

    def _draw(self, drawing: Drawing) -> Life:
        at_once, finished = self._at_once, list[Image.Image]()
        while len(finished) < PICTURES:
            first = len(finished)
            count = min(at_once, PICTURES - first)
            try:
                drawn = yield from self._draw_group(drawing, finished, count)
                for tokens in zip(*drawn, strict=True):
                    drawing.send(self._finishing(len(finished), first + count))
                    finished.append(self._drawer.draw(self._tokens(tokens)))
                    yield
            except RuntimeError as error:
                if not _is_want_of_memory(error):
                    raise
                if count == 1:
                    raise NoMemory(
                        "There is not enough memory for even one picture now."
                    ) from error
                at_once = count // 2
                log.warning(
                    "out of memory with %d pictures at a time; going on with %d", count, at_once
                )
        drawing.send(Pictures(tuple(finished)))

    def _draw_group(
        self, drawing: Drawing, finished: Sequence[Image.Image], count: int
    ) -> Generator[None, None, list[list[int]]]:
        """Draw the next `count` pictures; returns their tokens, step by step."""
        prompts = [drawing.prompt] if drawing.guidance == 1 else [drawing.prompt, drawing.no_prompt]
        cache = self._model.cache(len(prompts), len(drawing.prompt))
        inputs = self._model.embed(torch.stack([self._tokens(prompt) for prompt in prompts]))
        hidden = yield from self._read(drawing, inputs, cache)
        # The same noise for a picture, whoever is drawn beside it.
        own, first = generator(drawing.seed, self.device), len(finished)
        vocab = self._model.shape.image_vocab

        def own_noise() -> Tensor:
            return noise(own, PICTURES, vocab)[first : first + count]

        scores = self._model.picture_head.scores(hidden).repeat_interleave(count, 0)
        chosen = choose_picture_tokens(
            scores[:count],
            scores[-count:],
            torch.full((count,), drawing.guidance, device=self.device),
            torch.full((count,), drawing.temperature, device=self.device),
            own_noise(),
        )
        group = PictureRows(
            count, drawing.guidance, drawing.temperature, own_noise, len(drawing.prompt), chosen
        )
        self._batch.add_pictures(
            group, [cache.take(half, cache.positions) for half in range(len(prompts))]
        )
        del cache
        try:
            yield from self._watch(drawing, group, finished)
        finally:
            self._batch.remove_pictures(group)
        return group.drawn[: self._model.shape.image_tokens]

    def _watch(self, drawing: Drawing, group: PictureRows, finished: Sequence[Image.Image]) -> Life:
        """Tell how far a group is, and show what is drawn of it, until it is complete."""
        total, grid = self._model.shape.image_tokens, self._model.shape.grid
        budget = total * self._pace.step * PREVIEW_SHARE
        marks = previews(budget, self._pace.pixel_row, grid, group.count)
        begun, told = time.perf_counter(), 0.0
        while len(group.drawn) < total:
            yield
            now, done = time.perf_counter(), min(len(group.drawn), total)
            if now - told >= _PROGRESS_SECONDS or done == total:
                told = now
                speed = group.count * done / (now - begun)
                drawing.send(self._progress(len(finished), group.count, done, speed))
            reached = [mark for mark in marks if mark <= done // grid]
            if reached and done < total:
                count = max(marks.pop(mark) for mark in reached)
                shown = self._previews(group, done // grid, count)
                drawing.send(Pictures((*finished, *shown)))

    def _progress(self, first: int, count: int, done: int, speed: float) -> Progress:
        """Tokens of all five pictures; of `count` from the `first` on, `done` each are drawn."""
        each = self._model.shape.image_tokens
        left = in_words(self._seconds_left(first, first + count, each - done))
        what = f"Drawing, {speed:.0f} tokens/s, about {left} left"
        return Progress(first * each + done * count, PICTURES * each, what, TOKENS)

    def _finishing(self, place: int, drawn: int) -> Progress:
        """The tokens of `drawn` pictures are there, and the pixels of one of them are drawn now."""
        each = self._model.shape.image_tokens
        left = in_words(self._seconds_left(place, drawn, 0))
        what = f"Finishing picture {place + 1} of {PICTURES}, about {left} left"
        return Progress(drawn * each, PICTURES * each, what, TOKENS)

    def _seconds_left(self, finished: int, drawn: int, steps: int) -> float:
        """For `steps`, for the groups that are not begun, and for all pixels that are missing."""
        groups = -(-(PICTURES - drawn) // self._at_once)
        steps += groups * self._model.shape.image_tokens
        rows = (PICTURES - finished) * self._model.shape.grid
        return steps * self._pace.step + rows * self._pace.pixel_row

    def _previews(self, group: PictureRows, rows: int, count: int) -> list[Image.Image]:
        begun = time.perf_counter()
        length = rows * self._model.shape.grid
        columns = list(zip(*group.drawn[:length], strict=True))[:count]
        shown = [self._drawer.draw(self._tokens(tokens)) for tokens in columns]
        self._pace.pixel_row = (time.perf_counter() - begun) / (rows * count)
        return shown

    # The life of an answer.

    def _answer(self, answer: Answer) -> Life:
        batch, model = self._batch, self._model
        try:
            hidden, length = yield from self._read_question(answer)
            own = generator(answer.seed, self.device)

            def own_noise() -> Tensor:
                return noise(own, 1, model.shape.vocab)

            chosen = choose_words(
                model.text_head(hidden).float(),
                torch.full((1,), answer.top_p, device=self.device),
                torch.full((1,), answer.temperature, device=self.device),
                own_noise(),
            )
            row = AnswerRow(answer.top_p, answer.temperature, own_noise, length, chosen)
            batch.add_answer(row)
        finally:
            self._being_read = None
        said = 0
        try:
            while True:
                new = list(
                    itertools.takewhile(lambda word: word not in answer.ends, row.said[said:])
                )
                new = new[: answer.most - said]
                if new:
                    answer.send(new)
                if said + len(new) < len(row.said) or said + len(new) >= answer.most:
                    return
                said += len(new)
                yield
        finally:
            batch.remove_answer(row, being_read=self._tokens_being_read)

    def _read_question(self, answer: Answer) -> Generator[None, None, tuple[Tensor, int]]:
        """Read everything up to the answer: what its last token leads to, and the length."""
        before = self._model.embed(self._tokens(answer.before)[None])
        kept = None if answer.key is None else self._remembered.get(answer.key)
        if answer.pixels is None:
            hidden = yield from self._read(answer, before)
            return hidden, before.shape[1]
        if kept is None:
            features = self._vision(answer.pixels)
            yield
            begin = torch.cat((before, features.to(before)), dim=1)
            yield from self._read(answer, begin)
            length = begin.shape[1]
            if answer.key is not None:
                row = len(self._batch.answers)
                self._remembered.put(answer.key, self._batch.answer_cache.take(row, length))
        else:
            length = kept.shape[-2]
            row = len(self._batch.answers)
            self._batch.answer_cache.put(slice(row, row + 1), kept)
            self._being_read = length
        after = self._model.embed(self._tokens(answer.after)[None])
        hidden = yield from self._read(answer, after, begin=length)
        return hidden, length + after.shape[1]

    def _read(
        self, request: Request, inputs: Tensor, cache: Cache | None = None, begin: int = 0
    ) -> Generator[None, None, Tensor]:
        """Read (rows, tokens, hidden) in pieces, into a cache or the row behind all answers."""
        hidden, total = inputs[:, -1], inputs.shape[1]
        for first in range(0, total, self._piece):
            piece = inputs[:, first : first + self._piece]
            if cache is None:
                row = len(self._batch.answers)
                hidden = self._model.read(piece, self._batch.answer_cache, row, begin + first)
                self._being_read = begin + first + piece.shape[1]
            else:
                hidden = self._model.read(piece, cache, 0, first)
            if total > self._piece:  # a short prompt is read before anybody could see that
                request.send(Progress(first + piece.shape[1], total, "Reading", TOKENS))
            yield
        return hidden

    def _tokens(self, tokens: Sequence[int]) -> Tensor:
        return torch.tensor(tokens, dtype=torch.long, device=self.device)


def previews(budget: float, pixel_row: float, grid: int, count: int) -> dict[int, int]:
    """When to show how many pictures of a group.

    Args:
        budget: seconds that this may take.
        pixel_row: seconds for one row of one picture.
        grid: rows of a picture.
        count: pictures of the group.

    Returns:
        Rows that must be complete, and how many pictures are shown then.
    """
    if pixel_row <= 0:
        return {}
    for parts in (4, 3, 2):
        marks = [rows for part in range(1, parts) if (rows := part * grid // parts)]
        affordable = int(budget / (pixel_row * sum(marks))) if marks else 0
        if affordable:
            return dict.fromkeys(marks, min(count, affordable))
    return {}


def in_words(seconds: float) -> str:
    """A rough time for people."""
    if seconds < 100:  # noqa: PLR2004 - beyond that, minutes say as much
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


def _is_want_of_memory(error: RuntimeError) -> bool:
    # A processor's allocator has no error of its own.
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
