"""Decides what runs where, before anything is fetched or loaded. Pure: it imports no torch.

A plan is binding: either everything that it names fits into what is free now, or it says that
nothing does, and what would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.errors import ConfigError
from bot.space.janus.machine import Device, Machine, gigabytes
from bot.space.janus.shape import Shape
from bot.space.janus.sizes import (
    DISK_MARGIN_BYTES,
    PICTURES,
    Need,
    budget,
    largest,
    seconds_per_drawing,
)

SMALL, LARGE = "deepseek-community/Janus-Pro-1B", "deepseek-community/Janus-Pro-7B"
SHORT_NAMES: Mapping[str, str] = {"1b": SMALL, "7b": LARGE}
LICENCE = (
    "DeepSeek Model License, with restrictions on use: "
    "https://github.com/deepseek-ai/Janus/blob/main/LICENSE-MODEL"
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody asked for; what is empty or 0 is for the plan to choose.

    Attributes:
        model: a repository on Hugging Face, or a folder.
        device: as torch calls it.
        dtype: one of `BYTES_EACH`.
        pictures: at a time, 1 to 5.
    """

    model: str = ""
    device: str = ""
    dtype: str = ""
    pictures: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is loaded where, and how much of it.

    Attributes:
        fits: it can be loaded. If not, all else is what was tried last.
        model: a repository on Hugging Face, or a folder.
        device: as torch calls it.
        device_name: for people.
        dtype: "float32", "bfloat16", "float16", "int8" or "int4".
        pictures: drawn at a time; a drawing has five.
        drawing_rows: of the pictures' cache: two for each picture drawn at the same time.
        picture_positions: tokens in each of these rows.
        answer_rows: answers written at the same time.
        answer_positions: tokens in each of these rows, the picture's included.
        remembered_bytes: for pictures that may be asked about again.
        memory_needed: bytes in all, what is remembered included.
        memory_free: bytes on the device, before.
        download: bytes that are still to be fetched.
        disk_free: bytes where they go.
        seconds_per_drawing: of five pictures, if it can be told.
        reason: a sentence.
        licence: of the weights, with a link.
        alternatives: sentences, with the options to add.
    """

    fits: bool
    model: str
    device: str
    device_name: str
    dtype: str
    pictures: int
    drawing_rows: int
    picture_positions: int
    answer_rows: int
    answer_positions: int
    remembered_bytes: int
    memory_needed: int
    memory_free: int
    download: int
    disk_free: int
    seconds_per_drawing: float | None
    reason: str
    licence: str = LICENCE
    alternatives: tuple[str, ...] = ()


def plan(
    machine: Machine,
    wishes: Wishes,
    shapes: Mapping[str, Shape],
    downloads: Mapping[str, int] | None = None,
) -> Plan:
    """Choose the best of what fits.

    Args:
        machine: what there is.
        wishes: what was asked for.
        shapes: of the models to choose from, by name, the best first.
        downloads: bytes that are still to be fetched of each; none if it is not named.

    Raises:
        ConfigError: the wished device is not one of the machine's.
    """
    missing = downloads or {}
    tried = [
        choice
        for device in _devices(machine, wishes)
        for choice in _choices(machine, device, wishes, shapes, missing)
    ]
    fitting = (choice for choice in tried if choice.fits)
    least = min(tried, key=lambda choice: (choice.lacks_disk, choice.need.total))
    chosen = next(fitting, least)
    others = _others(machine, chosen, shapes, missing)
    return _described(machine, chosen, tried, others)


# What is tried, in the order of preference.


@dataclass(frozen=True, slots=True)
class _Choice:
    device: Device
    model: str
    shape: Shape
    dtype: str
    need: Need
    fits_memory: bool
    lacks_disk: bool
    download: int

    @property
    def fits(self) -> bool:
        return self.fits_memory and not self.lacks_disk


def _devices(machine: Machine, wishes: Wishes) -> Sequence[Device]:
    if not wishes.device:
        return machine.devices
    wished = [
        device
        for device in machine.devices
        if wishes.device in {device.place, device.kind, f"{device.place}:0"}
    ]
    if not wished:
        there = ", ".join(device.place for device in machine.devices)
        hint = f" {machine.note}" if machine.note else ""
        raise ConfigError(f"--device {wishes.device} is not here; there is {there}.{hint}")
    return wished[:1]


def _choices(
    machine: Machine,
    device: Device,
    wishes: Wishes,
    shapes: Mapping[str, Shape],
    downloads: Mapping[str, int],
) -> Iterator[_Choice]:
    names = [wishes.model] if wishes.model else list(shapes)
    if device.kind == "cpu" and not wishes.model:
        names = names[-1:]  # the large model takes minutes for a picture there
    for name in names:
        for dtype in [wishes.dtype] if wishes.dtype else _dtypes(device):
            download = downloads.get(name, 0)
            need = largest(device, shapes[name], dtype, wishes.pictures)
            # In float32 the processor is to draw all pictures at a time: five in int8 are better
            # than one after the other in float32.
            is_comfortable = (
                device.kind != "cpu"
                or bool(wishes.dtype or wishes.pictures)
                or dtype != "float32"
                or need.pictures == PICTURES
            )
            yield _Choice(
                device,
                name,
                shapes[name],
                dtype,
                need,
                fits_memory=need.total <= budget(device) and is_comfortable,
                lacks_disk=download > 0 and download + DISK_MARGIN_BYTES > machine.disk_free,
                download=download,
            )


def _dtypes(device: Device) -> tuple[str, ...]:
    if device.kind == "cpu":
        return ("float32", "int8")
    return ("bfloat16" if device.has_bfloat16 else "float16", "int8")


# What people are told.

_COUNTS = ("one picture", "two pictures", "three pictures", "four pictures", "all five pictures")


def duration(seconds: float) -> str:
    """A time as people say it: "about 8 minutes"."""
    if seconds < 1.5:  # noqa: PLR2004 - what rounds to one
        return "about a second"
    if seconds < 90:  # noqa: PLR2004 - same
        return f"about {seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.0f} hours"


def short_name(model: str) -> str:
    """A model as people call it: "7B model"."""
    size = model.rsplit("-", 1)[-1]
    return f"{size} model" if size in {"1B", "7B"} else f"model {model}"


def _described(
    machine: Machine, chosen: _Choice, tried: Sequence[_Choice], alternatives: tuple[str, ...]
) -> Plan:
    device, need = chosen.device, chosen.need
    return Plan(
        fits=chosen.fits,
        model=chosen.model,
        device=device.place,
        device_name=device.name,
        dtype=chosen.dtype,
        pictures=need.pictures,
        drawing_rows=2 * need.pictures * need.drawings,
        picture_positions=need.picture_positions,
        answer_rows=need.answer_rows,
        answer_positions=need.answer_positions,
        remembered_bytes=need.remembered_bytes,
        memory_needed=need.total,
        memory_free=device.free,
        download=chosen.download,
        disk_free=machine.disk_free,
        seconds_per_drawing=seconds_per_drawing(device, chosen.shape, chosen.dtype, need.pictures),
        reason=_reason(machine, chosen, tried),
        alternatives=alternatives,
    )


def _reason(machine: Machine, chosen: _Choice, tried: Sequence[_Choice]) -> str:
    if not chosen.fits:
        note = f"{machine.note} " if machine.note and chosen.device.kind == "cpu" else ""
        return note + _obstacle(machine, chosen)
    device, before = chosen.device, tried[: tried.index(chosen)]
    # Of each device that was passed over, the obstacle that was the lowest.
    parts = {each.device.place: _obstacle(machine, each) for each in before if not each.fits}
    parts.pop(device.place, None)
    if any(each.lacks_disk and each.fits_memory and each.model != chosen.model for each in before):
        large = next(each for each in before if each.lacks_disk and each.fits_memory)
        parts["disk"] = _obstacle(machine, large)
    if device.kind == "cpu" and len(machine.devices) == 1:
        parts["note"] = machine.note or "There is no graphics card that PyTorch can use."
    who = "The processor works instead: it" if device.kind == "cpu" and parts else device.name
    count = _COUNTS[chosen.need.pictures - 1]
    parts["chosen"] = (
        f"{who} has {device.memory}: the {short_name(chosen.model)} fits in {chosen.dtype}, "
        f"{count} at a time."
    )
    return " ".join(parts.values())


def _obstacle(machine: Machine, choice: _Choice) -> str:
    """Why something does not fit."""
    device, name = choice.device, short_name(choice.model)
    if choice.lacks_disk and choice.fits_memory:
        return (
            f"The {name} is a download of {gigabytes(choice.download, 10**9)} GB, and "
            f"{gigabytes(machine.disk_free, 10**9)} GB are free on the disk."
        )
    needed = choice.need.total + device.free - budget(device)
    return (
        f"The {name} needs {gigabytes(needed)} GB in {choice.dtype}, and {device.name} has "
        f"{device.memory}."
    )


def _others(
    machine: Machine, chosen: _Choice, shapes: Mapping[str, Shape], downloads: Mapping[str, int]
) -> tuple[str, ...]:
    """What else would fit, with the options that choose it, and what a better model would need."""
    offers: dict[tuple[str, str], str] = {}
    lacking: dict[str, str] = {}
    for device in [chosen.device] if chosen.fits else machine.devices:
        for name in shapes:
            if chosen.fits and name == chosen.model:
                continue
            choices = list(_choices(machine, device, Wishes(model=name), shapes, downloads))
            fitting = next((choice for choice in choices if choice.fits), None)
            if fitting is not None:
                offers[name, device.place] = _offer(fitting)
            elif chosen.fits:
                lacking[name] = _obstacle(machine, choices[-1])
    if not offers and not chosen.fits:
        return ("--stand-in serves simple sketches and needs no model.",)
    return (*offers.values(), *lacking.values())[:3]


def _offer(choice: _Choice) -> str:
    device, dtype = choice.device, choice.dtype
    seconds = seconds_per_drawing(device, choice.shape, dtype, choice.need.pictures)
    time = "" if seconds is None else f", {duration(seconds)} per drawing"
    return (
        f"--model {_option(choice.model)} --device {device.place} --dtype {dtype}: the "
        f"{short_name(choice.model)} in {dtype} on {device.name}{time}."
    )


def _option(model: str) -> str:
    return next((short for short, name in SHORT_NAMES.items() if name == model), model)
