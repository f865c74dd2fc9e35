"""Janus-Pro behind the Space: a plan, then the server at once, and the model when it is there.

torch is imported by `look`, Gradio by `run`; importing this module is cheap.
"""

from __future__ import annotations

import os
import signal
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

from bot.errors import BotError, ConfigError
from bot.space import console, server
from bot.space.engine import STARTING, Progress
from bot.space.janus.machine import probe
from bot.space.janus.plan import LARGE, SHORT_NAMES, SMALL, Plan, Wishes, plan
from bot.space.server import Door
from bot.space.starting import Loaded, Report, Starting

CONCURRENCY = 64
"""Calls that reach the engine at the same time: it has a queue of its own, which is fair."""
_PACKAGES = ("torch", "transformers", "safetensors", "huggingface_hub", "gradio")


def check_packages() -> None:
    """Raises: ConfigError: a package of the extra `janus` is not installed."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"Janus on this machine needs {' and '.join(missing)}: pip install 'janus-bot[janus]'. "
            "--stand-in serves simple sketches without it."
        )


def look(wishes: Wishes) -> Plan:
    """Look at the machine and the models; nothing is loaded, and no weights are fetched.

    Raises:
        ConfigError: a package is missing, or the wished device.
        BotError: the wished model is none, or cannot be found.
    """
    check_packages()
    from bot.space.janus.files import Hub  # noqa: PLC0415 - needs one of them

    hub = Hub()
    wished = SHORT_NAMES.get(wishes.model.lower(), wishes.model)
    names = dict.fromkeys([wished, LARGE, SMALL] if wished else [LARGE, SMALL])
    shapes = {name: hub.shape(name) for name in names}
    with ThreadPoolExecutor() as threads:  # the hub answers while torch is imported
        sizes = threads.map(hub.missing_bytes, shapes, shapes.values())
        machine = probe(hub.cache)
        downloads = dict(zip(shapes, sizes, strict=True))
    wishes = Wishes(wished, wishes.device, wishes.dtype, wishes.pictures)
    return plan(machine, wishes, shapes, downloads)


def load(chosen: Plan, report: Report) -> Loaded:
    """Fetch what is missing, and load; blocks."""
    from bot.space.janus.download import fetch  # noqa: PLC0415 - same as above
    from bot.space.janus.files import Hub  # noqa: PLC0415 - same as above

    folder = fetch(Hub(), chosen.model, report)
    report(Progress(0, 1, "Preparing to load the model", STARTING))
    from bot.space.janus import engine  # noqa: PLC0415 - imports transformers, which takes seconds

    return engine.load(folder, chosen, report)


def run(chosen: Plan, door: Door, *, queue_size: int, concurrency: int = CONCURRENCY) -> int:
    """Serve until SIGINT or SIGTERM, or until the model turns out not to load.

    Returns:
        The exit code: 0, or 1 if the model could not be fetched or loaded.

    Raises:
        ConfigError: as `bot.space.server.serve`.
    """
    ticker = console.Ticker()
    errors: list[Exception] = []
    address = ""

    def ready(url: str) -> None:
        nonlocal address
        address = url
        server.announce(url)
        starting.begin()

    def ended(error: Exception | None) -> None:
        ticker.close()
        if error is None:
            console.say(console.ready(chosen.model, address, has_token=bool(door.access_tokens)))
            return
        errors.append(error)
        os.kill(os.getpid(), signal.SIGTERM)  # the server ends as it does for anybody

    starting = Starting(lambda report: load(chosen, report), heard=ticker, ended=ended)
    server.serve(starting, door, queue_size=queue_size, concurrency=concurrency, ready=ready)
    ticker.close()
    starting.close()
    for error in errors:
        if isinstance(error, BotError):
            console.say(str(error))
        else:  # a mistake in the program: whoever runs it can pass this on
            console.say("".join(traceback.format_exception(error)))
    return 1 if errors else 0
