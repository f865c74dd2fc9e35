"""What `https://t.me/<bot>?start=<payload>` opens the bot with. Pure.

A payload has 64 characters of A-Z, a-z, 0-9, _ and - (Bot API, "Deep linking").
"""

from __future__ import annotations

import base64
import binascii
import re

from bot.turns.commands import Command, CommandError, Help, Privacy, imagine

_START = re.compile(r"\s*/start(?:@\w+)?\s+(?P<payload>[A-Za-z0-9_-]{1,64})\s*", re.IGNORECASE)
_PROMPT = "imagine_"


def opened_with(text: str) -> Command | None:
    """What a `/start` with a payload asks for; `None` if the text is none.

    `privacy` is `/privacy`, and `imagine_` with a prompt in Base64 for addresses (RFC 4648, without
    padding) draws it. Anything else is of another version, and gets the help.
    """
    match = _START.fullmatch(text)
    if match is None:
        return None
    payload = match["payload"]
    if payload == "privacy":
        return Privacy()
    if payload.startswith(_PROMPT):
        return _drawing(payload.removeprefix(_PROMPT))
    return Help()


def _drawing(encoded: str) -> Command:
    try:
        # Padding to a multiple of four; more than is needed is passed over.
        prompt = base64.urlsafe_b64decode(f"{encoded}===").decode()
        return imagine(prompt)
    except (binascii.Error, UnicodeDecodeError, CommandError):
        return Help()
