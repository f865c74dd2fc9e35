"""Matrix products with fixed weights, in the form that this machine computes fastest.

A step of the model is hardly anything else, and for the few rows of a step the usual product is far
from the fastest: on two cores with AVX-512, ten rows times a packed matrix take a third of the time
that `torch.nn.functional.linear` takes. Which form is fastest depends on the processor, the type
and the number of rows, so a short probe decides, on the model's own weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Product: TypeAlias = Callable[[Tensor], Tensor]
"""Rows of inputs (..., in) to rows of outputs (..., out)."""
Form: TypeAlias = Callable[[Tensor], Product]
"""Makes a product of a weight (out, in), which the caller then gives up."""

PROBED_ROWS = (1, 10)
"""An answer, and five pictures with their unconditional halves."""
_PACKED_FOR_ROWS = 16
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 5e-3}
"""Greatest deviation of a form from the plain product, as a share of the largest output: the same
sums in another order. Forms of fewer bits are held to their own rounding instead."""
_INT8_TOLERANCE, _INT4_TOLERANCE = 5e-2, 0.4


def plain(weight: Tensor) -> Product:
    def product(rows: Tensor) -> Tensor:
        return torch.nn.functional.linear(rows, weight)

    return product


def packed_by_mkl(weight: Tensor) -> Product:
    """In the order in which Intel's library reads it; float32 on x86 only."""
    size, outer = weight.shape
    packed = torch.ops.mkl._mkl_reorder_linear_weight(weight, _PACKED_FOR_ROWS)  # noqa: SLF001 - as torch's own compiler calls it
    # Only its size is read as long as the number of rows is the one that is named.
    sizes = weight.new_empty(1).expand(size, outer)

    def product(rows: Tensor) -> Tensor:
        flat = rows.reshape(-1, outer)
        done: Tensor = torch.ops.mkl._mkl_linear(flat, packed, sizes, None, flat.shape[0])  # noqa: SLF001 - same
        return done.view(*rows.shape[:-1], size)

    return product


def packed_by_onednn(weight: Tensor) -> Product:
    """In the order in which oneDNN reads it; float32 and bfloat16 on all its processors."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _PACKED_FOR_ROWS)  # noqa: SLF001 - same

    def product(rows: Tensor) -> Tensor:
        done: Tensor = torch.ops.mkldnn._linear_pointwise(rows, packed, None, "none", [], "")  # noqa: SLF001 - same
        return done

    return product


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """int8 weights (out, in) and one scale for each output, so that their product is the weight."""
    scales = weight.float().abs().amax(1).clamp_min(1e-12) / 127
    return (weight.float() / scales[:, None]).round().to(torch.int8), scales


def int8_in_one(weight: Tensor) -> Product:
    """int8 weights that are read as such: a quarter of float32's bytes."""
    small, scales = quantised(weight)
    halves = scales.bfloat16()

    def product(rows: Tensor) -> Tensor:
        flat = rows.reshape(-1, small.shape[1]).bfloat16()
        done = torch._weight_int8pack_mm(flat, small, halves)  # noqa: SLF001 - as torchao calls it
        return done.to(rows.dtype).view(*rows.shape[:-1], small.shape[0])

    return product


def int8_spread(weight: Tensor) -> Product:
    """int8 weights that are made large again for each product: saves memory, not time."""
    small, scales = quantised(weight)

    def product(rows: Tensor) -> Tensor:
        done = torch.nn.functional.linear(rows, small.to(rows.dtype))
        return done * scales.to(rows.dtype)

    return product


def int4_spread(weight: Tensor) -> Product:
    """4 bits a weight, with a scale for each 64 of them: half of int8's memory, and no faster."""
    size, outer = weight.shape
    width = next(width for width in (64, 32, 16, 8, 4, 2) if outer % width == 0)
    groups = weight.float().view(size, -1, width)
    scales = groups.abs().amax(-1, keepdim=True).clamp_min(1e-12) / 7
    nibbles = ((groups / scales).round() + 8).to(torch.uint8).view(size, outer)
    packed = nibbles[:, 0::2] | (nibbles[:, 1::2] << 4)
    scales = scales.to(weight.dtype)

    def product(rows: Tensor) -> Tensor:
        whole = torch.stack((packed & 15, packed >> 4), dim=-1).view(size, -1, width)
        spread = (whole.to(rows.dtype) - 8) * scales
        return torch.nn.functional.linear(rows, spread.view(size, outer))

    return product


def forms(dtype: str, device: torch.device) -> Sequence[Form]:
    """What may be tried, the plainest first."""
    if dtype == "int4":
        return (int4_spread,)
    if dtype == "int8":
        return (int8_spread, int8_in_one)
    if device.type == "cpu":
        return (plain, packed_by_mkl, packed_by_onednn)
    return (plain,)


@dataclass(frozen=True, slots=True)
class Choice:
    """A form, and what it was measured to take.

    Attributes:
        form: the fastest that is right.
        seconds: of one product of a probed number of rows, by that number.
        error: greatest deviation from the plain product, as a share of the largest output.
    """

    form: Form
    seconds: dict[int, float]
    error: float

    def of(self, weight: Tensor) -> Product:
        """A product in this form, or the plain one if this weight does not come out right."""
        product = self.form(weight)
        if self.form is plain or _deviation(product, weight) <= _tolerance(self.form, weight.dtype):
            return product
        return plain(weight)


def fastest(weight: Tensor, dtype: str) -> Choice:
    """Try all forms on one of the model's larger weights; takes about a second on a processor."""
    choices = []
    for form in forms(dtype, weight.device):
        try:
            product = form(weight)
            error = _deviation(product, weight)
            seconds = {rows: _seconds(product, weight, rows) for rows in PROBED_ROWS}
        except (RuntimeError, NotImplementedError, AttributeError):
            continue  # not in this build of torch, or not for this device and type
        if error <= _tolerance(form, weight.dtype):
            choices.append(Choice(form, seconds, error))
    # A drawing takes 575 steps of ten rows, an answer at most 512 of one.
    return min(choices, key=lambda choice: sum(choice.seconds.values()))


def _tolerance(form: Form, dtype: torch.dtype) -> float:
    if form is int4_spread:
        return _INT4_TOLERANCE
    return _INT8_TOLERANCE if form in {int8_in_one, int8_spread} else _TOLERANCE[dtype]


def _rows(weight: Tensor, count: int) -> Tensor:
    generator = torch.Generator(weight.device).manual_seed(count)
    rows = torch.randn(count, weight.shape[1], generator=generator, device=weight.device)
    return rows.to(weight.dtype)


def _deviation(product: Product, weight: Tensor) -> float:
    worst = 0.0
    for count in (1, 3, 10):
        rows = _rows(weight, count)
        expected = torch.nn.functional.linear(rows, weight).float()
        off = (product(rows).float() - expected).abs().amax() / expected.abs().amax().clamp_min(
            1e-9
        )
        worst = max(worst, float(off))
    return worst


def _seconds(product: Product, weight: Tensor, count: int, tries: int = 5) -> float:
    """The best of several tries, as others may use the machine meanwhile."""
    rows, best = _rows(weight, count), float("inf")
    for _ in range(tries + 1):
        _finish(weight.device)
        start = time.perf_counter()
        product(rows)
        _finish(weight.device)
        best = min(best, time.perf_counter() - start)
    return best


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
