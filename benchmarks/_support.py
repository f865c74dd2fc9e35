"""What the benchmarks share: figures with their aims, and a look at this process."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a report.

    Attributes:
        name: what was measured.
        value: the result.
        aim: what it should be at most.
        unit: of both.
        beside: what it is compared with, measured in the same run, in words.
    """

    name: str
    value: float
    aim: float
    unit: str = "s"
    beside: str = ""

    @property
    def reached(self) -> bool:
        """Whether the aim is."""
        return self.value <= self.aim

    def __str__(self) -> str:
        """The line."""
        verdict = "ok" if self.reached else "MISSED"
        beside = f"   [{self.beside}]" if self.beside else ""
        return (
            f"{self.name:<44} {self.value:>9.3g} {self.unit:<3} "
            f"aim <= {self.aim:<7.3g} {verdict:<6}{beside}"
        )


def verdict(figures: Sequence[Figure]) -> int:
    """The exit code: 1 if an aim was missed."""
    return 0 if all(figure.reached for figure in figures) else 1


def p95(values: Sequence[float]) -> float:
    """The value that 19 of 20 do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def spread(values: Sequence[float], unit: str = "ms", scale: float = 1e3) -> str:
    """Best, median and 95th percentile in words."""
    best, middle, most = min(values), statistics.median(values), p95(values)
    figures = [f"{value * scale:.3g}" for value in (best, middle, most)]
    return f"best {figures[0]}, median {figures[1]}, p95 {figures[2]} {unit}"


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def one_core() -> None:
    """Keep this process on one core, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
