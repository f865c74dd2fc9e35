"""What a Hugging Face Space runs; copy it into the Space's repository, with the files beside it.

On ordinary hardware it serves as `janus-bot space` does. On ZeroGPU each call borrows a GPU.

`JANUS_SPACE_ENGINE=stand-in` serves the offline sketch in place of the model.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from bot.errors import BotError, ConfigError
from bot.space.engine import Engine
from bot.space.hub.zero import GpuDecorator, ZeroEngine
from bot.space.server import Door, serve

_ZERO_GPU_CALLS = 4
"""Of each function at the same time: each has a GPU of its own, or waits for one."""


def main() -> None:
    """Serve until told to end.

    Raises:
        BotError: it cannot; the text says why.
    """
    # Hugging Face says where its proxy expects the app.
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0")  # noqa: S104 - behind that proxy
    port = os.environ.get("GRADIO_SERVER_PORT")
    gpu = zero_gpu()
    make = engine_maker()
    if gpu is None:
        serve(make(), Door(host, int(port or 7860), on_hugging_face=True))
    else:
        launch(ZeroEngine(make, gpu), host)


def zero_gpu() -> GpuDecorator | None:
    """`spaces.GPU` on ZeroGPU, `None` elsewhere. Has to come before anything that loads CUDA."""
    if os.environ.get("SPACES_ZERO_GPU", "").lower() not in {"1", "t", "true"}:
        return None
    decorator: GpuDecorator = importlib.import_module("spaces").GPU
    return decorator


def engine_maker() -> Callable[[], Engine]:
    """What makes the engine; on ZeroGPU it is called in each GPU's process.

    Raises:
        ConfigError: there is no such engine.
    """
    wanted = os.environ.get("JANUS_SPACE_ENGINE", "model")
    if wanted == "stand-in":
        from bot.space.stand_in import StandIn  # noqa: PLC0415 - the model needs none of it

        return StandIn
    raise ConfigError(
        "This version serves the stand-in only: set the variable JANUS_SPACE_ENGINE to stand-in in "
        "the settings of the Space."
    )


def launch(engine: Engine, host: str) -> None:
    """Serve by Gradio's own `launch`, into which `spaces` hooks its start.

    It reads the port by itself, and looks for a free one where none is set.
    """
    from starlette.middleware import Middleware  # noqa: PLC0415 - comes with Gradio

    from bot.space import app, calls  # noqa: PLC0415 - Gradio has to come after `spaces`

    front = calls.Calls(is_local=False, on_hugging_face=True)
    page: Any = app.blocks(engine, front)
    page.queue(max_size=32, default_concurrency_limit=_ZERO_GPU_CALLS)
    page.launch(
        server_name=host,
        ssr_mode=False,
        app_kwargs={"middleware": [Middleware(front.in_front_of)]},
        **app.options(),
    )


if __name__ == "__main__":
    try:
        main()
    except BotError as error:
        sys.exit(str(error))
