"""A channel as a ZIP that people can keep: Markdown to read, JSON for programs, the pictures."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bot.models import JsonObject
from bot.storage.pictures import read
from bot.storage.schema import whole

SHORT = 16
"""Characters of a picture's key in the name of its file."""


def pack(data: JsonObject, files: Mapping[str, Path]) -> bytes:
    """A ZIP with `conversation.md`, `data.json` and `images/`.

    It reads files, so it belongs into a thread.

    Args:
        data: what `bot.storage.export.export_channel` gives.
        files: of the pictures in it, by key. Missing and damaged ones are left out, and the
            Markdown says so.

    Raises:
        OSError: the disk refused.
    """
    buffer = io.BytesIO()
    now = time.gmtime()
    names: dict[str, str] = {}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, content: bytes, how: int = zipfile.ZIP_DEFLATED) -> None:
            entry = zipfile.ZipInfo(name, date_time=now[:6])
            entry.compress_type = how
            entry.external_attr = 0o644 << 16  # where they are unpacked, their owner may write
            archive.writestr(entry, content)

        for key, file in files.items():
            if (content := read(file)) is not None:
                names[key] = f"images/{key[:SHORT]}{file.suffix}"
                # Pictures are compressed already.
                add(names[key], content, zipfile.ZIP_STORED)
        add("conversation.md", _bytes(to_markdown(data, names)))
        add("data.json", _bytes(json.dumps(data, ensure_ascii=False, indent=2) + "\n"))
    return buffer.getvalue()


def to_markdown(data: JsonObject, names: Mapping[str, str]) -> str:
    """What was asked and answered, for people to read. What somebody wrote stands as a quotation.

    Args:
        data: what `bot.storage.export.export_channel` gives.
        names: where pictures are, by key.
    """
    recipes = {each["key"]: each["recipe"] for each in data["pictures"] if each["recipe"]}
    lines = [f"# {_plain(data['channel'])}", "", "Times are in UTC."]
    for turn in data["turns"]:
        lines += ["", *_turn(turn, names, recipes)]
    return "\n".join(lines) + "\n"


def _turn(
    turn: JsonObject, names: Mapping[str, str], recipes: Mapping[str, JsonObject]
) -> Iterator[str]:
    command, answer = turn["command"], turn["answer"]
    drawing = command["kind"] == "imagine"
    asked = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(turn["accepted_at"]))
    yield f"## {asked} · {_plain(turn['person']['name'])}"
    yield ""
    yield "Draw:" if drawing else "Question:"
    yield ""
    yield _quoted(command["prompt"] if drawing else command["question"])
    yield from _attachments(turn["attachments"])
    yield from _pictures(turn["pictures"], names)
    yield ""
    if answer is None:
        yield f"No answer yet ({turn['state']})."
        return
    yield f"Answer ({answer['outcome']}):"
    yield ""
    yield _quoted(answer["text"])
    yield from _pictures(answer["pictures"], names)
    yield from _recipes([recipes[key] for key in answer["pictures"] if key in recipes])


def _attachments(attachments: Sequence[JsonObject]) -> Iterator[str]:
    if attachments:
        yield ""
        yield "Sent along: " + ", ".join(_plain(each["name"]) for each in attachments)


def _pictures(keys: Sequence[str], names: Mapping[str, str]) -> Iterator[str]:
    for key in keys:
        yield ""
        if key in names:
            yield f"![{key[:SHORT]}]({names[key]})"
        else:
            yield f"(Picture {key[:SHORT]} is not stored any more.)"


def _recipes(recipes: Sequence[JsonObject]) -> Iterator[str]:
    """One line for the pictures of one call, which differ in their number only."""
    numbers: dict[str, list[str]] = {}
    for recipe in recipes:
        told = (
            f"seed {recipe['seed']}, guidance {recipe['guidance']:g}, "
            f"temperature {recipe['temperature']:g}, Space {_plain(recipe['space'])}, "
            f"prompt: {_plain(recipe['prompt'])}"
        )
        numbers.setdefault(told, []).append(str(recipe["index"] + 1))
    for told, pictures in numbers.items():
        yield ""
        yield f"Recipe of image {', '.join(pictures)}: {told}"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.split("\n"))


def _plain(text: str) -> str:
    """Text within a line, with nothing in it that Markdown would take for its own."""
    return re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", " ".join(text.split()))


def _bytes(text: str) -> bytes:
    return whole(text).encode()
