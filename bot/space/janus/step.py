"""The language model's own step: many sequences at once, each at its own position.

Llama as in transformers (RMS norm, rotary positions, grouped attention, SwiGLU), written out for
serving: keys and values have a place of their own in memory that never moves, the three matrices of
attention and the two of the feed-forward part are one each, and the choice of the next token is
part of the step. The same code runs one step at a time on a processor and inside a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from bot.space.janus.products import Product
from bot.space.janus.shape import Shape

TOP_K = 50
"""Of the words of an answer; what the reference leaves at its library's default. The tokens of a
picture are chosen among all."""


class Cache:
    """Keys and values of `rows` sequences of at most `positions` tokens.

    All memory is taken at once. It begins as zeros: what a mask hides is still multiplied, and must
    be a number.
    """

    def __init__(self, shape: Shape, rows: int, positions: int, like: Tensor) -> None:
        size = (rows, shape.kv_heads, positions, shape.head_dim)
        self.keys = [like.new_zeros(size) for _ in range(shape.layers)]
        self.values = [like.new_zeros(size) for _ in range(shape.layers)]
        self.rows, self.positions = rows, positions

    def take(self, row: int, length: int) -> Tensor:
        """A copy of the first `length` positions of a row: (layers, 2, kv_heads, length, dim)."""
        pairs = zip(self.keys, self.values, strict=True)
        return torch.stack(
            [torch.stack((k[row, :, :length], v[row, :, :length])) for k, v in pairs]
        )

    def put(self, row: slice, kept: Tensor) -> None:
        """Write what `take` gave into the beginning of each row of a slice."""
        length = kept.shape[-2]
        for layer, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
            keys[row, :, :length] = kept[layer, 0]
            values[row, :, :length] = kept[layer, 1]

    def move(self, sources: Sequence[int], lengths: int) -> None:
        """Make row `i` what row `sources[i]` was, for the first `lengths` positions."""
        moved = [(to, source) for to, source in enumerate(sources) if to != source]
        if moved:
            targets, origins = (list(column) for column in zip(*moved, strict=True))
            for part in (*self.keys, *self.values):
                part[targets, :, :lengths] = part[origins, :, :lengths]


class Part(NamedTuple):
    """Rows of one cache that take part in a pass.

    Attributes:
        cache: where their keys and values are.
        rows: which of its rows, one behind the other.
        positions: (rows, tokens) of the tokens that go in.
        length: of the cache that is looked at; no position reaches it.
        mask: (rows, 1, tokens, length) to add to the scores; `None` where all sequences are full.
    """

    cache: Cache
    rows: slice
    positions: Tensor
    length: int
    mask: Tensor | None


@dataclass(frozen=True, slots=True)
class Layer:
    """Weights of one layer; `qkv` and `gate_up` are several matrices below each other."""

    attention_norm: Tensor
    qkv: Product
    out: Product
    feed_norm: Tensor
    gate_up: Product
    down: Product


@dataclass(frozen=True, slots=True)
class PictureHead:
    """What chooses the next picture token, and what makes an input of the one that was chosen."""

    inner: Product
    inner_bias: Tensor
    outer: Product
    outer_bias: Tensor
    embedding: Tensor
    align: torch.nn.Module

    def scores(self, hidden: Tensor) -> Tensor:
        """(rows, image_vocab) in float32."""
        inside = functional.gelu(self.inner(hidden) + self.inner_bias)
        return (self.outer(inside) + self.outer_bias).float()

    def embed(self, tokens: Tensor) -> Tensor:
        """(count,) to (count, hidden)."""
        embedded: Tensor = self.align(functional.embedding(tokens, self.embedding))
        return embedded


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """Weights, and the passes through them. All tensors are on one device."""

    shape: Shape
    embedding: Tensor
    layers: Sequence[Layer]
    norm: Tensor
    text_head: Product
    picture_head: PictureHead
    rotations: tuple[Tensor, Tensor]

    def cache(self, rows: int, positions: int) -> Cache:
        """An empty one; a GPU's attention wants masks that are multiples of 8 long."""
        positions = -(-positions // 8) * 8
        return Cache(self.shape, rows, positions, self.embedding)

    def embed(self, tokens: Tensor) -> Tensor:
        """Text tokens to inputs, one more dimension."""
        return functional.embedding(tokens, self.embedding)

    def read(self, inputs: Tensor, cache: Cache, row: int, begin: int) -> Tensor:
        """Read a piece of a prompt into the cache.

        Args:
            inputs: (rows, tokens, hidden), embedded.
            cache: takes them in from row `row` on.
            row: the first row.
            begin: position of the first token; what is before it is in the cache already.

        Returns:
            (rows, hidden): what the last token leads to, normalised.
        """
        rows, count, _ = inputs.shape
        positions = torch.arange(begin, begin + count, device=inputs.device).expand(rows, count)
        mask = None
        if begin:
            seen = torch.arange(begin + count, device=inputs.device) <= positions[:1, :, None]
            mask = _as_scores(seen, inputs.dtype)[:, None]
        part = Part(cache, slice(row, row + rows), positions, begin + count, mask)
        return self._pass(inputs, [part])[:, -1]

    def step(self, inputs: Tensor, parts: Sequence[Part]) -> Tensor:
        """One token for each row of all parts: (rows, hidden) in and out, normalised."""
        return self._pass(inputs[:, None], parts)[:, 0]

    def _pass(self, x: Tensor, parts: Sequence[Part]) -> Tensor:
        shape, epsilon = self.shape, self.shape.norm_epsilon
        positions = torch.cat([part.positions for part in parts])
        cos, sin = (table[positions][:, :, None].to(x.dtype) for table in self.rotations)
        index = [_index(part) for part in parts]
        for number, layer in enumerate(self.layers):
            normed = functional.rms_norm(x, (shape.hidden,), layer.attention_norm, epsilon)
            heads = layer.qkv(normed).unflatten(-1, (-1, shape.head_dim))
            turned = heads[:, :, : shape.heads + shape.kv_heads]
            turned = turned * cos + _half_turned(turned) * sin
            queries, keys = turned.split((shape.heads, shape.kv_heads), dim=2)
            values = heads[:, :, shape.heads + shape.kv_heads :]
            seen, first = [], 0
            for part, place in zip(parts, index, strict=True):
                rows = slice(first, first + part.positions.shape[0])
                first = rows.stop
                part.cache.keys[number][place] = keys[rows]
                part.cache.values[number][place] = values[rows]
                seen.append(_attend(queries[rows], part, number))
            x = x + layer.out(seen[0] if len(seen) == 1 else torch.cat(seen))
            normed = functional.rms_norm(x, (shape.hidden,), layer.feed_norm, epsilon)
            gate, up = layer.gate_up(normed).chunk(2, dim=-1)
            x = x + layer.down(functional.silu(gate) * up)
        return functional.rms_norm(x, (shape.hidden,), self.norm, epsilon)


def rotations(shape: Shape, positions: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of all positions, (positions, head_dim) each, in float32."""
    even = torch.arange(0, shape.head_dim, 2, dtype=torch.float32, device=device)
    speeds = 1.0 / shape.rope_base ** (even / shape.head_dim)
    angles = torch.arange(positions, dtype=torch.float32, device=device)[:, None] * speeds
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def _half_turned(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


def _index(part: Part) -> tuple[Tensor, slice, Tensor]:
    rows = torch.arange(part.rows.start, part.rows.stop, device=part.positions.device)
    return rows[:, None], slice(None), part.positions


def _attend(queries: Tensor, part: Part, number: int) -> Tensor:
    """(rows, tokens, heads, dim) to (rows, tokens, heads * dim)."""
    keys = part.cache.keys[number][part.rows, :, : part.length]
    values = part.cache.values[number][part.rows, :, : part.length]
    found = functional.scaled_dot_product_attention(
        queries.transpose(1, 2),
        keys,
        values,
        attn_mask=part.mask,
        # A whole prompt at once; a single token sees everything there is.
        is_causal=part.mask is None and queries.shape[1] > 1,
        enable_gqa=keys.shape[1] != queries.shape[2],
    )
    return found.transpose(1, 2).flatten(2)


def _as_scores(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a key is seen and minus infinity where it is not, to be added to the scores."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(
        ~seen, float("-inf")
    )


def mask_of(positions: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """For one token of each row: (rows,) positions to (rows, 1, 1, length)."""
    keys = torch.arange(length, device=positions.device)
    return _as_scores(keys <= positions[:, None], dtype)[:, None, None]


def choose_picture_tokens(
    scores: Tensor, unconditional: Tensor, guidance: Tensor, temperature: Tensor, noise: Tensor
) -> Tensor:
    """The next token of each picture: guided, and drawn from the whole vocabulary.

    Drawing with the largest of `probability / noise`, where the noise is exponential, is how
    `torch.multinomial` draws; the reference's tokens come out for the same noise.

    Args:
        scores: (pictures, image_vocab) for the prompt.
        unconditional: (pictures, image_vocab) without it.
        guidance: (pictures,); 1 leaves the unconditional scores without weight.
        temperature: (pictures,); 0 takes the most likely token.
        noise: (pictures, image_vocab), exponential with mean 1.
    """
    guided = unconditional + guidance[:, None] * (scores - unconditional)
    return _largest(guided, temperature, noise)


def choose_words(scores: Tensor, top_p: Tensor, temperature: Tensor, noise: Tensor) -> Tensor:
    """The next word of each answer, among the likeliest `TOP_K` that make up `top_p`.

    Args:
        scores: (answers, vocab).
        top_p: (answers,), 0 to 1; the likeliest word stays in any case.
        temperature: (answers,); 0 takes the likeliest word.
        noise: (answers, vocab), exponential with mean 1.
    """
    heat = temperature.clamp_min(1e-6)[:, None]
    best, words = (scores / heat).topk(min(TOP_K, scores.shape[-1]), dim=-1)
    likely = best.softmax(-1)
    before = likely.cumsum(-1) - likely
    rare = (before > 0) & (before >= top_p[:, None]) & (top_p[:, None] < 1)
    kept = best.masked_fill(rare, float("-inf"))
    place = (kept - noise.gather(-1, words).log()).argmax(-1)
    place = torch.where(temperature > 0, place, torch.zeros_like(place))
    return words.gather(-1, place[:, None])[:, 0]


def _largest(scores: Tensor, temperature: Tensor, noise: Tensor) -> Tensor:
    heat = temperature.clamp_min(1e-6)[:, None]
    drawn = scores / heat - noise.log()
    return torch.where(temperature[:, None] > 0, drawn, scores).argmax(-1)
