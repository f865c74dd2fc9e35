"""What `janus-bot space` tells the person who runs it: the plan, how far it is, and the address."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

from bot.space.engine import Progress
from bot.space.janus.machine import gigabytes
from bot.space.janus.plan import LICENCE, Plan, duration
from bot.space.janus.sizes import PICTURES

_MIN_PAUSE_SECONDS = 0.2
"""Between two states of the line that shows how far it is."""


def say(text: str = "") -> None:
    """Write a line for people; standard output is for programs."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - what this module is for


def as_text(plan: Plan) -> str:
    """A plan as a small table, with its reason and what else there is."""
    time_each = (
        "" if plan.seconds_per_drawing is None else f", {duration(plan.seconds_per_drawing)}"
    )
    memory = f"{gigabytes(plan.memory_needed)} GB of {gigabytes(plan.memory_free)} GB that are free"
    download = (
        f"{gigabytes(plan.download, 10**9)} GB, with {gigabytes(plan.disk_free, 10**9)} GB of disk "
        "free"
        if plan.download
        else "none: the files are here"
    )
    rows = {
        "Model": f"{plan.model} in {plan.dtype}",
        "Runs on": f"{plan.device_name} ({plan.device})",
        "Memory": memory,
        "A drawing": f"{PICTURES} pictures, {plan.pictures} at a time{time_each}",
        "Download": download,
        "Licence": LICENCE,
    }
    if not plan.fits:
        rows = {}
    table = [f"  {name:<10} {value}" for name, value in rows.items()]
    others = [f"  {sentence}" for sentence in plan.alternatives]
    if others:
        others.insert(0, "Also possible:" if plan.fits else "What would fit:")
    return "\n".join([*table, plan.reason, *others])


def ready(model: str, url: str, *, has_token: bool) -> str:
    """How to use the Space now."""
    lines = [f"{model} is ready: {url}", "In config.toml of the bot:", "  [[spaces]]"]
    lines.append(f'  url = "{url}"')
    if has_token:
        lines.append('  access_token = "…"  # the one that you chose')
    return "\n".join(lines)


class Ticker:
    """Shows how far it is: one line that changes on a terminal, a few lines elsewhere.

    May be called in any thread.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._is_terminal = self._out.isatty()
        self._lock = threading.Lock()
        self._shown: object = None
        self._shown_at = 0.0

    def __call__(self, progress: Progress) -> None:
        with self._lock:
            if self._is_terminal:
                is_last = progress.done >= progress.total
                if is_last or time.monotonic() - self._shown_at >= _MIN_PAUSE_SECONDS:
                    self._shown_at = time.monotonic()
                    self._write(f"\r\x1b[K{progress.what}")
                return
            topic, _, trouble = progress.what.partition(":")
            step = (topic.split(",")[0], trouble, 10 * progress.done // progress.total)
            if step != self._shown:
                self._shown = step
                self._write(f"{progress.what}\n")

    def close(self) -> None:
        """Leave the line."""
        with self._lock:
            if self._is_terminal and self._shown_at:
                self._write("\r\x1b[K")
                self._shown_at = 0.0

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
