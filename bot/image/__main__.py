"""The worker's own side: `python -m bot.image` makes one picture after the other fit to be sent on.

A request is a line with a number of bytes, and the bytes. An answer is a line of JSON, and as many
bytes as it says. An exception that nobody expected ends the process: its picture is unreadable.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings

from bot.errors import ImageError
from bot.image.normalising import normalise

_MAX_MEMORY_BYTES = 2 * 2**30
"""Of address space. Decoding the largest picture that is taken needs a quarter of it."""


def main() -> None:
    """Work until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    warnings.simplefilter("ignore")  # Pillow warns of what is odd about a file; nobody could act
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        data = requests.read(int(line))
        try:
            file = normalise(data)
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
