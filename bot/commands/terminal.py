"""`janus-bot ask` and `janus-bot imagine`: one turn in the terminal.

Answers go to standard output, progress to standard error: live on a terminal, plain lines in a
pipe.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, nullcontext, suppress
from itertools import chain, count
from pathlib import Path

from rich.console import Console
from rich.text import Text as RichText

from bot.builders import open_spaces
from bot.config import Config
from bot.errors import ConfigError, StorageError
from bot.files import File, Recipe, suffix_of
from bot.image import to_bytes
from bot.image.png_metadata import png_with_recipe
from bot.image.worker import PictureWorker
from bot.models import Imagine
from bot.provider import DeepseekAI_JanusPro7b
from bot.provider.responses import ImageResponse, Reasoning, Response, Text
from bot.turns.history import messages

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What would move the terminal's cursor, or do worse, if a model said it."""


async def ask_once(config: Config, question: str, image: Path | None) -> None:
    """Ask one question, perhaps about a picture, and print the answer as it comes.

    Raises:
        ConfigError: there is neither a question nor a picture.
        ImageError: the picture cannot be used.
        ProviderError: no answer.

    Cancelling: the Space is told.
    """
    if image is None and not question.strip():
        raise ConfigError('Ask something, as in: janus-bot ask "What is art?"')
    media = None
    if image is not None:
        async with PictureWorker() as worker:
            picture = await worker.normalise(await asyncio.to_thread(to_bytes, image))
        media = [(picture.data, f"image.{suffix_of(picture.media_type)}")]
    async with open_spaces(config) as spaces:
        said = messages(config.bot.system_prompt, (), question, "")
        await _print(
            spaces.create_async_generator(
                DeepseekAI_JanusPro7b.default_vision_model, said, media=media
            )
        )


async def imagine_once(config: Config, command: Imagine, folder: Path) -> None:
    """Draw, save the pictures in `folder`, and print their paths one a line.

    Raises:
        ProviderError: no pictures.
        StorageError: they cannot be saved.

    Cancelling: the Space is told.
    """
    async with open_spaces(config) as spaces:
        made = await _print(
            spaces.create_async_generator(
                DeepseekAI_JanusPro7b.default_image_model,
                prompt=command.prompt,
                seed=command.seed,
                guidance=command.guidance,
                previews=False,  # a terminal shows none
            )
        )
    if made and made[0].recipe is not None:
        Console(stderr=True).print(f"seed {made[0].recipe.seed}", highlight=False)
    for image in made:
        sys.stdout.write(f"{_save(image, folder)}\n")


async def _print(stream: AsyncGenerator[Response, None]) -> list[File]:
    images: list[File] = []
    wrote = ""
    with _progress() as show:
        async with aclosing(stream):
            async for response in stream:
                match response:
                    case Text():
                        show(None)
                        sys.stdout.write(_shown(response))
                        sys.stdout.flush()
                        wrote = response or wrote
                    case Reasoning():
                        show(response)
                    case ImageResponse():
                        images.extend(response.images)
                    case _:
                        pass
    if wrote and not wrote.endswith("\n"):
        sys.stdout.write("\n")
    return images


def _shown(text: str) -> str:
    """What the model said, made safe for a terminal; a pipe gets it as it is."""
    return _CONTROL.sub("", text) if sys.stdout.isatty() else text


@contextmanager
def _progress() -> Iterator[Callable[[Reasoning | None], None]]:
    """Yields a function that shows progress; `None` takes the live line away."""
    console = Console(stderr=True)
    last = ""
    with console.status("asking the Space") if console.is_terminal else nullcontext() as live:

        def show(progress: Reasoning | None) -> None:
            nonlocal last
            if progress is None:
                if live is not None:
                    live.stop()
            elif live is not None:
                live.update(RichText(progress.content))
            elif progress.content != last:
                last = progress.content
                console.print(RichText(last))

        yield show


def _save(image: File, folder: Path) -> Path:
    """Write a picture as PNG with its recipe inside; never over another."""
    recipe = image.recipe or Recipe("", 0, 0.0, 0.0, "")
    words = re.sub(r"[^a-z0-9]+", "-", recipe.prompt.lower()).strip("-")[:40] or "picture"
    name = f"{words}-{recipe.seed}-{recipe.index + 1}"
    data = png_with_recipe(image).data
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = chain([name], (f"{name}-{copy}" for copy in count(2)))
        while True:
            path = folder / f"{next(names)}.png"
            with suppress(FileExistsError), path.open("xb") as file:
                file.write(data)
                return path
    except OSError as error:
        raise StorageError(f"{folder} cannot be written to: {error.strerror}.") from error
