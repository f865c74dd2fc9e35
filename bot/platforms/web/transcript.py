"""Turns, notices and buttons as the page reads them: JSON."""

from __future__ import annotations

from bot.actions import Rows
from bot.i18n import Words
from bot.models import Answer, Ask, Imagine, JsonObject, Notice, Turn
from bot.platforms.web.files import Downloads
from bot.platforms.web.pages import markdown_html
from bot.reply.render import MOODS, under_answer


def turn_to_json(turn: Turn, words: Words, *, removed: bool = False) -> JsonObject:
    """One turn: what was asked, and what it came to if it has come to something.

    Args:
        turn: in any state.
        words: the language of descriptions and buttons.
        removed: its reply was removed, so what it came to is not shown any more.
    """
    answer = None if removed or turn.answer is None else _answer(turn, turn.answer, words)
    mine = words("web-your-picture")
    return {
        "message": turn.message_id,
        "turn": turn.id,
        "at": turn.accepted_at,
        "question": _question(turn.command),
        "draws": isinstance(turn.command, Imagine),
        "pictures": [picture_to_json(key, "", mine) for key in turn.pictures],
        "attachments": [attachment.name for attachment in turn.attachments],
        "answer": answer,
        "removed": removed,
    }


def _question(command: Ask | Imagine) -> str:
    """A command as it would be typed, for reading only."""
    if isinstance(command, Ask):
        return command.question
    seed = f" --seed {command.seed}" if command.seed is not None else ""
    guidance = f" --guidance {command.guidance:g}" if command.guidance is not None else ""
    return f"/imagine {command.prompt}{seed}{guidance}"


def _answer(turn: Turn, answer: Answer, words: Words) -> JsonObject:
    count = len(answer.pictures)
    subject = turn.command.prompt if isinstance(turn.command, Imagine) else ""
    pictures = [
        picture_to_json(
            key,
            f"janus-{turn.id}-{number}",
            words("alt-number-of", prompt=subject, number=number, count=count),
        )
        for number, key in enumerate(answer.pictures, 1)
    ]
    text = answer.text if answer.text.strip() or answer.note else words("answer-none")
    return {
        "html": markdown_html(text),
        "note": markdown_html(answer.note),
        "pictures": pictures,
        "mood": MOODS[answer.outcome].value,
        "buttons": rows_to_json(under_answer(answer, turn.id, count, words)),
    }


async def notice_to_json(notice: Notice, downloads: Downloads) -> JsonObject:
    """A notice; its files can be fetched from now on.

    Raises:
        OSError: the files cannot be kept.
    """
    return {
        "html": markdown_html(notice.text),
        "private": notice.private,
        "buttons": rows_to_json(notice.buttons),
        "files": [await downloads.add(file) for file in notice.files],
        "replaces": notice.replaces,
    }


def picture_to_json(key: str, name: str, alt: str) -> JsonObject:
    """A picture by its SHA-256; `name` for saving it, `alt` for people who do not see it."""
    return {"url": f"/pictures/{key}", "name": name, "alt": alt}


def rows_to_json(rows: Rows) -> list[list[JsonObject]]:
    return [
        [
            {
                "action": str(button.action),
                "label": button.label,
                "danger": button.danger,
                "chosen": button.chosen,
            }
            for button in row
        ]
        for row in rows
    ]
