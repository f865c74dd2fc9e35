"""In place of the package `spaces` on ZeroGPU: each call of a decorated generator is a process.

As in `spaces` 0.51: `duration` is called with the arguments of the call, the process is forked, the
arguments and everything that is yielded are pickled, the process stops at its next step once nobody
listens, and is killed when its time is over. Its name is that of the package, so that the folder on
the path is enough for `import spaces`.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

_FORK = multiprocessing.get_context("fork")


class Aborted(Exception):
    """What `gr.Error` is there."""


def GPU(*, duration: Callable[..., int]) -> Callable[..., Any]:  # noqa: N802 - its name
    """See `spaces.GPU`; what was asked for is in the attribute `asked` of the result."""

    def decorate(task: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def on_gpu(*arguments: Any) -> Iterator[Any]:
            seconds = duration(*arguments)
            asked.append(seconds)
            print(f"GPU for {seconds} s", flush=True)  # noqa: T201 - how a test sees it
            results, into = _FORK.Pipe(duplex=False)
            stop = _FORK.Event()
            process = _FORK.Process(target=_work, args=(task, pickle.dumps(arguments), into, stop))
            process.start()
            into.close()
            killer = threading.Timer(seconds, process.kill)
            killer.start()
            try:
                while True:
                    try:
                        kind, value = pickle.loads(results.recv_bytes())  # noqa: S301 - our own
                    except EOFError:
                        raise Aborted("GPU task aborted") from None
                    if kind == "end":
                        return
                    if kind == "error":
                        raise Aborted(value)
                    yield value
            finally:
                stop.set()
                killer.cancel()
                results.close()
                process.join(30)

        on_gpu.asked = asked  # type: ignore[attr-defined] # for tests
        return on_gpu

    asked: list[int] = []
    return decorate


def _work(task: Callable[..., Iterator[Any]], arguments: bytes, into: Any, stop: Any) -> None:
    made = task(*pickle.loads(arguments))  # noqa: S301 - our own
    try:
        for value in made:
            if stop.is_set():
                made.close()  # type: ignore[attr-defined] # a generator
                break
            into.send_bytes(pickle.dumps(("step", value)))
    except Exception as error:  # noqa: BLE001 - as there: only the name of the class is handed on
        into.send_bytes(pickle.dumps(("error", type(error).__name__)))
    else:
        into.send_bytes(pickle.dumps(("end", None)))
    os._exit(0)
