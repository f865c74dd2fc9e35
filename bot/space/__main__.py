"""`python -m bot.space`: the offline stand-in Space as a program of its own.

It prints one line, `space ready: <URL>`, and ends on SIGINT or SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Annotated

import typer

from bot.errors import BotError, ConfigError
from bot.space.server import Door, serve
from bot.space.stand_in import STEP_DELAY_SECONDS, StandIn


def main(  # noqa: PLR0913 - one for each option
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any free one.", min=0, max=65535)] = 7860,
    step_delay: Annotated[
        float, typer.Option(help="Seconds that each step of the work takes at least.", min=0)
    ] = STEP_DELAY_SECONDS,
    queue_size: Annotated[
        int, typer.Option(help="Requests that may wait; 0 for no limit.", min=0)
    ] = 32,
    concurrency: Annotated[
        int, typer.Option(help="Calls of each function that run at the same time.", min=1)
    ] = 1,
    access_token: Annotated[
        list[str] | None,
        typer.Option(help="Asked for; needed where other machines can connect. May be repeated."),
    ] = None,
    *,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End when standard input closes, too.")
    ] = False,
) -> None:
    """Serve the offline stand-in for Janus-Pro-7B: the Space's functions without the model."""
    if with_parent:
        threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        serve(
            StandIn(step_delay=step_delay),
            Door(host, port, access_token or ()),
            queue_size=queue_size,
            concurrency=concurrency,
        )
    except BotError as error:
        typer.echo(str(error), err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    # Everything is closed and removed. All that is left is to take Gradio's modules apart, which
    # takes seconds on a busy machine and serves nobody.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _end_with_input() -> None:
    """Wait until whoever started this program is gone, however it went."""
    # Not sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    typer.run(main)
