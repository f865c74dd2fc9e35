"""Clients of a Gradio server, measured in a process that has nothing else to do.

    python benchmarks/_clients.py CLIENT URL QUESTION SIDE

Each line of its input is a number of turns, how many of them at once, and in how many seconds to
begin them. It asks so many questions about a picture and writes what they cost as a line of JSON.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import secrets
import struct
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from bot.provider import DeepseekAI_JanusPro7b

Ask: TypeAlias = Callable[[str], Awaitable[str]]
"""One turn: a question, always about the same picture, and its answer."""

MAX_AT_ONCE = 100
PHOTO_SIDE = 192
"""Pixels of a picture that has 110 kB, as photographs of 1,024 pixels have. With 64
pixels it has 12 kB, with 8 it has 0.3 kB, less than the blank one of questions without any."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What some turns cost.

    Attributes:
        turns: how many were asked.
        failed: how many of them have no answer.
        cpu: seconds of all threads, in the program and in the system on its behalf.
        waits: seconds from each question to its answer.
        grown: bytes by which the memory in use grew meanwhile.
        threads: the most that there were.
    """

    turns: int
    failed: int
    cpu: float
    waits: list[float]
    grown: int
    threads: int


def picture(side: int) -> bytes:
    """A PNG of coloured noise, which does not get smaller by compression."""
    noise = os.urandom(side * side * 3)
    width = side * 3
    rows = b"".join(b"\0" + noise[y * width : (y + 1) * width] for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@asynccontextmanager
async def provider(url: str, image: bytes) -> AsyncIterator[Ask]:
    """What this project is about."""
    from bot.provider import (  # noqa: PLC0415 - only what is measured is in memory
        DeepseekAI_JanusPro7b,
        open_session,
    )

    async with open_session() as session:
        yield partial(answered, DeepseekAI_JanusPro7b(api_url=url, session=session), image)


@asynccontextmanager
async def on_class(url: str, image: bytes) -> AsyncIterator[Ask]:
    """The same, called on the class, as the examples of its page do."""
    from bot.provider import DeepseekAI_JanusPro7b  # noqa: PLC0415 - as above

    class Here(DeepseekAI_JanusPro7b):
        api_url = url

    yield partial(answered, Here, image)


async def answered(
    janus: DeepseekAI_JanusPro7b | type[DeepseekAI_JanusPro7b], image: bytes, question: str
) -> str:
    from bot.provider import Text  # noqa: PLC0415 - as above

    answer = ""
    media = [(image, "picture.png")]
    stream = janus.create_async_generator("", [question], media=media, seed=1)
    async with aclosing(stream):
        async for response in stream:
            if isinstance(response, Text):
                answer += response
    return answer


@asynccontextmanager
async def bare(url: str, image: bytes) -> AsyncIterator[Ask]:
    """The same requests as the provider's, by hand and without any care."""
    import aiohttp  # noqa: PLC0415 - as above

    root = f"{url.rstrip('/')}/gradio_api/queue"
    forever = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get(f"{url.rstrip('/')}/config") as response:
            functions = {
                entry["api_name"]: entry for entry in (await response.json())["dependencies"]
            }
        function = functions["multimodal_understanding"]

        async def ask(question: str) -> str:
            encoded = base64.b64encode(image).decode()
            file = {
                "path": None,
                "url": f"data:image/png;base64,{encoded}",
                "meta": {"_type": "gradio.FileData"},
            }
            session_hash = secrets.token_hex(8)
            body = {
                "data": [file, question, 1, 0.95, 0.1],
                "event_data": None,
                "fn_index": function["id"],
                "trigger_id": function["targets"][0][0],
                "session_hash": session_hash,
            }
            async with session.post(f"{root}/join", json=body) as response:
                await response.json()
            answer = ""
            stream = session.get(f"{root}/data?session_hash={session_hash}", timeout=forever)
            async with stream as response:
                async for line in response.content:
                    if not line.startswith(b"data: "):
                        continue
                    message = json.loads(line[6:])
                    if message["msg"] == "process_completed":
                        answer = message["output"]["data"][0]
            return answer

        yield ask


@asynccontextmanager
async def gradio_client(url: str, image: bytes) -> AsyncIterator[Ask]:
    """Gradio's own client, used as its documentation says, with a thread for each call."""
    from gradio_client import Client, handle_file  # noqa: PLC0415 - as above

    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(image)
        file.flush()
        client = await asyncio.to_thread(
            Client, url, verbose=False, max_workers=MAX_AT_ONCE, analytics_enabled=False
        )
        handle = handle_file(file.name)

        async def ask(question: str) -> str:
            job = client.submit(
                handle, question, 1, 0.95, 0.1, api_name="/multimodal_understanding"
            )
            return str(await asyncio.wrap_future(job.future))

        yield ask


CLIENTS = {client.__name__: client for client in (provider, on_class, bare, gradio_client)}


def memory() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


async def measure(ask: Ask, question: str, turns: int, at_once: int, seconds: float) -> Cost:
    """Ask, `at_once` questions at a time, and begin no more once `seconds` are over."""
    waits: list[float] = []
    threads = [0]
    asked = [0]

    async def worker() -> None:
        while asked[0] < turns and time.perf_counter() < end:
            asked[0] += 1
            begun = time.perf_counter()
            try:
                answer = await ask(question)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - counted below
                # gradio_client lets calls of others end in a cancellation.
                print(repr(error), file=sys.stderr)
                continue
            if answer:
                waits.append(time.perf_counter() - begun)
            threads[0] = max(threads[0], threading.active_count())

    before = memory()
    end = time.perf_counter() + seconds
    used = time.process_time()
    await asyncio.gather(*(worker() for _ in range(min(at_once, turns))))
    used = time.process_time() - used
    return Cost(asked[0], asked[0] - len(waits), used, waits, memory() - before, threads[0])


async def main(name: str, url: str, question: str, side: str) -> None:
    """Measure as often as asked."""
    async with CLIENTS[name](url, picture(int(side))) as ask:
        # Connections, caches and the configuration are there before anything is counted.
        await measure(ask, question, 3, 1, 60)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            turns, at_once, seconds = map(int, line.split())
            cost = await measure(ask, question, turns, at_once, seconds)
            print(json.dumps(asdict(cost)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
