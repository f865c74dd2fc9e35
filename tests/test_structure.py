"""The figures of `benchmarks/structure.py`, on a checkout small enough to count by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "structure.py"

FILES = {
    "__init__.py": "",
    "app.py": '''
        """The whole."""

        from bot import faults
        from bot.cards import Card, draw


        def run() -> None:
            """Run."""
            try:
                draw()
            except faults.MANY:
                from bot.late import mend

                mend()
            except Exception:
                raise
    ''',
    "cards/__init__.py": '''
        from bot.cards.card import Card


        def draw() -> None:
            """Draw.

            Raises:
                OSError: there is none.
            """
    ''',
    "cards/card.py": '''
        class Card:
            """A card."""
    ''',
    "faults.py": """
        _FEW = (OSError, ValueError, KeyError, IndexError, TypeError)
        MANY = (*_FEW, EOFError, NameError, SyntaxError, RuntimeError)
    """,
    "late.py": """
        from contextlib import suppress

        from bot import faults


        def mend() -> None:
            with suppress(BaseException):
                try:
                    pass
                except (OSError, ValueError):
                    pass
    """,
}


@pytest.fixture
def printed(tmp_path: Path) -> str:
    """What the script prints about these files."""
    for name, text in FILES.items():
        path = tmp_path / "bot" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("\n        ", "\n").lstrip())
    return subprocess.run(
        [sys.executable, SCRIPT, tmp_path, "--no-trace", "--names"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("files", 6),
        ("files with one importer", 2),
        ("  of them under 110 lines", 2),
        ("one-line docstrings", 2),
        ("functions", 3),
        ("broad handlers", 3),
    ],
)
def test_figures(printed: str, figure: str, value: int) -> None:
    """Each of them."""
    lines = [line for line in printed.splitlines() if line[:36].rstrip() == figure]
    assert lines == [f"{figure:<36} {value:>7}"]


def test_names(printed: str) -> None:
    """What is counted has a place: a named tuple, an import within a function, a `suppress`."""
    for place in (
        "bot/app.py:11  9 types",
        "bot/app.py:15  Exception",
        "bot/late.py:7  BaseException",
        "bot/cards/card.py  by bot.cards",
        "bot/late.py  by bot.app",
    ):
        assert place in printed
