"""What a Gradio server says about itself in `/config`; pure.

The shape is that of Gradio 4.44 to 6.31: `version`, `api_prefix` (absent before 5.0), `app_id`,
`max_file_size` and `dependencies`, each with `id`, `api_name`, `targets` and `inputs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bot.errors import SpaceBroken
from bot.provider.gradio.inputs import Input, Shape, map_inputs, read_input

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
        shape: which value each of them is.
    """

    name: str
    fn_index: int
    trigger_id: int | None
    inputs: int
    shape: Shape = field(default=Shape((), ()), compare=False, repr=False)

    def arranged(self, given: Mapping[str, Any]) -> list[Any]:
        """The values in its own order; see `Shape.arranged`."""
        return self.shape.arranged(given)

    @property
    def described(self) -> str:
        """For people, e.g. `generate_image(prompt, seed, guidance, temperature)`."""
        return f"{self.name}({self.shape})"


def known_function(name: str, fn_index: int, trigger_id: int, *values: str) -> Function:
    """A function as the original app has it, with the names of its values in their order."""
    shape = Shape(tuple(Input() for _ in values), values)
    return Function(name, fn_index, trigger_id, len(values), shape)


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
            SpaceBroken: the Space has none, it asks for something else, or cannot be talked to.
        """
        if self.protocol in _TOO_OLD:
            raise SpaceBroken(
                f"This Space runs a Gradio that is too old ({self.protocol}); 4.44 is the first "
                "that is understood."
            )
        function = self.functions.get(name)
        if function is None:
            raise SpaceBroken(
                f"This Space has no function called {name}; it is not a Janus-Pro-7B Space."
            )
        if function.shape.problem:
            raise SpaceBroken(function.shape.problem)
        return function


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
        functions=_functions(data.get("dependencies"), data.get("components"), known),
    )


def _functions(
    dependencies: Any, components: Any, known: Mapping[str, Function]
) -> dict[str, Function]:
    if not isinstance(dependencies, list):
        return dict(known)
    described = {
        component.get("id"): read_input(component)
        for component in (components if isinstance(components, list) else ())
        if isinstance(component, dict) and isinstance(component.get("id"), int)
    }
    named: dict[str, Function] = {}
    hidden: dict[int, Function] = {}
    for position, entry in enumerate(dependencies):
        if not isinstance(entry, dict):
            continue
        number = entry.get("id")
        number = number if isinstance(number, int) else position
        ids = entry.get("inputs")
        ids = ids if isinstance(ids, list) else []
        trigger: int | None = None
        match entry.get("targets"):
            case [[int(component), *_], *_]:  # as in `[[10, "click"]]`
                trigger = component
            case _:
                pass
        name = entry.get("api_name")
        name = name.strip("/") if isinstance(name, str) else ""
        inputs = [
            described.get(each, Input()) if isinstance(each, int) else Input() for each in ids
        ]
        function = Function(name, number, trigger, len(ids), Shape(tuple(inputs), ("",) * len(ids)))
        if name:
            # Names are unique per app; should one repeat, the first is the one that /call takes.
            named.setdefault(name, function)
        else:
            hidden[number] = function
    for function in known.values():
        found = named.get(function.name) or hidden.get(function.fn_index)
        if found is None or (not found.name and found.inputs != function.inputs):
            continue
        shape = map_inputs(function.name, found.shape.inputs, function.shape.values)
        trigger = found.trigger_id if found.name else function.trigger_id
        named[function.name] = replace(found, name=function.name, trigger_id=trigger, shape=shape)
    return named
