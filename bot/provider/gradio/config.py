"""What a Gradio server says about itself in `/config`; pure.

The shape is that of Gradio 4.44 to 6.31: `version`, `api_prefix` (absent before 5.0), `app_id`,
`max_file_size` and `dependencies`, each with `id`, `api_name`, `targets` and `inputs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.errors import SpaceBroken

_TOO_OLD = frozenset({"ws", "sse", "sse_v1"})
"""Protocols before Gradio 4.44, whose events are others; from there to 6.31 it is `sse_v3`."""
_PREFIX = re.compile(r"(?:/[\w.~-]+)*", re.ASCII)
_DATA_URL_FROM = (5, 0)
"""First version that takes a picture as a data URL in place of an upload (measured from 5.1)."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a Space, as the queue wants it named.

    Attributes:
        name: its `api_name`.
        fn_index: its number.
        trigger_id: the component whose event it is; servers do without.
        inputs: how many values it takes.
    """

    name: str
    fn_index: int
    trigger_id: int | None
    inputs: int


@dataclass(frozen=True, slots=True)
class SpaceConfig:
    """A Gradio server, as far as a client has to know it.

    Attributes:
        version: e.g. `(5, 1, 0)`; `()` if it does not say.
        protocol: of the event stream, e.g. `"sse_v3"`; `""` if it does not say.
        prefix: in front of every path but `/config`; `""` or e.g. `"/gradio_api"`.
        app_id: another one after every restart.
        takes_data_urls: whether a picture may come inside the request.
        max_file_size: bytes that an upload may have; `None` for no limit.
        functions: by `api_name`.
    """

    version: tuple[int, ...]
    protocol: str
    prefix: str
    app_id: str
    takes_data_urls: bool
    max_file_size: int | None
    functions: Mapping[str, Function]

    def function(self, name: str) -> Function:
        """The function called `name`.

        Raises:
            SpaceBroken: the Space has none, or cannot be talked to.
        """
        if self.protocol in _TOO_OLD:
            raise SpaceBroken(
                f"This Space runs a Gradio that is too old ({self.protocol}); 4.44 is the first "
                "that is understood."
            )
        try:
            return self.functions[name]
        except KeyError:
            raise SpaceBroken(
                f"This Space has no function called {name}; it is not a Janus-Pro-7B Space."
            ) from None


def read_config(data: Any, known: Mapping[str, Function]) -> SpaceConfig | None:
    """Read `/config`.

    Args:
        data: the parsed JSON.
        known: functions with the numbers that they have in the original app, for Spaces that
            hide their names.

    Returns:
        `None` if it does not come from Gradio.
    """
    if not isinstance(data, dict) or not ("version" in data or "dependencies" in data):
        return None
    version = re.match(r"\d{1,6}(?:\.\d{1,6})*", str(data.get("version", "")), re.ASCII)
    prefix = str(data.get("api_prefix") or "").strip("/")
    prefix = f"/{prefix}" if prefix else ""
    if not _PREFIX.fullmatch(prefix):
        return None
    size = data.get("max_file_size")
    numbers = tuple(map(int, version[0].split("."))) if version else ()
    return SpaceConfig(
        version=numbers,
        protocol=str(data.get("protocol") or ""),
        prefix=prefix,
        app_id=str(data.get("app_id", "")),
        takes_data_urls=numbers >= _DATA_URL_FROM,
        max_file_size=size if type(size) is int and size > 0 else None,
        functions=_functions(data.get("dependencies"), known),
    )


def _functions(dependencies: Any, known: Mapping[str, Function]) -> dict[str, Function]:
    if not isinstance(dependencies, list):
        return dict(known)
    named: dict[str, Function] = {}
    hidden: dict[int, int] = {}
    for position, entry in enumerate(dependencies):
        if not isinstance(entry, dict):
            continue
        number = entry.get("id")
        number = number if isinstance(number, int) else position
        inputs = entry.get("inputs")
        inputs = len(inputs) if isinstance(inputs, list) else 0
        trigger: int | None = None
        match entry.get("targets"):
            case [[int(component), *_], *_]:  # as in `[[10, "click"]]`
                trigger = component
            case _:
                pass
        name = entry.get("api_name")
        if isinstance(name, str) and name:
            name = name.strip("/")
            # Names are unique per app; should one repeat, the first is the one that /call takes.
            named.setdefault(name, Function(name, number, trigger, inputs))
        else:
            hidden[number] = inputs
    for function in known.values():
        if hidden.get(function.fn_index) == function.inputs:
            named.setdefault(function.name, function)
    return named
