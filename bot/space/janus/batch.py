"""All sequences that are being continued, and the step that continues them all by one token.

Rows of pictures and rows of answers lie in a cache each, without gaps: the rows in use are always
the first ones, so that a step reads them where they are. Whoever leaves is replaced by moving the
rows behind, once. On a GPU a step is a thousand small launches, so several steps are recorded as
one graph for each size of batch and replayed; then sizes are rounded up, and what fills them up
computes into rows that nobody reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from bot.space.janus.step import (
    Cache,
    LanguageModel,
    Part,
    choose_picture_tokens,
    choose_words,
    mask_of,
)

log = logging.getLogger(__name__)

Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Makes of a function that works on fixed tensors one that does the same again, only faster."""

_ROW_SIZES = (2, 4, 10, 20, 40, 80)
_ANSWER_SIZES = (0, 1, 2, 4, 8, 16)
_LENGTH_UNIT = 128


@dataclass(eq=False, slots=True)
class PictureRows:
    """Pictures that are drawn together.

    Attributes:
        count: of them.
        guidance: 1 needs no rows without the prompt.
        temperature: 0 takes the likeliest token.
        noise: draws (count, image_vocab) for the next token.
        position: of the token that goes in next.
        chosen: (count,) tokens that go in next.
        drawn: tokens of all pictures, step by step.
    """

    count: int
    guidance: float
    temperature: float
    noise: Callable[[], Tensor]
    position: int
    chosen: Tensor
    drawn: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.drawn = [self.chosen.tolist()]

    @property
    def rows(self) -> int:
        """Of the cache: with the prompt, then without it."""
        return self.count if self.guidance == 1 else 2 * self.count


@dataclass(eq=False, slots=True)
class AnswerRow:
    """An answer that is being written; attributes as of `PictureRows`, with the tokens `said`."""

    top_p: float
    temperature: float
    noise: Callable[[], Tensor]
    position: int
    chosen: Tensor
    said: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.said = self.chosen.tolist()


class _Size(NamedTuple):
    """Of one step: rows and pictures among them, answers, how far each cache is looked at."""

    rows: int
    pictures: int
    answers: int
    picture_length: int
    answer_length: int
    mask_pictures: bool
    mask_answers: bool


@dataclass(slots=True)
class _Inputs:
    """What a step reads and writes, at the largest size; a step uses the beginning of each.

    Attributes:
        tokens: (pictures,) that go in next.
        picture_of_row: (rows,) which of them goes into a row.
        conditional: (pictures,) the row with the prompt.
        unconditional: (pictures,) the row without it; the same one if there is none.
        guidance, temperature: (pictures,)
        positions: (rows,)
        noise: (steps, pictures, image_vocab)
        drawn: (steps, pictures) tokens that were chosen.
        words, word_positions, top_p, word_temperature, word_noise, spoken: likewise for answers.
    """

    tokens: Tensor
    picture_of_row: Tensor
    conditional: Tensor
    unconditional: Tensor
    guidance: Tensor
    temperature: Tensor
    positions: Tensor
    noise: Tensor
    drawn: Tensor
    words: Tensor
    word_positions: Tensor
    top_p: Tensor
    word_temperature: Tensor
    word_noise: Tensor
    spoken: Tensor


@dataclass(slots=True)
class Batch:
    """The sequences that are being continued.

    Attributes:
        model: continues them.
        picture_cache: for the rows of pictures.
        answer_cache: for answers; one row more than are continued may be in use, at the end, for a
            question that is being read.
        record: how a step becomes faster by being recorded; `None` if it does not.
        steps: that are recorded, and made, at once.
    """

    model: LanguageModel
    picture_cache: Cache
    answer_cache: Cache
    record: Record | None = None
    steps: int = 1
    pictures: list[PictureRows] = field(default_factory=list)
    answers: list[AnswerRow] = field(default_factory=list)
    _inputs: _Inputs = field(init=False)
    _recorded: dict[_Size, Callable[[], None]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        rows, answers, steps = self.picture_cache.rows, self.answer_cache.rows, self.steps
        whole = self.model.embedding.new_zeros
        self._inputs = _Inputs(
            tokens=whole(rows, dtype=torch.long),
            picture_of_row=whole(rows, dtype=torch.long),
            conditional=whole(rows, dtype=torch.long),
            unconditional=whole(rows, dtype=torch.long),
            guidance=whole(rows, dtype=torch.float32),
            temperature=whole(rows, dtype=torch.float32),
            positions=whole(rows, dtype=torch.long),
            noise=whole((steps, rows, self.model.shape.image_vocab), dtype=torch.float32) + 1,
            drawn=whole((steps, rows), dtype=torch.long),
            words=whole(answers, dtype=torch.long),
            word_positions=whole(answers, dtype=torch.long),
            top_p=whole(answers, dtype=torch.float32),
            word_temperature=whole(answers, dtype=torch.float32),
            word_noise=whole((steps, answers, self.model.shape.vocab), dtype=torch.float32) + 1,
            spoken=whole((steps, answers), dtype=torch.long),
        )

    @property
    def picture_rows(self) -> int:
        """Rows of the cache of pictures that are in use."""
        return sum(group.rows for group in self.pictures)

    def add_pictures(self, group: PictureRows, prompt: Sequence[Tensor]) -> None:
        """Let a group join; `prompt` is what `Cache.take` gave with the prompt, and without."""
        first = self.picture_rows
        for half, kept in enumerate(prompt[: group.rows // group.count]):
            begin = first + half * group.count
            self.picture_cache.put(slice(begin, begin + group.count), kept)
        self.pictures.append(group)
        self._arrange()

    def remove_pictures(self, group: PictureRows) -> None:
        """Let a group leave; the rows behind it move up."""
        first = sum(other.rows for other in self.pictures[: self.pictures.index(group)])
        order = [*range(first), *range(first + group.rows, self.picture_rows)]
        self.pictures.remove(group)
        length = max((other.position for other in self.pictures), default=0)
        self.picture_cache.move(order, length)
        self._arrange()

    def add_answer(self, answer: AnswerRow) -> None:
        """Let an answer join, whose question was read into the first row that is free."""
        self.answers.append(answer)
        self._arrange()

    def remove_answer(self, answer: AnswerRow, *, being_read: int = 0) -> None:
        """Let an answer leave.

        Args:
            answer: which.
            being_read: tokens of a question that are in the row behind the last answer.
        """
        place = self.answers.index(answer)
        count = len(self.answers) + (being_read > 0)
        self.answers.remove(answer)
        length = max([other.position for other in self.answers] + [being_read])
        self.answer_cache.move([*range(place), *range(place + 1, count)], length)
        self._arrange()

    def step(self) -> None:
        """Continue everything by `steps` tokens; there is at least one sequence."""
        for number in range(self.steps):
            self._draw_noise(number)
        if self.record is None:
            for number in range(self.steps):
                self._compute(self._exact_size(number), number)
        else:
            self._replay(self.record)
        drawn, spoken = self._inputs.drawn.tolist(), self._inputs.spoken.tolist()
        for group, part in self._with_slices():
            group.position += self.steps
            group.drawn.extend(step[part] for step in drawn)
            group.chosen = self._inputs.tokens[part].clone()
        for place, answer in enumerate(self.answers):
            answer.position += self.steps
            answer.said.extend(step[place] for step in spoken)
            answer.chosen = self._inputs.words[place : place + 1].clone()

    def _replay(self, record: Record) -> None:
        """Make all steps at once, recorded for this size of batch, the first time it is met."""
        size = self._rounded_size()
        if size not in self._recorded:
            try:
                self._recorded[size] = record(lambda: self._compute_all(size))
            except RuntimeError as error:
                log.warning("steps cannot be recorded any more (%s); drawing will be slow", error)
                self._arrange()
                self._compute_all(size)  # the noise for all of them is drawn
                self._recorded.clear()
                self.record = None
                return
            self._arrange()  # recording may have run it
        self._recorded[size]()

    def forget_recordings(self) -> None:
        """Give their memory back, and record no more: they do not work on this machine."""
        self._recorded.clear()
        self.record, self.steps = None, 1

    def _with_slices(self) -> Iterator[tuple[PictureRows, slice]]:
        first = 0
        for group in self.pictures:
            yield group, slice(first, first + group.count)
            first += group.count

    def _arrange(self) -> None:
        """Write down who is where; after somebody joined or left."""
        inputs, row = self._inputs, 0
        # What fills a size up looks at the first row and writes to the last position, where
        # nothing is that anybody reads.
        for unused in (inputs.conditional, inputs.unconditional, inputs.picture_of_row):
            unused.zero_()
        inputs.positions.fill_(self.picture_cache.positions - 1)
        inputs.word_positions.fill_(self.answer_cache.positions - 1)
        for group, part in self._with_slices():
            own = torch.arange(group.count, device=inputs.tokens.device)
            inputs.tokens[part] = group.chosen
            inputs.conditional[part] = row + own
            inputs.unconditional[part] = row + group.rows - group.count + own
            inputs.guidance[part], inputs.temperature[part] = group.guidance, group.temperature
            inputs.positions[row : row + group.rows] = group.position
            for half in range(row, row + group.rows, group.count):
                inputs.picture_of_row[half : half + group.count] = part.start + own
            row += group.rows
        for place, answer in enumerate(self.answers):
            inputs.words[place : place + 1] = answer.chosen
            inputs.word_positions[place] = answer.position
            inputs.top_p[place], inputs.word_temperature[place] = answer.top_p, answer.temperature

    def _draw_noise(self, number: int) -> None:
        for group, part in self._with_slices():
            self._inputs.noise[number, part] = group.noise()
        for place, answer in enumerate(self.answers):
            self._inputs.word_noise[number, place : place + 1] = answer.noise()

    def _exact_size(self, number: int) -> _Size:
        ends = {group.position + number + 1 for group in self.pictures}
        word_ends = {answer.position + number + 1 for answer in self.answers}
        return _Size(
            rows=self.picture_rows,
            pictures=sum(group.count for group in self.pictures),
            answers=len(self.answers),
            picture_length=max(ends, default=0),
            answer_length=max(word_ends, default=0),
            # Where all are equally far, nothing has to be hidden from anybody.
            mask_pictures=len(ends) > 1,
            mask_answers=len(word_ends) > 1,
        )

    def _rounded_size(self) -> _Size:
        size = self._exact_size(self.steps - 1)
        rows = _up(size.rows, (0, *_ROW_SIZES), self.picture_cache.rows)
        return _Size(
            rows=rows,
            pictures=rows,
            answers=_up(size.answers, _ANSWER_SIZES, self.answer_cache.rows),
            picture_length=_up_to_unit(size.picture_length, self.picture_cache.positions),
            answer_length=_up_to_unit(size.answer_length, self.answer_cache.positions),
            mask_pictures=True,
            mask_answers=True,
        )

    def _compute_all(self, size: _Size) -> None:
        for number in range(self.steps):
            self._compute(size, number)

    def _compute(self, size: _Size, number: int) -> None:
        """One step on the fixed tensors."""
        inputs, model, rows = self._inputs, self.model, size.rows
        parts, embedded = [], []
        ahead = inputs.positions[:rows]
        if rows:
            drawn = model.picture_head.embed(inputs.tokens[: size.pictures])
            embedded.append(drawn[inputs.picture_of_row[:rows]])
            parts.append(
                _part(self.picture_cache, ahead, size.picture_length, masked=size.mask_pictures)
            )
        if size.answers:
            embedded.append(model.embed(inputs.words[: size.answers]))
            own = inputs.word_positions[: size.answers]
            parts.append(
                _part(self.answer_cache, own, size.answer_length, masked=size.mask_answers)
            )
        hidden = model.step(torch.cat(embedded), parts)
        if rows:
            scores, own = model.picture_head.scores(hidden[:rows]), slice(size.pictures)
            chosen = choose_picture_tokens(
                scores[inputs.conditional[own]],
                scores[inputs.unconditional[own]],
                inputs.guidance[own],
                inputs.temperature[own],
                inputs.noise[number, own],
            )
            inputs.tokens[own] = chosen
            inputs.drawn[number, own] = chosen
            ahead.add_(1).clamp_(max=self.picture_cache.positions - 1)
        if size.answers:
            own = slice(size.answers)
            said = choose_words(
                model.text_head(hidden[rows:]).float(),
                inputs.top_p[own],
                inputs.word_temperature[own],
                inputs.word_noise[number, own],
            )
            inputs.words[own] = said
            inputs.spoken[number, own] = said
            inputs.word_positions[own].add_(1).clamp_(max=self.answer_cache.positions - 1)


def _part(cache: Cache, positions: Tensor, length: int, *, masked: bool) -> Part:
    dtype = cache.keys[0].dtype
    mask = mask_of(positions, length, dtype) if masked else None
    return Part(cache, slice(0, len(positions)), positions[:, None], length, mask)


def _up(count: int, sizes: Sequence[int], most: int) -> int:
    return min(most, next((size for size in sizes if size >= count), most))


def _up_to_unit(length: int, most: int) -> int:
    return min(most, -(-length // _LENGTH_UNIT) * _LENGTH_UNIT)


class CudaRecorder:
    """Records functions as CUDA graphs, which share the memory for what they work out meanwhile."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, compute: Callable[[], None]) -> Callable[[], None]:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries set themselves up in the first call
            compute()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            compute()
        replay: Callable[[], None] = graph.replay
        return replay
