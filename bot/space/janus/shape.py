"""What a Janus-Pro model is made of, read from its `config.json`; nothing is loaded.

Two layouts are in use: that of transformers (`deepseek-community/Janus-Pro-1B` and `-7B`) and the
original one (`deepseek-ai/Janus-Pro-1B` and `-7B`), whose configuration says less: what it leaves
out is the same in all its models, and stands here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.errors import BotError


class ModelUnusable(BotError):
    """The files are not those of a Janus-Pro model, or not all of them; a sentence says which."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of one model. Counts of parameters are exact, counts of bytes follow from them.

    Attributes:
        is_original: the layout of deepseek-ai, with other names for the tensors.
        hidden, layers, heads, kv_heads, head_dim, intermediate: of the language model (Llama).
        vocab: text tokens.
        norm_epsilon: of its RMS norms.
        rope_base: of its rotary positions.
        max_positions: tokens that it was made for.
        image_size: side of a picture in pixels, read as well as drawn.
        patch: pixels along a side that one token stands for.
        image_vocab: picture tokens that can be drawn.
        image_embed: numbers that stand for a picture token in the codebook.
        image_projection: width inside the head that chooses the next picture token.
        vision: transformers' configuration of the part that reads pictures (SigLIP).
        vq: transformers' configuration of the part that draws pixels from tokens.
    """

    is_original: bool
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    norm_epsilon: float
    rope_base: float
    max_positions: int
    image_size: int
    patch: int
    image_vocab: int
    image_embed: int
    image_projection: int
    vision: Mapping[str, Any]
    vq: Mapping[str, Any]

    @property
    def grid(self) -> int:
        """Tokens along a side of a picture."""
        return self.image_size // self.patch

    @property
    def image_tokens(self) -> int:
        """Tokens of a picture: 576 in all published models."""
        return self.grid**2

    @property
    def layer_parameters(self) -> int:
        """Of all layers of the language model: what int8 makes smaller."""
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate + 2 * self.hidden)

    @property
    def text_head_parameters(self) -> int:
        """Of the matrix that chooses the next word."""
        return self.vocab * self.hidden

    @property
    def picture_head_parameters(self) -> int:
        """Of the part that chooses the next picture token, and of the one that reads it again."""
        head = self.hidden * self.image_projection + self.image_projection * (self.image_vocab + 1)
        aligner = self.image_embed * self.hidden + self.hidden * (self.hidden + 2)
        return head + self.image_vocab + aligner

    @property
    def vision_parameters(self) -> int:
        """Of what reads pictures: the tower, and what fits its numbers to the language model."""
        width, layers = int(self.vision["hidden_size"]), int(self.vision["num_hidden_layers"])
        inner = int(width * self.vision["mlp_ratio"])
        attention = 4 * width * (width + 1)
        each = attention + 2 * width * inner + inner + width + 4 * width
        patches = 3 * self.patch**2 * width + width + self.image_tokens * width
        aligner = width * self.hidden + self.hidden
        aligner += (int(self.vision["depth"]) - 1) * self.hidden * (self.hidden + 1)
        return patches + layers * each + 2 * width + aligner

    @property
    def pixel_parameters(self) -> int:
        """Of what draws pixels from tokens, its codebook included."""
        base, latent = int(self.vq["base_channels"]), int(self.vq["latent_channels"])
        widths = [base * int(factor) for factor in self.vq["channel_multiplier"]][::-1]
        blocks = int(self.vq["num_res_blocks"]) + 1
        total = self.image_vocab * self.image_embed + (self.image_embed + 1) * latent
        total += _conv(latent, widths[0]) + 2 * _block(widths[0], widths[0]) + _attention(widths[0])
        total += blocks * _attention(widths[0])
        before = widths[0]
        for level, width in enumerate(widths):
            total += _block(before, width) + (blocks - 1) * _block(width, width)
            total += _conv(width, width) if level < len(widths) - 1 else 0
            before = width
        return total + 2 * before + _conv(before, 3)

    @property
    def other_parameters(self) -> int:
        """Of everything else: embeddings, the reading of pictures, the drawing of pixels."""
        embeddings = self.vocab * self.hidden + self.image_vocab * self.image_embed + self.hidden
        return embeddings + self.vision_parameters + self.pixel_parameters

    @property
    def parameters(self) -> int:
        """Of all that is loaded. The encoder of the drawing part is in the files and not used."""
        heads = self.text_head_parameters + self.picture_head_parameters
        return self.layer_parameters + heads + self.other_parameters

    def cache_bytes(self, rows: int, positions: int, bytes_each: int) -> int:
        """Size of the keys and values of `rows` sequences of `positions` tokens."""
        per_token = 2 * self.layers * self.kv_heads * self.head_dim * bytes_each
        return rows * positions * per_token


def _conv(before: int, after: int, side: int = 3) -> int:
    return before * after * side**2 + after


def _block(before: int, after: int) -> int:
    shortcut = 0 if before == after else _conv(before, after, 1)
    return 2 * (before + after) + _conv(before, after) + _conv(after, after) + shortcut


def _attention(width: int) -> int:
    return 2 * width + 4 * _conv(width, width, 1)


def read_shape(folder: Path) -> Shape:
    """Read a model's folder.

    Raises:
        ModelUnusable: there is no `config.json`, or it is not that of a Janus-Pro model.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except FileNotFoundError:
        raise ModelUnusable(
            f"There is no config.json in {folder}: is it a model's folder?"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelUnusable(f"{folder / 'config.json'} cannot be read: {error}") from error
    return shape_of(config, str(folder))


def shape_of(config: Any, name: str) -> Shape:
    """The shape that a configuration describes.

    Args:
        config: the JSON of `config.json`.
        name: of the model, for error texts.

    Raises:
        ModelUnusable: it is not that of a Janus-Pro model.
    """
    kind = config.get("model_type") if isinstance(config, dict) else None
    try:
        if kind == "janus":
            return _of_transformers(config)
        if kind == "multi_modality":
            return _of_the_original(config)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnusable(f"The configuration of {name} lacks a part: {error}.") from error
    raise ModelUnusable(f"{name} is not a Janus-Pro model: its model_type is {kind!r}.")


def _of_transformers(config: dict[str, Any]) -> Shape:
    vision = _VISION | config["vision_config"]
    return _shape(config["text_config"], vision, _VQ | config["vq_config"], is_original=False)


def _of_the_original(config: dict[str, Any]) -> Shape:
    reading, head = config["vision_config"]["params"], config["gen_head_config"]["params"]
    if "siglip_large_patch16_384" not in str(reading["model_name"]):
        raise ValueError(f"it reads pictures with {reading['model_name']}")
    aligner, drawing = config["aligner_config"]["params"], config["gen_vision_config"]["params"]
    vision = _VISION | {
        "image_size": reading["image_size"],
        "projection_dim": aligner["n_embed"],
        "depth": aligner["depth"],
    }
    vq = _VQ | {
        "embed_dim": drawing["n_embed"],
        "num_embeddings": drawing["image_token_size"],
        "projection_dim": config["gen_aligner_config"]["params"]["n_embed"],
        "image_token_embed_dim": head["image_token_embed"],
    }
    return _shape(config["language_config"], vision, vq, is_original=True)


_VISION: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 384,
    "patch_size": 16,
    "mlp_ratio": 4.0,
    "depth": 2,
    "projection_dim": 2048,
}
_VQ: dict[str, Any] = {
    "embed_dim": 8,
    "num_embeddings": 16384,
    "latent_channels": 256,
    "base_channels": 128,
    "channel_multiplier": [1, 1, 2, 2, 4],
    "num_res_blocks": 2,
    "projection_dim": 2048,
    "image_token_embed_dim": 2048,
}
"""What both layouts leave out where it is as in the published models (transformers' defaults)."""

_LLAMA: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
}


def _shape(
    text: Mapping[str, Any], vision: Mapping[str, Any], vq: Mapping[str, Any], *, is_original: bool
) -> Shape:
    given = {name: value for name, value in text.items() if value is not None}
    llama = _LLAMA | given
    # Older versions of transformers keep the base beside the other sizes, newer ones in a part.
    rope = given.get("rope_parameters") or given.get("rope_scaling") or {}
    if rope.get("rope_type", "default") != "default":
        raise ValueError(f"its positions are of the kind {rope['rope_type']}")
    hidden, heads = int(llama["hidden_size"]), int(llama["num_attention_heads"])
    return Shape(
        is_original=is_original,
        hidden=hidden,
        layers=int(llama["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(given.get("num_key_value_heads", heads)),
        head_dim=int(given.get("head_dim", hidden // heads)),
        intermediate=int(llama["intermediate_size"]),
        vocab=int(llama["vocab_size"]),
        norm_epsilon=float(llama["rms_norm_eps"]),
        rope_base=float(rope.get("rope_theta", given.get("rope_theta", 10_000.0))),
        max_positions=int(llama["max_position_embeddings"]),
        image_size=int(vision["image_size"]),
        patch=int(vision["patch_size"]),
        image_vocab=int(vq["num_embeddings"]),
        image_embed=int(vq["embed_dim"]),
        image_projection=int(vq["projection_dim"]),
        vision=vision,
        vq=vq,
    )


PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "deepseek-community/Janus-Pro-1B": {
        "model_type": "janus",
        "text_config": {
            "hidden_size": 2048,
            "intermediate_size": 5632,
            "max_position_embeddings": 16384,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "vocab_size": 102400,
        },
        "vision_config": {},
        "vq_config": {},
    },
    "deepseek-community/Janus-Pro-7B": {
        "model_type": "janus",
        "text_config": {
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "max_position_embeddings": 16384,
            "num_attention_heads": 32,
            "num_hidden_layers": 30,
            "vocab_size": 102400,
        },
        "vision_config": {"projection_dim": 4096},
        "vq_config": {"projection_dim": 4096, "image_token_embed_dim": 4096},
    },
}
"""Configurations of the published models, as far as sizes go: a plan needs no download."""
