"""A channel for the people in it: as JSON, and as a ZIP with Markdown to read and the pictures."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.files import Recipe
from bot.models import JsonObject, Turn
from bot.provider.responses import JsonConversation
from bot.storage.pictures import in_batches, read_picture
from bot.storage.rows import turn_from_row, turn_to_row
from bot.storage.schema import channels, images, storable, turns

_KEY_CHARS = 16
"""Of a picture's key in the name of its file."""


async def export_channel(connection: AsyncConnection, channel: str) -> JsonObject:
    """What is stored about a channel, oldest first; empty lists for an unknown one.

    Left out, because they are secrets or lead to some: the provider's tokens, the addresses of
    replies (interaction tokens), and where a platform keeps attachments.
    """
    stored = await connection.scalar(
        select(channels.c.conversation).where(channels.c.key == channel)
    )
    conversation = JsonConversation() if stored is None else JsonConversation.from_json(stored)
    rows = await connection.execute(
        select(turns).where(turns.c.channel == channel).order_by(turns.c.position)
    )
    found = [turn_from_row(row) for row in rows.mappings()]
    return {
        "version": 1,
        "channel": channel,
        "conversation": conversation.without_secrets().to_json(),
        "turns": [_turn_to_json(turn) for turn in found],
        "pictures": await _pictures_to_json(connection, found),
    }


def _turn_to_json(turn: Turn) -> JsonObject:
    row = turn_to_row(turn)
    told = ("id", "message_id", "server", "reply_to", "command", "seed", "state", "accepted_at")
    return {name: row[name] for name in told} | {
        "person": {"id": str(turn.person), "name": turn.person.name},
        "attachments": [
            {"name": each.name, "size": each.size, "media_type": each.media_type}
            for each in turn.attachments
        ],
        "pictures": row["pictures"],
        "answer": row["answer"],
    }


async def _pictures_to_json(connection: AsyncConnection, found: Sequence[Turn]) -> list[JsonObject]:
    """What is known of each picture that the turns name, once each, in their order."""
    keys = list(
        dict.fromkeys(
            key
            for turn in found
            for key in (*turn.pictures, *(turn.answer.pictures if turn.answer else ()))
        )
    )
    known: dict[str, JsonObject] = {}
    for some in in_batches(keys):
        rows = await connection.execute(select(images).where(images.c.key.in_(some)))
        known |= {row["key"]: {**row} for row in rows.mappings()}
    for row in known.values():
        if row["recipe"]:
            row["recipe"] = Recipe.from_json(row["recipe"]).to_json()
    names = ("key", "media_type", "size", "width", "height", "recipe", "created_at")
    return [{name: known[key][name] for name in names} for key in keys if key in known]


def pack(data: JsonObject, files: Mapping[str, Path]) -> bytes:
    """A ZIP with `conversation.md`, `data.json` and `images/`.

    Reads files, so it belongs in a thread.

    Args:
        data: what `export_channel` gives.
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
            if (content := read_picture(file)) is not None:
                names[key] = f"images/{key[:_KEY_CHARS]}{file.suffix}"
                # Pictures are compressed already.
                add(names[key], content, zipfile.ZIP_STORED)
        add("conversation.md", _bytes(_to_markdown(data, names)))
        add("data.json", _bytes(json.dumps(data, ensure_ascii=False, indent=2) + "\n"))
    return buffer.getvalue()


def _to_markdown(data: JsonObject, names: Mapping[str, str]) -> str:
    """What was asked and answered, for people to read. What somebody wrote stands as a quotation.

    Args:
        data: what `export_channel` gives.
        names: where pictures are, by key.
    """
    recipes = {each["key"]: each["recipe"] for each in data["pictures"] if each["recipe"]}
    lines = [f"# {_plain(data['channel'])}", "", "Times are in UTC."]
    for turn in data["turns"]:
        lines += ["", *_turn(turn, names, recipes)]
    return "\n".join(lines) + "\n"


def _turn(
    turn: JsonObject, names: Mapping[str, str], recipes: Mapping[str, JsonObject]
) -> list[str]:
    command, answer = turn["command"], turn["answer"]
    kind, asked = ("Draw:", "prompt") if command["kind"] == "imagine" else ("Question:", "question")
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(turn["accepted_at"]))
    lines = [f"## {when} · {_plain(turn['person']['name'])}", "", kind, "", _quoted(command[asked])]
    if attachments := turn["attachments"]:
        lines += ["", "Sent along: " + ", ".join(_plain(each["name"]) for each in attachments)]
    lines += _pictures(turn["pictures"], names)
    if answer is None:
        return [*lines, "", f"No answer yet ({turn['state']})."]
    said = "\n\n".join(part for part in (answer["text"], answer["note"]) if part)
    lines += ["", f"Answer ({answer['outcome']}):", "", _quoted(said)]
    lines += _pictures(answer["pictures"], names)
    return lines + _recipes([recipes[key] for key in answer["pictures"] if key in recipes])


def _pictures(keys: Sequence[str], names: Mapping[str, str]) -> list[str]:
    lines = []
    for key in keys:
        name = key[:_KEY_CHARS]
        stored = f"![{name}]({names[key]})" if key in names else None
        lines += ["", stored or f"(Picture {name} is not stored any more.)"]
    return lines


def _recipes(recipes: Sequence[JsonObject]) -> list[str]:
    """One line for all pictures of a call, which differ only in their number."""
    numbers: dict[str, list[str]] = {}
    for recipe in recipes:
        told = (
            f"seed {recipe['seed']}, guidance {recipe['guidance']:g}, "
            f"temperature {recipe['temperature']:g}, Space {_plain(recipe['space'])}, "
            f"prompt: {_plain(recipe['prompt'])}"
        )
        numbers.setdefault(told, []).append(str(recipe["index"] + 1))
    lines = []
    for told, pictures in numbers.items():
        lines += ["", f"Recipe of image {', '.join(pictures)}: {told}"]
    return lines


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.split("\n"))


def _plain(text: str) -> str:
    """Text for use within a line, with everything escaped that Markdown would interpret."""
    return re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", " ".join(text.split()))


def _bytes(text: str) -> bytes:
    return storable(text).encode()
