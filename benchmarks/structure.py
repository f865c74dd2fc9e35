"""How many places does a reader have to look at? The structure of a checkout, in figures.

    python benchmarks/structure.py [CHECKOUT] [--no-trace] [--names]

It names nothing inside `bot/`, so one version of it measures two checkouts and the figures can be
set side by side. What counts:

- *files*: all Python files of `bot/`. Catalogues and the browser's files are not Python.
- *one importer*: a file, no `__init__.py`, that exactly one other file of `bot/` imports, at any
  depth of indentation. `from bot.a import b` imports `bot/a/b.py` where that is a file, and
  `bot/a/__init__.py` or `bot/a.py` otherwise.
- *broad handlers*: `except:`, `except Exception`, `except BaseException`, and more than eight types
  at once, which are one of these in disguise; the same in `suppress(…)`. A tuple that got a name in
  any module of `bot/` counts like one written out.
- *one-line docstrings*: of functions and classes.
- *functions per photo question*: the bot runs as `janus-bot run` against the project's Telegram
  server (`tests/servers`) and an offline Space. Once it is connected and idle, somebody sends a
  photo with a question, and until a second after the answer was acknowledged, every call of a
  Python function is recorded, in all threads, and so is each resumption of a coroutine. What counts
  is a distinct function: one (file, qualified name) under `bot/`. Comprehensions, generator
  expressions and lambdas belong to the function that they stand in, and what dataclasses generate
  stands nowhere; the second count has all of these. Module and class bodies are no functions. Work
  that the bot gives to other processes, and the Space, which is one, are not seen.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import importlib
import inspect
import io
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from PIL import Image

MAX_TYPES = 8
"""More than this many types in one handler are a broad one in disguise."""
SMALL_LINES = 110
LONGEST_SHOWN = 5

START_TIMEOUT_SECONDS = 180
ANSWER_TIMEOUT_SECONDS = 120
IDLE_AFTER_SECONDS = 5.0
"""After the first poll; by then all that the bot does once at its start is done."""
SETTLE_SECONDS = 1.0
"""For the bot to note down that its last message was acknowledged."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BROAD = {"Exception", "BaseException"}


# The files, read ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Source:
    """A file of `bot/`.

    Attributes:
        path: within the checkout.
        module: its dotted name.
        lines: how many there are.
        tree: what is in it.
    """

    path: Path
    module: str
    lines: int
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"


def _sources(checkout: Path) -> list[_Source]:
    """All Python files of `bot/`, in order."""
    found = []
    for file in sorted((checkout / "bot").rglob("*.py")):
        path = file.relative_to(checkout)
        parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
        text = file.read_text(encoding="utf-8")
        found.append(_Source(path, ".".join(parts), len(text.splitlines()), ast.parse(text)))
    return found


def _importers(sources: Sequence[_Source]) -> dict[str, set[str]]:
    """Which modules of `bot/` import each of them."""
    modules = {source.module for source in sources}
    importers: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        for node in ast.walk(source.tree):
            named: list[tuple[str, ...]] = []
            if isinstance(node, ast.Import):
                named = [(alias.name,) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
                named = [(f"{node.module}.{alias.name}", node.module) for alias in node.names]
            for candidates in named:
                target = next((name for name in candidates if name in modules), None)
                if target is not None and target != source.module:
                    importers[target].add(source.module)
    return importers


def _tuples(tree: ast.Module) -> dict[str, ast.Tuple]:
    """The tuples to which a module gives names."""
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Tuple)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }


def _caught(expression: ast.expr, tuples: Mapping[str, ast.Tuple]) -> Iterator[str]:
    """The types that an `except` names, tuples with names written out."""
    match expression:
        case ast.Tuple(elts=elements):
            for element in elements:
                yield from _caught(element, tuples)
        case ast.Starred(value=value):
            yield from _caught(value, tuples)
        case ast.BinOp(left=left, right=right):
            yield from _caught(left, tuples)
            yield from _caught(right, tuples)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in tuples:
            yield from _caught(tuples[name], tuples)
        case _:
            yield ast.unparse(expression)


def _broad_handlers(source: _Source, tuples: Mapping[str, ast.Tuple]) -> Iterator[str]:
    """The place of each, with what it catches."""
    for node in ast.walk(source.tree):
        match node:
            case ast.ExceptHandler(type=None):
                yield f"{source.path}:{node.lineno}  bare"
                continue
            case ast.ExceptHandler(type=ast.expr() as expression):
                types = set(_caught(expression, tuples))
            case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress")):
                types = {name for each in node.args for name in _caught(each, tuples)}
            case _:
                continue
        if broad := _BROAD & types:
            yield f"{source.path}:{node.lineno}  {broad.pop()}"
        elif len(types) > MAX_TYPES:
            yield f"{source.path}:{node.lineno}  {len(types)} types"


def _one_line_docstrings(source: _Source) -> int:
    docstrings = [
        ast.get_docstring(node)
        for node in ast.walk(source.tree)
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef))
    ]
    return sum(1 for text in docstrings if text and "\n" not in text)


def _functions(source: _Source) -> Iterator[tuple[int, str]]:
    """The length in lines and the place of each function."""
    for node in ast.walk(source.tree):
        if isinstance(node, _FUNCTIONS):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield lines, f"{source.path}:{node.lineno} {node.name}"


def _show_files(sources: Sequence[_Source], *, names: bool) -> None:
    lengths = [source.lines for source in sources]
    importers = _importers(sources)
    only = [each for each in sources if not each.is_package and len(importers[each.module]) == 1]
    small = [each for each in only if each.lines < SMALL_LINES]
    tuples = {name: each for source in sources for name, each in _tuples(source.tree).items()}
    broad = [
        place
        for source in sources
        for place in _broad_handlers(source, {**tuples, **_tuples(source.tree)})
    ]
    functions = sorted((each for source in sources for each in _functions(source)), reverse=True)
    figures = {
        "files": len(sources),
        "lines": sum(lengths),
        "lines of the median file": int(statistics.median(lengths)),
        "files with one importer": len(only),
        f"  of them under {SMALL_LINES} lines": len(small),
        "one-line docstrings": sum(map(_one_line_docstrings, sources)),
        "functions": len(functions),
        "broad handlers": len(broad),
    }
    for name, value in figures.items():
        print(f"{name:<36} {value:>7,}")
    for place in broad:
        print(f"    {place}")
    if names:
        print("each of those with one importer")
        for each in only:
            print(f"    {each.lines:>5}  {each.path}  by {importers[each.module].copy().pop()}")
    print("longest files")
    for source in sorted(sources, key=lambda each: -each.lines)[:LONGEST_SHOWN]:
        print(f"    {source.lines:>5}  {source.path}")
    print("longest functions")
    for lines, place in functions[:LONGEST_SHOWN]:
        print(f"    {lines:>5}  {place}")


# The bot, watched: this part runs in the bot's process ------------------------------------------


@dataclass(slots=True)
class _Recorder:
    """What runs between the two signals, in all threads.

    Attributes:
        folder: `bot/` of the checkout, with a separator at the end.
        running: whether calls are recorded at the moment.
        seen: the code of each call under `folder`, or generated for a module there.
    """

    folder: str
    running: bool = False
    seen: set[CodeType] = field(default_factory=set)

    def install(self) -> None:
        """Follow all threads from their beginning; Python 3.11 cannot do so later."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if self.running and event == "call" and frame.f_code not in self.seen:
            code = frame.f_code
            generated = code.co_filename.startswith("<") and _of_bot(frame)
            if generated or code.co_filename.startswith(self.folder):
                self.seen.add(code)

    def write(self, path: Path) -> None:
        """Write what was seen, as (file, qualified name)."""
        functions = sorted(
            (code.co_filename.removeprefix(self.folder), code.co_qualname)
            for code in list(self.seen)
            if code.co_flags & inspect.CO_OPTIMIZED  # neither a module's body nor a class's
        )
        path.write_text(json.dumps(functions), encoding="utf-8")


def _of_bot(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "bot"


def _run_watched(checkout: Path, result: Path) -> None:
    """Be `janus-bot run`, recorded from the first signal to the second."""
    recorder = _Recorder(f"{checkout / 'bot'}{os.sep}")

    def start(*_: object) -> None:
        recorder.running = True

    def stop(*_: object) -> None:
        recorder.running = False

    signal.signal(signal.SIGUSR1, start)
    signal.signal(signal.SIGUSR2, stop)
    sys.argv = ["janus-bot", "run"]
    cli = importlib.import_module("bot.cli")
    recorder.install()
    try:
        cli.main()
    finally:
        recorder.write(result)


# The people and the servers around it -----------------------------------------------------------


@asynccontextmanager
async def _process(
    checkout: Path, log_file: Path, *command: str, **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program with the checkout's modules, ended and waited for afterwards."""
    clean = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    with log_file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=log_file.parent,
            env={**clean, "PYTHONPATH": str(checkout), **settings},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


async def _address(space: asyncio.subprocess.Process) -> str | None:
    """Where a Space serves, once it says so; nothing if it ends."""
    assert space.stdout is not None
    async with asyncio.timeout(START_TIMEOUT_SECONDS):
        async for line in space.stdout:
            if address := re.search(rb"http://127\.0\.0\.1:\d+", line):
                return address[0].decode()
    return None


def _photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (320, 200), "red").save(file, "JPEG")
    return file.getvalue()


async def _ask(telegram: Any, bot: asyncio.subprocess.Process) -> None:
    """Send the photo to a bot that is idle, and wait until the answer is acknowledged."""
    await telegram.wait_for(lambda: telegram.called("getUpdates"), START_TIMEOUT_SECONDS)
    await asyncio.sleep(IDLE_AFTER_SECONDS)
    bot.send_signal(signal.SIGUSR1)
    person = telegram.person("Ann")
    chat = telegram.private(person)
    telegram.show(chat, person, _photo(), "What colour is this?")
    await telegram.wait_for(lambda: telegram.replies(chat), ANSWER_TIMEOUT_SECONDS)
    assert "red" in telegram.replies(chat)[0]["text"].lower(), telegram.replies(chat)[0]
    await asyncio.sleep(SETTLE_SECONDS)
    bot.send_signal(signal.SIGUSR2)
    await asyncio.sleep(SETTLE_SECONDS)


async def _trace(checkout: Path, folder: Path) -> Path:
    """The file with the functions of one photo question.

    This process must find the checkout's modules before any others: the servers are imported here.
    """
    servers = importlib.import_module("tests.servers.telegram")
    result, log = folder / "functions.json", folder / "bot.log"
    async with (
        _process(checkout, folder / "space.log", "-m", "bot", "space", "--port", "0") as space,
        servers.TelegramServer() as telegram,
    ):
        address = await _address(space)
        assert address, (folder / "space.log").read_text(errors="replace")
        settings = {
            "BOT__DATA_DIR": str(folder / "data"),
            "HTTP__ENABLED": "false",
            "LOG__FORMAT": "json",
            "SPACES": json.dumps([{"url": address}]),
            "TELEGRAM__TOKEN": servers.TOKEN,
            "TELEGRAM__API_URL": telegram.url,
        }
        watched = (__file__, str(checkout), "--watched", str(result))
        environment = {f"JANUS_BOT_{name}": value for name, value in settings.items()}
        async with _process(checkout, log, *watched, **environment) as bot:
            asked, ended = (
                asyncio.ensure_future(each) for each in (_ask(telegram, bot), bot.wait())
            )
            await asyncio.wait((asked, ended), return_when=asyncio.FIRST_COMPLETED)
            if not asked.done() or isinstance(asked.exception(), TimeoutError):
                asked.cancel()
                sys.exit(log.read_text(errors="replace"))
            await asked
    return result


def _show_trace(checkout: Path, *, names: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(_trace(checkout, Path(folder)))
        functions = [(file, name) for file, name in json.loads(result.read_text("utf-8"))]
    inner = re.compile(r"<(genexpr|listcomp|dictcomp|setcomp|lambda)>")
    named = {each for each in functions if not inner.search(each[1]) and each[0][0] != "<"}
    files = Counter(file for file, _ in named)
    print(f"{'functions per photo question':<36} {len(named):>7,}")
    print(f"{'  in files':<36} {len(files):>7,}")
    print(f"{'  with everything':<36} {len(functions):>7,}")
    print("files with most of them")
    for file, count in sorted(files.items(), key=lambda each: (-each[1], each[0]))[:LONGEST_SHOWN]:
        print(f"    {count:>5}  bot/{file}")
    if names:
        print("all of them")
        for file, name in sorted(named):
            print(f"    bot/{file} {name}")


def _main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).parents[1])
    parser.add_argument("--no-trace", action="store_true", help="only read the files")
    parser.add_argument("--names", action="store_true", help="name what is counted")
    parser.add_argument("--trace", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--watched", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    checkout = given.checkout.resolve()
    if given.watched:
        _run_watched(checkout, given.watched)
    elif given.trace:
        _show_trace(checkout, names=given.names)
    else:
        print(f"{'Python files of bot/ in':<36} {checkout}")
        _show_files(_sources(checkout), names=given.names)
        if not given.no_trace:
            sys.stdout.flush()
            # The checkout's own servers are imported, so that process must find them first.
            return subprocess.run(  # noqa: S603 - this file
                [sys.executable, __file__, str(checkout), "--trace", *["--names"] * given.names],
                env={**os.environ, "PYTHONPATH": str(checkout)},
                cwd=checkout,
                check=False,
            ).returncode
    return 0


if __name__ == "__main__":
    sys.exit(_main())
