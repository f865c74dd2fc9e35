"""Reads the configuration file with the environment on top, and says where a mistake is.

`tomllib` gives values without positions. `line_of` looks them up afterwards, in text that `tomllib`
has accepted: it may trust the syntax, and a wrong guess costs no more than a line number.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, InitSettingsSource

from bot.config.schema import NO_SECRET, PREFIX, Config, SpaceSection
from bot.errors import ConfigError

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys and array positions from the top, as in `("spaces", 0, "url")`."""

_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|\#[^\n]*',
    re.DOTALL,
)
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_ASSIGNMENT = re.compile(rf"[ \t]*({_KEY_PART}(?:[ \t]*\.[ \t]*{_KEY_PART})*)[ \t]*=")
_AFTER_KEY = re.compile(r"[ \t]*[=.\]]")

DEFAULT_FILE = Path("config.toml")
"""Read when no file is named, if it is there."""


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the file and put the environment on top.

    Args:
        path: the file; `None` for `DEFAULT_FILE`, which may be missing.
        environ: the environment; nothing else of the process is read.

    Raises:
        ConfigError: with all problems, each with its key, and its line or variable.
    """
    file = path or DEFAULT_FILE
    text = _read(file, required=path is not None)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_problem(file, str(error))) from None
    problems, warnings = _unknown_variables(environ)
    config = Config()
    try:
        sources = (_Environment(environ), InitSettingsSource(Config, table))
        config = Config(_build_sources=(sources, {}))  # type: ignore[call-arg] # of BaseSettings
    except ValidationError as error:
        problems += [
            _problem(details, file, text, environ)
            for details in error.errors(include_input=False, include_url=False)
        ]
    # Not inside the handler: the foreign error holds the values, and would ride along as context.
    if problems:
        raise ConfigError("\n".join(problems))
    return _without_stray_tokens(config, warnings)


class _Environment(EnvSettingsSource):
    """The given environment, not the process's own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Config)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Leave broken JSON alone: the model complains, beside all other problems."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _read(file: Path, *, required: bool) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if not required:
            return ""
        problem = f"There is no configuration file {file}."
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        problem = f"{file}:{line}: the file is not UTF-8 text"
    except OSError as error:
        problem = f"The configuration file {file} cannot be read: {error.strerror}."
    raise ConfigError(problem)


def _syntax_problem(path: Path, message: str) -> str:
    found = re.fullmatch(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    if found is None:
        return f"{path}: {message}"
    where = f"{path}:{found[2]}" if found[2] else f"{path}, at its end"
    column = f" at column {found[3]}" if found[3] else ""
    return f"{where}: this is not TOML: {found[1].lower()}{column}"


def _problem(details: ErrorDetails, file: Path, text: str, environ: Mapping[str, str]) -> str:
    """One line: where it was written, if anywhere, the key, and what is wrong."""
    place: KeyPath = details["loc"]
    variable = _variable_for(place, environ)
    line = line_of(text, place)
    where = variable or (f"{file}:{line}" if line else None)
    message = _sentence(details, place, from_environment=variable is not None)
    return ": ".join(part for part in (where, _key(place), message) if part)


def _key(place: KeyPath) -> str:
    """`[telegram] token`, `[[spaces]] no. 2, url`."""
    section, *rest = place
    if section == "spaces":
        entry = f" no. {rest[0] + 1}" if rest and isinstance(rest[0], int) else ""
        return ", ".join([f"[[spaces]]{entry}", *(str(part) for part in rest[1:2])])
    return " ".join([f"[{section}]", *(part for part in rest if isinstance(part, str))])


def _sentence(details: ErrorDetails, place: KeyPath, *, from_environment: bool) -> str:
    """Pydantic's message in words for somebody who edits a file."""
    match details["type"], from_environment:
        case "extra_forbidden", _:
            sentence = _unknown_key(place)
        case "tuple_type", True:
            sentence = 'must be a JSON list, such as ["a", "b"]'
        case "tuple_type", False:
            sentence = "must be a list in square brackets"
        case (("model_type" | "model_attributes_type"), True):
            sentence = f"must be a JSON object; single keys go into {_variable((*place, 'KEY'))}"
        case (("model_type" | "model_attributes_type"), False):
            sentence = "is a section, not a single value"
        case _:
            message = details["msg"].removeprefix("Value error, ")
            sentence = message.replace("Input should", "must").replace("String should", "must")
    return sentence


def _unknown_key(place: KeyPath) -> str:
    known = _known_keys(place[:-1])
    from difflib import get_close_matches  # noqa: PLC0415 - only where a key is wrong

    close = get_close_matches(str(place[-1]).lower(), known, n=1)
    if close:
        return f"unknown key; did you mean {close[0]!r}?"
    return f"unknown key; known are {', '.join(known)}"


def _known_keys(place: KeyPath) -> list[str]:
    """The keys that may stand in the table at `place`."""
    model: type[BaseModel] = Config
    if place:
        default = getattr(Config(), str(place[0]))
        model = type(default[0] if isinstance(default, tuple) else default)
    return list(model.model_fields)


def _variable(place: KeyPath) -> str:
    return PREFIX + "__".join(str(part) for part in place).upper()


def _variable_for(place: KeyPath, environ: Mapping[str, str]) -> str | None:
    """The variable that set this value: of the key itself, of its section, or of a part of it."""
    names = {name.upper(): name for name in environ}
    for length in range(len(place), 0, -1):
        wanted = _variable(place[:length])
        if wanted in names:
            return names[wanted]
    parts = (name for name in names if name.startswith(_variable(place) + "__"))
    return next(map(names.__getitem__, parts), None)


def _unknown_variables(environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Variables that belong to no key: those that must be mistakes, and those that may be.

    Container platforms add variables of their own that begin with the service's name, such as
    `JANUS_BOT_SERVICE_HOST`; these must not keep the bot from starting.
    """
    wrong: list[str] = []
    suspicious: list[str] = []
    meant = {
        f"{section}_{key}": (section, key)
        for section in Config.model_fields
        for key in _known_keys((section,))
    }
    for name in environ:
        rest = name.upper().removeprefix(PREFIX).lower()
        if not name.upper().startswith(PREFIX) or rest.split("__")[0] in Config.model_fields:
            continue
        if rest in meant:
            wrong.append(f"{name}: unknown; did you mean {_variable(meant[rest])}?")
        elif "__" in rest:
            wrong.append(f"{name}: unknown section; known are {', '.join(Config.model_fields)}")
        else:
            suspicious.append(f"{name} means nothing to this program and is ignored.")
    return wrong, suspicious


def _without_stray_tokens(config: Config, warnings: list[str]) -> Config:
    """Drop tokens that would be sent to the wrong host or to none, and attach all warnings."""
    spaces, unused = [], []
    for number, space in enumerate(config.spaces, start=1):
        ignored = {}
        if space.hf_token.get_secret_value() and not space.on_hugging_face:
            ignored["hf_token"] = _why_no_hf_token(space)
        if space.access_token.get_secret_value() and (why := _why_no_access_token(space)):
            ignored["access_token"] = why
        warnings += [
            f"[[spaces]] no. {number}: {key} is ignored, because {why}"
            for key, why in ignored.items()
        ]
        unused += [getattr(space, key).get_secret_value() for key in ignored]
        spaces.append(space.model_copy(update=dict.fromkeys(ignored, NO_SECRET)))
    # What is not used is still kept out of the log: a server may have learnt it otherwise.
    return config.model_copy(update={"spaces": tuple(spaces)}).with_warnings(warnings, unused)


def _why_no_hf_token(space: SpaceSection) -> str:
    if space.model:
        return "the bot starts this Space itself, away from Hugging Face."
    host = urlsplit(space.url).hostname
    return (
        "the url is not that of a host of Hugging Face, over https and with nothing but its name:"
        f" {host}."
    )


def _why_no_access_token(space: SpaceSection) -> str:
    """Empty if it is sent."""
    if space.id:
        return "it goes to a url only; Spaces with an id know hf_token."
    if space.model:
        return "the bot starts this Space itself, and nobody else reaches it."
    if space.on_hugging_face and space.hf_token.get_secret_value():
        return "there is an hf_token, and Hugging Face takes one of both."
    return ""


def line_of(text: str, place: Sequence[str | int]) -> int | None:
    """The line of a value, counted from 1.

    Args:
        text: what `tomllib` has accepted.
        place: keys and array positions from the top. Where the value itself is not written, such
            as a key that is missing, the innermost table around it that is written counts.

    Returns:
        The line, or `None` if nothing of `place` is written in `text`.
    """
    plain = _STRING_OR_COMMENT.sub(_blank, text)
    found = _statements(plain)
    for length in range(len(place), 0, -1):
        offset = found.get(tuple(place[:length]))
        if offset is not None:
            offset = _inside(plain, offset, place[length:])
            return plain.count("\n", 0, offset) + 1
    return None


def _blank(match: re.Match[str]) -> str:
    """Spaces in place of a string or comment; quoted keys and line breaks stay."""
    text = match[0]
    multiline = text.startswith(('"""', "'''"))
    if not multiline and text[0] in "\"'" and _AFTER_KEY.match(match.string, match.end()):
        return text
    return re.sub(r"[^\n]", " ", text)


def _statements(plain: str) -> dict[KeyPath, int]:
    """Offsets of all table headers and of all assignments that begin a line."""
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    entries: dict[KeyPath, int] = {}
    depth = offset = 0
    for line in plain.splitlines(keepends=True):
        # Inside an array that spans lines nothing is a header, however much it looks like one.
        if depth == 0 and (header := _HEADER.match(line)):
            table = _keys(header[2])
            if header[1] == "[[":
                entries[table] = entries.get(table, -1) + 1
                found.setdefault(table, offset)
                table = (*table, entries[table])
            found.setdefault(table, offset)
        else:
            if depth == 0 and (assignment := _ASSIGNMENT.match(line)):
                found.setdefault(table + _keys(assignment[1]), offset)
            depth += sum(map(line.count, "[{")) - sum(map(line.count, "]}"))
        offset += len(line)
    return found


def _keys(dotted: str) -> KeyPath:
    return tuple(part.strip(" \t\"'") for part in re.findall(_KEY_PART, dotted))


def _inside(plain: str, offset: int, rest: Sequence[str | int]) -> int:
    """Continue inside an inline value, for example `[{ id = "a" }, { url = "b" }]`."""
    for step in rest:
        if isinstance(step, int):
            braces = [match.start() for match in re.finditer(r"\{", plain[offset:])]
            if step < len(braces):
                offset += braces[step]
        else:
            key = re.compile(rf"(?<![\w-])[\"']?{re.escape(step)}[\"']?[ \t]*=")
            end = plain.find("}", offset)
            match = key.search(plain, offset, end) if end > 0 else None
            offset = match.start() if match else offset
    return offset
