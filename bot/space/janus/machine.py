"""Looks at the machine: what can compute here, and how much memory and disk is free.

Importing this is cheap; `probe` imports torch, which takes seconds. Nothing is put on a card but
what its driver needs.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.space.janus.cards import bandwidth

GB = 2**30
"""Of memory, as graphics cards are labelled; files are counted in 10^9 bytes, as on the hub."""

_PROBED_SIDE = 4096  # of a matrix of 67 MB: larger than the caches of most processors
_MIN_BFLOAT16_CAPABILITY = (8, 0)  # older cards only imitate it
_PHYSICAL_SHARE = 0.7
"""Of the whole memory that is taken for free where the system does not say."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a row is multiplied with weights.

    Attributes:
        bandwidth: bytes of weights per second, with a single row.
        flops: operations per second, with ten rows; `None` if only the bandwidth counts.
    """

    bandwidth: float
    flops: float | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """Something that can compute.

    Attributes:
        kind: "cuda" (AMD's too), "mps", "xpu" or "cpu".
        place: what torch calls it: the kind, with a number from the second card on.
        name: for people.
        free: bytes of its memory that are free now; of the machine's for "cpu".
        total: bytes of its memory.
        bandwidth: bytes per second that it reads of its memory at best, if known.
        measured: by precision, how fast products with a model's weights are; of the processor.
        has_bfloat16: it computes in bfloat16 at full speed.
    """

    kind: str
    place: str
    name: str
    free: int
    total: int
    bandwidth: float | None = None
    measured: Mapping[str, Speed] = field(default_factory=dict)
    has_bfloat16: bool = True

    @property
    def memory(self) -> str:
        """What is free, for people."""
        return f"{gigabytes(self.free)} of {gigabytes(self.total)} GB free"


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is.

    Attributes:
        devices: the best first, the processor last.
        disk_free: bytes, where models are kept.
        cores: of the processor.
        note: why a graphics card that seems to be here is not used; a sentence, or empty.
    """

    devices: tuple[Device, ...]
    disk_free: int
    cores: int = 1
    note: str = ""


def gigabytes(size: int, unit: int = GB) -> str:
    return f"{size / unit:.1f}"


def probe(models: Path) -> Machine:
    """Look at everything.

    Args:
        models: where models are kept, or will be.
    """
    import torch  # noqa: PLC0415 - takes seconds

    broken: list[str] = []
    cards = [*cuda_cards(torch, broken), *_xpu(torch), *_apple(torch)]
    cards.sort(key=lambda card: card.free, reverse=True)
    processor = _processor(torch)
    return Machine(
        devices=(*cards, processor),
        disk_free=free_disk(models),
        cores=os.cpu_count() or 1,
        note="" if cards else " ".join(broken) or why_no_card(torch),
    )


def free_disk(folder: Path) -> int:
    """Bytes that are free where a folder is, or will be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


# Memory.


def free_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that this process can still have: the machine's, or its container's if that is less."""
    try:
        text = (proc / "meminfo").read_text()
        found = re.search(r"^MemAvailable:\s+(\d+) kB", text, re.MULTILINE)
    except OSError:
        found = None
    free = int(found[1]) * 1024 if found else int(total_memory(proc, groups) * _PHYSICAL_SHARE)
    return min([free, *(limit - used for limit, used in _group_limits(proc, groups))])


def total_memory(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of the machine's memory, or of its container's if that is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *(limit for limit, _ in _group_limits(proc, groups))])


def _group_limits(proc: Path, groups: Path) -> Iterator[tuple[int, int]]:
    """Limit and use of each control group that this process is in, in bytes.

    What can be dropped at once, such as files that were read, does not count as used.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            names = ("memory.max", "memory.current", "inactive_file")
            root = groups
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            root = groups / "memory"
        else:
            continue
        inner = root / path.lstrip("/")
        # Limits of outer groups count as well. Inside a container the path may not be visible.
        for folder in {root, *(each for each in (inner, *inner.parents) if root in each.parents)}:
            limit, used = _number(folder / names[0]), _number(folder / names[1])
            if limit is not None and used is not None:
                yield limit, max(0, used - _statistic(folder / "memory.stat", names[2]))


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max": there is no limit
        return None


def _statistic(file: Path, name: str) -> int:
    try:
        found = re.search(rf"^{name} (\d+)$", file.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


# What computes.


def cuda_cards(torch: Any, broken: list[str]) -> Iterator[Device]:
    """Cards of NVIDIA, and of AMD with torch's ROCm build, that this torch has code for."""
    if not torch.cuda.is_available():
        return
    for index in range(torch.cuda.device_count()):
        name = torch.cuda.get_device_name(index)
        if too_old_for(torch, index):
            broken.append(f"{_plain(name)} is too old for this PyTorch, so it is not used.")
            continue
        try:
            free, total = torch.cuda.mem_get_info(index)
        except RuntimeError as error:  # torch's own for a card or a driver that does not work
            reason = str(error).partition("\n")[0]
            broken.append(f"{_plain(name)} does not work, so it is not used: {reason}.")
            continue
        capability = torch.cuda.get_device_capability(index)
        yield Device(
            "cuda",
            "cuda" if index == 0 else f"cuda:{index}",
            _plain(name),
            free,
            total,
            bandwidth(name),
            has_bfloat16=bool(torch.version.hip) or capability >= _MIN_BFLOAT16_CAPABILITY,
        )


def too_old_for(torch: Any, index: int) -> bool:
    """Whether this torch has no code for a card's generation any more."""
    built = [int(found[1]) for each in torch.cuda.get_arch_list() if (found := _ARCH.match(each))]
    major, minor = torch.cuda.get_device_capability(index)
    return bool(built) and major * 10 + minor < min(built)


_ARCH = re.compile(r"(?:sm|compute)_(\d+)")


def _xpu(torch: Any) -> Iterator[Device]:
    if not hasattr(torch, "xpu") or not torch.xpu.is_available():
        return
    for index in range(torch.xpu.device_count()):
        name = torch.xpu.get_device_name(index)
        free, total = torch.xpu.mem_get_info(index)
        place = "xpu" if index == 0 else f"xpu:{index}"
        yield Device("xpu", place, _plain(name), free, total, bandwidth(name))


def _apple(torch: Any) -> Iterator[Device]:
    """Apple's graphics: it shares the machine's memory, of which it may have a part."""
    if not torch.backends.mps.is_available():
        return
    most = torch.mps.recommended_max_memory()
    name = _processor_name()
    free = min(free_memory(), most - torch.mps.driver_allocated_memory())
    yield Device("mps", "mps", name, free, most, bandwidth(name))


def _processor(torch: Any) -> Device:
    name, free, total = _processor_name(), free_memory(), total_memory()
    return Device("cpu", "cpu", name, free, total, measured=measured(torch))


def measured(torch: Any) -> dict[str, Speed]:
    """How fast the processor is at products like those of a step, in the engine's own forms."""
    from bot.space.janus.products import fastest  # noqa: PLC0415 - imports torch

    found = {}
    with torch.inference_mode():
        for dtype, kind, size in (("float32", torch.float32, 4), ("int8", torch.bfloat16, 1)):
            weight = torch.randn(_PROBED_SIDE, _PROBED_SIDE, dtype=kind)
            seconds = fastest(weight, dtype).seconds
            numbers = weight.numel()
            found[dtype] = Speed(size * numbers / seconds[1], 2 * 10 * numbers / seconds[10])
    return found


def why_no_card(torch: Any, dev: Path = Path("/dev")) -> str:
    """A sentence if there seems to be a graphics card that cannot be used; else nothing."""
    if (dev / "nvidiactl").exists() or (dev / "nvidia0").exists():
        if torch.version.cuda is None:
            return (
                "There is an NVIDIA card, but this PyTorch is made for processors only: install "
                "the one for CUDA."
            )
        return (
            "There is an NVIDIA card, but PyTorch cannot use it. Most likely its driver is too "
            f"old for CUDA {torch.version.cuda}: update the driver."
        )
    if (dev / "kfd").exists() and torch.version.hip is None:
        return "There is an AMD card, but this PyTorch is not the one for ROCm."
    return ""


def _plain(name: str) -> str:
    return name.removeprefix("NVIDIA ")


def _processor_name() -> str:
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
        return asked.stdout.strip() or "Apple"
    try:
        found = re.search(
            r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
        )
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or "processor"
