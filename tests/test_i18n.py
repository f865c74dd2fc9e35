"""Every sentence is there in every language, says the same things, and has plural forms."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fluent.syntax import FluentParser
from fluent.syntax import ast as fluent
from fluent.syntax.visitor import Visitor

from bot import errors
from bot.i18n import Catalogue, catalogue
from bot.i18n.catalogue import DEFAULT

HERE = Path(errors.__file__).parent
LANGUAGES = Catalogue().languages
OTHERS = [language for language in LANGUAGES if language != DEFAULT]


class Variables(Visitor):
    """Collects what a sentence is told."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: fluent.VariableReference) -> None:  # noqa: N802 - the visitor's name
        self.names.add(node.id.name)


def sentences(language: str) -> dict[str, set[str]]:
    """The keys of a language, each with its variables."""
    found: dict[str, set[str]] = {}
    for file in sorted((HERE / "i18n" / language).glob("*.ftl")):
        for entry in FluentParser().parse(file.read_text("utf-8")).body:
            assert not isinstance(entry, fluent.Junk), f"{file}: {entry.content}"
            if isinstance(entry, fluent.Message):
                assert entry.id.name not in found, f"{file}: {entry.id.name} is there twice"
                variables = Variables()
                variables.visit(entry)
                found[entry.id.name] = variables.names
    assert found, "there are no sentences where they are looked for"
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_no_language_misses_a_sentence(language: str) -> None:
    """And none has one that nobody says."""
    assert sentences(language).keys() == sentences(DEFAULT).keys()


@pytest.mark.parametrize("language", OTHERS)
def test_sentences_say_the_same_things(language: str) -> None:
    """A value that one language leaves out is left out on purpose: Space's own words in errors."""
    theirs = sentences(language)
    for key, variables in sentences(DEFAULT).items():
        optional = {"said"} if key.startswith("error-") else {"mine"}
        assert theirs[key] - optional <= variables | {"mine", "turns"}, key
        assert variables - theirs[key] <= optional, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_can_be_said(language: str) -> None:
    """No sentence refers to something that is not there, whatever the number."""
    words = Catalogue().words(language)
    for key, variables in sentences(language).items():
        for number in (0, 1, 2, 5, 21):
            said = words(key, **dict.fromkeys(variables, number))
            assert said.strip(), key
            assert "{" not in said, said


def test_russian_numbers_have_their_forms() -> None:
    """One, few and many."""
    words = Catalogue().words("ru")
    said = [words("limit-queued", count=count) for count in (1, 3, 5, 21)]
    assert ["запрос" in re.split(r"\W+", each) for each in said] == [True, False, False, True]
    assert "запроса" in said[1]
    assert "запросов" in said[2]


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        (("ru",), "ru"),
        (("ru-RU",), "ru"),
        (("RU_ru",), "ru"),
        (("", "xx", "ru"), "ru"),
        (("xx-YY",), "en"),
        ((), "en"),
    ],
)
def test_the_nearest_language_is_spoken(wanted: tuple[str, ...], language: str) -> None:
    """The first one that is known, a region's own language included."""
    assert Catalogue().words(*wanted).language == language


def test_a_key_that_nobody_knows_is_a_mistake() -> None:
    """It is found in tests and not by people."""
    with pytest.raises(KeyError):
        Catalogue().words("ru")("no-such-sentence")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_depends_on_no_value_needs_no_library(language: str) -> None:
    """Menus are put up in all languages at every start, and nobody may ever speak them."""
    code = (
        "import sys; from bot.i18n import Catalogue; from bot.turns.commands import WORDS;"
        f"words = Catalogue().words({language!r}); [words('command-' + word) for word in WORDS];"
        "print({'babel', 'fluent.runtime'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("language", LANGUAGES)
def test_plain_sentences_are_what_fluent_makes_of_them(language: str) -> None:
    """Indentation and line breaks included."""
    words, folder = Catalogue().words(language), HERE / "i18n" / language
    bundle = catalogue._bundle(folder)
    for key, variables in sentences(language).items():
        pattern = bundle.get_message(key).value
        if not variables and pattern is not None:
            assert words(key) == bundle.format_pattern(pattern, {})[0]


def test_every_error_has_its_sentence() -> None:
    """What a person can meet is told in their language."""
    keys = sentences(DEFAULT)
    for base in (errors.ProviderError, errors.ImageError):
        for leaf in _leaves(base):
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", leaf.__name__).lower()
            assert f"error-{name}" in keys


def _leaves(error: type[Exception]) -> Iterator[type[Exception]]:
    below = error.__subclasses__()
    if not below:
        yield error
    for each in below:
        yield from _leaves(each)


SENTENCE = re.compile(
    r"[A-Za-z]\w+ [a-z]+ [a-z]+.*[.!?…]$|^[A-Z][a-z]+ [a-z]+ [a-z]+ [a-z]+", re.DOTALL
)
QUIET = {"log", "_log"}
ELSEWHERE = {
    "turns/history.py": "told to the model",
    "platforms/discord/adapter.py": "told to whoever runs the bot",
    "platforms/discord/permissions.py": "told to whoever runs the bot",
    "platforms/telegram/files.py": "in an error",
    "platforms/web/adapter.py": "told to whoever runs the bot",
    "platforms/telegram/errors.py": "told to whoever runs the bot",
}


def test_no_sentence_is_written_outside_the_catalogue() -> None:
    """What people read in chats is not in the code of turns, replies and platforms."""
    assert [
        f"{path.relative_to(HERE)}:{line}: {text[:60]}"
        for package in ("turns", "reply", "platforms")
        for path in sorted((HERE / package).rglob("*.py"))
        for line, text in _texts(ast.parse(path.read_text("utf-8")))
        if SENTENCE.search(text) and str(path.relative_to(HERE)) not in ELSEWHERE
    ] == []


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """String literals that are neither documentation, nor logged, nor in an error."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Raise) or _is_logged(node) or _is_error(node):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        yield from _texts(node)


def _is_error(node: ast.AST) -> bool:
    """Whether an error is made: a person is told what the catalogue has for its type."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and hasattr(errors, node.func.id)
    )


def _is_logged(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in QUIET
    )
