"""Ids of tests are the same in every process, and `make check` sees when one is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def check_ids(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.check_ids", str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # half of what a start takes
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_stable.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('value', [1, 2.5, 'three', object(), sorted({'a', 'b'})])\n"
        "def test_stable(value): ...\n"
    )
    return tmp_path


def test_stable_ids_pass(folder: Path) -> None:
    """Numbers, words and whatever pytest numbers itself have the same id everywhere."""
    checked = check_ids(folder)
    assert checked.returncode == 0, checked.stderr


def test_every_unstable_id_is_named(folder: Path) -> None:
    """Clocks, addresses, sets and random values are refused, and what is stable is not named."""
    unstable = {
        "clock": "[time.time()]",
        "date": "[email.utils.formatdate(time.time(), usegmt=True)]",
        "year": "[datetime.date.today().strftime('%Y')]",
        "now": "[datetime.datetime.now(datetime.timezone.utc).isoformat()]",
        "zone": "[time.strftime('%H:%M')]",
        "address": "[object()], ids=repr",
        "order": "[str({'one', 'two', 'three', 'four', 'five', 'six'})]",
        "hash": "[hash('one')]",
        "uuid": "[str(uuid.uuid4())]",
        "random": "[random.random()]",
        "process": "[os.getpid()]",
    }
    (folder / "test_unstable.py").write_text(
        "import datetime, email.utils, os, random, time, uuid\nimport pytest\n"
        + "".join(
            f"@pytest.mark.parametrize('value', {values})\ndef test_{name}(value): ...\n"
            for name, values in unstable.items()
        )
    )
    checked = check_ids(folder)
    assert checked.returncode == 1
    assert f"{len(unstable)} tests have another id" in checked.stderr
    named = {name for name in [*unstable, "stable"] if f"test_{name}[" in checked.stderr}
    assert len(named) == 10  # so many are shown
    assert named < {*unstable}


def test_another_order_is_refused(folder: Path) -> None:
    """The same ids in the order of a set are no better: test processes compare lists."""
    (folder / "test_order.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('value', {'one', 'two', 'three', 'four', 'five', 'six'})\n"
        "def test_order(value): ...\n"
    )
    checked = check_ids(folder)
    assert checked.returncode == 1
    assert "test_order[one]" in checked.stderr


def test_tests_that_cannot_be_collected_are_shown(folder: Path) -> None:
    """An error while collecting is no agreement."""
    (folder / "test_broken.py").write_text("import nothing_of_this_name\n")
    checked = check_ids(folder)
    assert checked.returncode == 1
    assert "nothing_of_this_name" in checked.stderr
