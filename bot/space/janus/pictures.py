"""Pictures in and out: what the model looks at, and what its tokens look like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

from bot.space.janus.shape import Shape

ENLARGED = 2
"""Times as many pixels along each side as the model draws; so does the original demo."""
_GREY = 127
_READ_FROM_FILE = ("do_normalize", "image_mean", "image_std", "min_size", "rescale_factor")


class PictureReader:
    """Brings a picture to the model's size and values, as transformers does.

    Args:
        folder: of the model, whose `preprocessor_config.json` is read if it is there.
        shape: of the model.
    """

    def __init__(self, folder: Path, shape: Shape) -> None:
        options: dict[str, Any] = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        file = folder / "preprocessor_config.json"
        if file.exists():
            given = json.loads(file.read_bytes())
            options |= {name: given[name] for name in _READ_FROM_FILE if name in given}
        side = shape.image_size
        self._processor = JanusImageProcessorPil(size={"height": side, "width": side}, **options)

    def pixels(self, image: Image.Image) -> Tensor:
        """An RGB picture of any size as (1, 3, side, side), float32."""
        values: Tensor = self._processor(image, return_tensors="pt")["pixel_values"]
        return values


class PixelDrawer:
    """Turns picture tokens into pixels, one picture at a time, which is what memory allows.

    Args:
        vq: transformers' VQ model; its codebook, `post_quant_conv` and decoder are used.
        shape: of the model.
    """

    def __init__(self, vq: nn.Module, shape: Shape) -> None:
        self._vq, self._grid, self._side = vq, shape.grid, shape.image_size
        codes: Tensor = vq.quantize.embedding.weight
        self._codes = functional.normalize(codes, p=2, dim=-1)

    def draw(self, tokens: Tensor) -> Image.Image:
        """Draw the rows of tokens that are complete; what is below them stays grey.

        Args:
            tokens: of one picture so far, at least one row of them.
        """
        rows = len(tokens) // self._grid
        codes = self._codes[tokens[: rows * self._grid]]
        codes = codes.view(1, rows, self._grid, -1).permute(0, 3, 1, 2)
        drawn = self._vq.decoder(self._vq.post_quant_conv(codes.contiguous()))[0]
        # As the original demo turns values into bytes: cut off, not rounded.
        values = ((drawn.float() + 1) / 2 * 255).clamp(0, 255).byte().permute(1, 2, 0).cpu()
        image = Image.fromarray(values.numpy())
        if rows < self._grid:
            whole = Image.new("RGB", (self._side, self._side), (_GREY,) * 3)
            whole.paste(image)
            image = whole
        return image.resize((self._side * ENLARGED,) * 2, Image.Resampling.LANCZOS)


def generator(seed: int, device: torch.device) -> torch.Generator:
    """A source of noise that nobody else draws from."""
    return torch.Generator(device).manual_seed(seed)


def noise(source: torch.Generator, rows: int, choices: int) -> Tensor:
    """(rows, choices), exponential with mean 1: what `torch.multinomial` draws for each token."""
    return torch.empty(rows, choices, device=source.device).exponential_(generator=source)
