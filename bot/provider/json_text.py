"""JSON as it goes over the wire; pure.

orjson reads and writes it, as in Gradio itself: a large picture costs a quarter of what it costs
the standard library, which looks at each of its characters more than once. What orjson is too
strict for goes through the standard library after all.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class DataUrl:
    """A file that travels inside a request, as `data:MEDIA_TYPE;base64,…`.

    It becomes text only in the request, so that nothing else has to keep that in memory.

    Attributes:
        media_type: e.g. `"image/png"`.
        data: the file.
    """

    media_type: str
    data: bytes = field(repr=False)


def dumps(value: Any) -> bytes:
    """JSON in UTF-8, with each `DataUrl` in it as a string.

    Raises:
        TypeError: there is something in `value` that JSON cannot hold.
    """
    try:
        return orjson.dumps(value, default=_text, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except orjson.JSONEncodeError:  # halves of characters, or integers of more than 64 bits
        return json.dumps(value, default=_text).encode()


def loads(data: bytes) -> Any:
    """What `data`, in UTF-8, says.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:  # not a number, and halves of characters, as Python writes them
        try:
            return json.loads(data.decode())
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _text(found: object) -> str:
    if not isinstance(found, DataUrl):
        raise TypeError(f"{type(found).__name__} cannot be sent as JSON")
    return f"data:{found.media_type};base64,{b2a_base64(found.data, newline=False).decode()}"
