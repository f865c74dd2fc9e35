"""What a Hugging Face Space runs; copy it into the Space's repository, with the files beside it.

On ordinary hardware it serves as `janus-bot space` does. On ZeroGPU each call borrows a GPU.

`JANUS_SPACE_MODEL` names another model than the one that suits the hardware, as `--model` of
`janus-bot space` does. `JANUS_SPACE_ENGINE=stand-in` serves the offline sketch in place of one.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from bot.errors import BotError
from bot.space import console
from bot.space.engine import Engine
from bot.space.hub.zero import GpuDecorator, ZeroEngine
from bot.space.janus.plan import LARGE, SHORT_NAMES, Wishes
from bot.space.model import check_packages, load, look, run
from bot.space.server import Door, serve
from bot.space.stand_in import StandIn

DOES_NOT_FIT = 3
QUEUE_SIZE = 32
_ZERO_GPU_CALLS = 4
"""Of each function at the same time: each has a GPU of its own, or waits for one."""


def main() -> int:
    """Serve until told to end; returns the exit code, as `bot.space` has it.

    Raises:
        BotError: it cannot; the text says why.
    """
    # Hugging Face says where its proxy expects the app.
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0")  # noqa: S104 - behind that proxy
    port = os.environ.get("GRADIO_SERVER_PORT")
    wished = os.environ.get("JANUS_SPACE_MODEL", "")
    sketches = os.environ.get("JANUS_SPACE_ENGINE") == "stand-in"
    gpu = zero_gpu()
    if gpu is not None:
        make = StandIn if sketches else on_borrowed_gpu(wished)
        launch(ZeroEngine(make, gpu), host)
        return 0
    door = Door(host, int(port or 7860), on_hugging_face=True)
    if sketches:
        serve(StandIn(), door)
        return 0
    chosen = look(Wishes(wished))
    console.say(console.as_text(chosen))
    return run(chosen, door, queue_size=QUEUE_SIZE) if chosen.fits else DOES_NOT_FIT


def zero_gpu() -> GpuDecorator | None:
    """`spaces.GPU` on ZeroGPU, `None` elsewhere. Has to come before anything that loads CUDA."""
    if os.environ.get("SPACES_ZERO_GPU", "").lower() not in {"1", "t", "true"}:
        return None
    decorator: GpuDecorator = importlib.import_module("spaces").GPU
    return decorator


def on_borrowed_gpu(wished: str) -> Callable[[], Engine]:
    """Fetch the model now, while no GPU counts; returns what loads it in a GPU's process.

    Raises:
        BotError: it cannot be fetched.
    """
    check_packages()
    from bot.space.janus.download import fetch  # noqa: PLC0415 - needs one of them
    from bot.space.janus.files import Hub  # noqa: PLC0415 - same

    ticker = console.Ticker()
    folder = fetch(Hub(), SHORT_NAMES.get(wished.lower(), wished) or LARGE, ticker)
    ticker.close()
    importlib.import_module("bot.space.janus.engine")  # once, and not in each process

    def make() -> Engine:
        chosen = look(Wishes(str(folder)))
        if not chosen.fits:
            raise BotError(f"The model does not fit onto this GPU. {chosen.reason}")
        return load(chosen, lambda _progress: None)

    return make


def launch(engine: Engine, host: str) -> None:
    """Serve by Gradio's own `launch`, into which `spaces` hooks its start.

    It reads the port by itself, and looks for a free one where none is set.
    """
    from starlette.middleware import Middleware  # noqa: PLC0415 - comes with Gradio

    from bot.space import app, calls  # noqa: PLC0415 - Gradio has to come after `spaces`

    front = calls.Calls(is_local=False, on_hugging_face=True)
    page: Any = app.blocks(engine, front)
    page.queue(max_size=QUEUE_SIZE, default_concurrency_limit=_ZERO_GPU_CALLS)
    page.launch(
        server_name=host,
        ssr_mode=False,
        app_kwargs={"middleware": [Middleware(front.in_front_of)]},
        **app.options(),
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BotError as error:
        sys.exit(str(error))
