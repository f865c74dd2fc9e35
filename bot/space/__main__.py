"""`python -m bot.space`, `janus-bot space`: a Space of one's own as a program.

Standard output has one line, `space ready: <URL>`, once calls are taken; programs wait for it. With
the model calls are taken while it is still fetched and loaded. What is for people goes to standard
error. SIGINT and SIGTERM end it at any moment.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 the model does not fit on this machine.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from bot.errors import BotError, ConfigError
from bot.space import console
from bot.space.janus.plan import Wishes
from bot.space.model import CONCURRENCY, look, run
from bot.space.server import Door, serve
from bot.space.stand_in import STEP_DELAY_SECONDS, StandIn

DOES_NOT_FIT = 3
TOKEN_VARIABLE = "JANUS_SPACE_ACCESS_TOKEN"  # noqa: S105 - the name of the variable

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Precision(StrEnum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    INT8 = "int8"
    INT4 = "int4"


@app.command()
def main(  # noqa: PLR0913, PLR0917 - one for each option
    model: Annotated[
        str, typer.Option(help="1b, 7b, a repository on Hugging Face, or a folder.")
    ] = "",
    device: Annotated[str, typer.Option(help="cuda, cuda:1, xpu, mps or cpu.")] = "",
    dtype: Annotated[
        Precision | None,
        typer.Option(help="Precision of the language model; int4 is never chosen by itself."),
    ] = None,
    pictures: Annotated[
        int | None, typer.Option(help="Drawn at a time, of the five of a drawing.", min=1, max=5)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 for any free one.", min=0, max=65535)] = 7860,
    access_token: Annotated[
        list[str] | None,
        typer.Option(
            help="Asked for; needed where other machines can connect. May be repeated.",
            envvar=TOKEN_VARIABLE,
        ),
    ] = None,
    queue_size: Annotated[
        int, typer.Option(help="Requests that may wait; 0 for no limit.", min=0)
    ] = 32,
    concurrency: Annotated[
        int,
        typer.Option(
            help="Calls of each function that run at the same time; 0: 1 for the stand-in, as "
            "many as useful for the model.",
            min=0,
        ),
    ] = 0,
    step_delay: Annotated[
        float, typer.Option(help="Of the stand-in: seconds for each step.", min=0)
    ] = STEP_DELAY_SECONDS,
    *,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would run and why; load nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --plan: as JSON.")] = False,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="Serve simple sketches, without any model.")
    ] = False,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", help="End when standard input closes, too.")
    ] = False,
) -> None:
    """Serve Janus-Pro on this machine, for the bot or anything else that knows the Space.

    Without options it chooses what fits, says why, fetches the model once and serves it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # until the server ends in its own way
        signal.signal(number, lambda _number, _frame: _leave(0))
    if with_parent:
        threading.Thread(target=_end_with_input, daemon=True).start()
    door = Door(host, port, access_token or ())
    try:
        if as_json and not plan:
            raise ConfigError("--json goes with --plan.")
        if stand_in:
            engine = StandIn(step_delay=step_delay)
            serve(engine, door, queue_size=queue_size, concurrency=concurrency or 1)
            code = 0
        else:
            wishes = Wishes(model, device, dtype.value if dtype else "", pictures or 0)
            code = _with_model(
                wishes,
                door,
                as_json=as_json,
                plan_only=plan,
                queue_size=queue_size,
                concurrency=concurrency or CONCURRENCY,
            )
    except BotError as error:
        console.say(str(error))
        code = 2 if isinstance(error, ConfigError) else 1
    _leave(code)


def _with_model(
    wishes: Wishes, door: Door, *, plan_only: bool, as_json: bool, queue_size: int, concurrency: int
) -> int:
    chosen = look(wishes)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(chosen)))
    elif plan_only:
        typer.echo(console.as_text(chosen))
    else:
        console.say(console.as_text(chosen))
    if not chosen.fits:
        return DOES_NOT_FIT
    if plan_only:
        return 0
    return run(chosen, door, queue_size=queue_size, concurrency=concurrency)


def _leave(code: int) -> NoReturn:
    """End at once.

    Everything is closed and removed. All that is left is to take Gradio's modules apart, which
    takes seconds on a busy machine and serves nobody; and a download has no end of its own.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_with_input() -> None:
    """Wait until whoever started this program is gone, however it went."""
    # Not sys.stdin: its lock would be held when the interpreter ends.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    app(prog_name="janus-bot space")
