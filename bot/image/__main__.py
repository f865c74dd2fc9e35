"""The worker's end: `python -m bot.image` makes one picture after another fit to be sent on.

A request is a line with a number of bytes, then the bytes; for a contact sheet, the word `sheet`
and a number for each picture, then the bytes of all. An answer is a line of JSON, then as many
bytes as it says. An unexpected exception ends the process: that picture is unreadable.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings

from bot.errors import ImageError
from bot.image.contact_sheet import contact_sheet
from bot.image.normalising import normalise

_MAX_MEMORY_BYTES = 2 * 2**30
"""Of address space. Decoding the largest picture accepted needs a quarter of it."""


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    warnings.simplefilter("ignore")  # Pillow warns about odd files; nobody could act on it
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        *kind, last = line.split()
        sheet = kind[:1] == [b"sheet"]
        pictures = [requests.read(int(size)) for size in (*kind[1:], last)]
        try:
            file = contact_sheet(pictures) if sheet else normalise(pictures[0])
        except ImageError as error:
            answer = {"error": type(error).__name__, "text": str(error), "bytes": 0}
            made = b""
        else:
            answer = {"media_type": file.media_type, "bytes": len(file.data)}
            made = file.data
        answers.write(json.dumps(answer).encode() + b"\n" + made)
        answers.flush()


if __name__ == "__main__":
    main()
