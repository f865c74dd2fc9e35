"""`janus-bot space` with a model that is made up: `python -m tests.servers.own_model OPTIONS`.

Everything before the engine is the real thing; only torch is not asked, and the engine says what it
was given. The machine is described by MACHINE, as JSON: `free` (bytes of a card, and of the
processor's memory) and `disk`; ENGINE says how loading goes: "quick", "slow" (until a line comes on
standard input), "broken" or "buggy".
"""

from __future__ import annotations

import json
import os
import sys
import types
from pathlib import Path

from PIL import Image

import bot.space.model
from bot.space.__main__ import app
from bot.space.engine import STARTING, Answering, Caller, Drawing, Pictures, Progress
from bot.space.janus.machine import Device, Machine, Speed
from bot.space.janus.plan import Plan
from bot.space.janus.shape import ModelUnusable
from bot.space.starting import Loaded, Report


class FakeEngine:
    """Answers with what it was loaded from, and draws grey."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._text = (
            f"{plan.dtype} on {plan.device}, {sorted(file.name for file in folder.iterdir())}"
        )

    async def describe(
        self,
        image: Image.Image | None,
        question: str,
        *,
        seed: int,
        top_p: float,
        temperature: float,
        caller: Caller,
    ) -> Answering:
        yield self._text

    async def draw(
        self, prompt: str, *, seed: int, guidance: float, temperature: float, caller: Caller
    ) -> Drawing:
        yield Pictures(tuple(Image.new("RGB", (8, 8), "grey") for _ in range(5)))

    def close(self) -> None:
        print("engine closed", file=sys.stderr, flush=True)  # noqa: T201 - for the test


def load(folder: Path, plan: Plan, report: Report) -> Loaded:
    report(Progress(1, 2, "Loading", STARTING))
    how = os.environ.get("ENGINE", "quick")
    if how == "slow":
        sys.stdin.readline()
    if how == "broken":
        raise ModelUnusable("model.safetensors has no tensor that is called lm_head.weight.")
    if how == "buggy":
        raise ZeroDivisionError("a mistake")
    return FakeEngine(folder, plan)


def probe(models: Path) -> Machine:
    """The machine of MACHINE: a card if it has one, and a processor."""
    given = json.loads(os.environ.get("MACHINE", "{}"))
    size = int(given.get("free", 16 * 2**30))
    speeds = {"float32": Speed(20e9, 1e11)}
    devices = [Device("cpu", "cpu", "Processor", size, 2 * size, measured=speeds)]
    if "free" in given:
        devices.insert(0, Device("cuda", "cuda", "Card", size, 2 * size, 1e12))
    return Machine(tuple(devices), int(given.get("disk", 10**12)), 2)


if __name__ == "__main__":
    engine = types.ModuleType("bot.space.janus.engine")
    setattr(engine, "load", load)  # noqa: B010 - a module made on the spot
    sys.modules[engine.__name__] = engine
    setattr(bot.space.model, "probe", probe)  # noqa: B010 - it is imported there
    setattr(bot.space.model, "check_packages", lambda: None)  # noqa: B010 - same
    app()
