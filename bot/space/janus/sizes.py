"""How much memory a plan takes, and how long a drawing: the constants to compare with what is seen.

Pure arithmetic on a model's shape and a device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bot.space.janus.machine import GB, Device, Speed
from bot.space.janus.shape import Shape

PICTURES = 5
"""Of a drawing, always; a plan decides how many of them are drawn at a time."""
BYTES_EACH: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 2, "int4": 2}
"""Of a number in each precision, where it is not one of the layers' weights."""
_LAYER_BYTES: Mapping[str, float] = {"int8": 1, "int4": 0.5 + 2 / 64}
"""Of those, where they are smaller: four bits come with a scale for each 64 of them."""

# What memory goes to besides weights and caches. To be compared with what is really used.
PROCESS_BYTES = int(0.6e9)
"""Python with torch and Gradio, on the processor."""
CONTEXT_BYTES = int(0.5e9)
"""What a graphics card's driver and libraries take for the process."""
PIXELS_BYTES: Mapping[int, int] = {4: int(0.6e9), 2: int(0.45e9)}
"""To draw the pixels of one picture of 384 pixels a side, by the size of a number."""
PREFILL_TOKENS = 1024
"""Of a question that are read at a time, at most."""
CARD_MARGIN_BYTES, MARGIN_SHARE = GB, 0.05
"""Left free: the share, but not more than that on a card."""
PROCESSOR_MARGIN_BYTES = GB // 2
"""Left free on the processor, where the rest of the machine lives as well; or the share."""
PROCESSOR_SHARE = 0.7
"""Of the free memory there, beyond which only what a drawing needs is planned."""
DISK_MARGIN_BYTES = int(0.5e9)

# What a cache is made for.
_QUESTION_TOKENS, _ANSWER_TOKENS = 2900, 512  # the engine's, with the template
_MIN_ANSWER_TOKENS = 1024  # question and answer together, where memory is short
_PROMPT_TOKENS, _LONG_PROMPT_TOKENS = 256, 512
_MAX_DRAWINGS, _MAX_ANSWERS = 4, 8
_MAX_ON_PROCESSOR = 2, 4  # more would only take longer, and memory from everything else
_PREFIX_TOKENS = 64  # of the template around a picture, at most
_MAX_REMEMBERED = 16  # pictures

# How fast it is, from what the hardware could do at best.
PRACTICE = 0.72
"""What a well-made loop reaches of the bandwidth that a card is sold with."""
MEASURED_PRACTICE = 0.85
"""What it reaches of what was measured with the products alone."""
MIN_CARD_STEP_SECONDS = 0.0009
"""About two hundred kernels are started in a step, whatever they do."""
PIXELS_FLOP = 570e9
"""To draw the pixels of one picture of 384 pixels a side."""
_MEAN_PROMPT_TOKENS = 40


def budget(device: Device) -> int:
    """Bytes that a plan may use."""
    share = int(MARGIN_SHARE * device.free)
    is_processor = device.kind == "cpu"
    margin = max(PROCESSOR_MARGIN_BYTES, share) if is_processor else min(CARD_MARGIN_BYTES, share)
    return device.free - margin


@dataclass(frozen=True, slots=True)
class Need:
    """How much of everything there is to be, and the memory that this takes.

    Attributes:
        fixed: bytes of weights, work and process.
        position: bytes of the keys and values of one token.
        remembered: pictures.
        prefix: tokens of a remembered picture.
    """

    fixed: int
    position: int
    pictures: int
    picture_positions: int
    answer_positions: int
    prefix: int
    answer_rows: int = 1
    drawings: int = 1
    remembered: int = 0

    @property
    def remembered_bytes(self) -> int:
        return self.remembered * self.prefix * self.position

    @property
    def total(self) -> int:
        rows = 2 * self.pictures * self.drawings
        tokens = rows * self.picture_positions + self.answer_rows * self.answer_positions
        return self.fixed + tokens * self.position + self.remembered_bytes


def weights_bytes(shape: Shape, dtype: str, *, on_processor: bool) -> int:
    """Of a loaded model. The processor reads pictures and draws pixels in float32, always."""
    each = BYTES_EACH[dtype]
    pictures = shape.vision_parameters + shape.pixel_parameters
    rest = shape.parameters - pictures - shape.layer_parameters
    layers = int(shape.layer_parameters * _LAYER_BYTES.get(dtype, each))
    return layers + rest * each + pictures * (4 if on_processor else each)


def largest(device: Device, shape: Shape, dtype: str, wished_pictures: int) -> Need:
    """The most that fits; if nothing does, the least that would be needed.

    Sizes grow one after the other, the one that matters most first. So more memory never makes one
    smaller that matters more.
    """
    image, each = shape.image_tokens, BYTES_EACH[dtype]
    answer = image + 2 + _QUESTION_TOKENS + _ANSWER_TOKENS
    need = Need(
        fixed=_fixed_bytes(device, shape, dtype),
        position=shape.cache_bytes(1, 1, each),
        pictures=wished_pictures or 1,
        picture_positions=image + _PROMPT_TOKENS,
        answer_positions=min(image + _MIN_ANSWER_TOKENS, shape.max_positions),
        prefix=image + _PREFIX_TOKENS,
    )
    on_processor = device.kind == "cpu"
    drawings, answers = (_MAX_DRAWINGS, _MAX_ANSWERS) if not on_processor else _MAX_ON_PROCESSOR
    growing: list[tuple[str, Iterable[int]]] = [
        # Four at a time would take as many rounds as three.
        ("pictures", () if wished_pictures else (2, 3, PICTURES)),
        ("answer_positions", (min(answer, shape.max_positions),)),
        # A second question about a picture is what people ask most, and costs a fifth of the first.
        ("remembered", (1, 2)),
        ("answer_rows", (2,)),
        ("drawings", range(2, drawings + 1)),
        ("answer_rows", range(3, answers + 1)),
        ("picture_positions", (image + _LONG_PROMPT_TOKENS,)),
    ]
    most = budget(device)
    comfort = min(most, int(PROCESSOR_SHARE * device.free)) if on_processor else most
    for name, sizes in growing:
        limit = most if name == "pictures" else comfort
        for size in sizes:
            larger = replace(need, **{name: size})
            if larger.total > limit:
                break
            need = larger
    fitting = need.remembered + (comfort - need.total) // 2 // (need.prefix * need.position)
    return replace(need, remembered=max(need.remembered, min(fitting, _MAX_REMEMBERED)))


def _fixed_bytes(device: Device, shape: Shape, dtype: str) -> int:
    """What is needed before there is any cache."""
    each, on_processor = BYTES_EACH[dtype], device.kind == "cpu"
    pixels = PIXELS_BYTES[4 if on_processor else each] * (shape.image_size / 384) ** 2
    prefill = PREFILL_TOKENS * (3 * shape.intermediate + 6 * shape.hidden) * each
    process = PROCESS_BYTES if on_processor else CONTEXT_BYTES
    weights = weights_bytes(shape, dtype, on_processor=on_processor)
    return weights + int(pixels) + prefill + process


def seconds_per_drawing(device: Device, shape: Shape, dtype: str, pictures: int) -> float | None:
    """Of five pictures, from the bytes that a step moves and, where known, what it computes."""
    speed = _speed(device, dtype)
    if speed is None or dtype == "int4":  # which is unpacked for each product, at a speed unknown
        return None
    groups = math.ceil(PICTURES / pictures)
    rows, each = 2 * math.ceil(PICTURES / groups), BYTES_EACH[dtype]
    head = shape.picture_head_parameters
    moved = shape.layer_parameters * (1 if dtype == "int8" else each) + head * each
    moved += shape.cache_bytes(rows, shape.image_tokens // 2 + _MEAN_PROMPT_TOKENS, each)
    step = moved / speed.bandwidth
    pixels = 0.0
    if speed.flops:
        step = max(step, 2 * rows * (shape.layer_parameters + head) / speed.flops)
        # Pixels are drawn in float32 there.
        flops = device.measured["float32"].flops or speed.flops
        pixels = PICTURES * PIXELS_FLOP * (shape.image_size / 384) ** 2 / flops
    if device.kind != "cpu":
        step = max(step, MIN_CARD_STEP_SECONDS)
    practice = MEASURED_PRACTICE if speed.flops else PRACTICE
    return round((step * shape.image_tokens * groups + pixels) / practice, 1)


def _speed(device: Device, dtype: str) -> Speed | None:
    if device.measured:
        return device.measured.get(dtype, device.measured["float32"])
    return Speed(device.bandwidth) if device.bandwidth else None
