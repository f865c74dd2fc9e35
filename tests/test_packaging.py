"""What is shipped: the wheel, the pins, the Makefile, and the container's commands.

There is no Docker engine where these tests run. So the Dockerfile is read, and its commands run as
they stand, with its absolute paths moved into a scratch folder. Not covered are the base image, the
user that it adds, and the copy from one stage to the other.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import requires
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

ENVIRON = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("JANUS_BOT_", "PYTHON", "PYTEST", "VIRTUAL_ENV", "MAKE", "MFLAGS"))
}
"""The environment, less what would reach into the programs that are started."""

MAKE = shutil.which("make")
needs_make = pytest.mark.skipif(MAKE is None, reason="there is no make here")
installs = pytest.mark.timeout(900)
"""Tests that share one real installation; whichever is first waits for it."""


# The Dockerfile, read ------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """One stage of the Dockerfile: its instructions in order, as (word, rest)."""

    instructions: Sequence[tuple[str, str]]

    def all(self, word: str) -> list[str]:
        """What follows each instruction of that name."""
        return [rest for each, rest in self.instructions if each == word]

    def one(self, word: str) -> str:
        """What follows the only instruction of that name."""
        [rest] = self.all(word)
        return rest


def stages() -> list[Stage]:
    """The Dockerfile's stages."""
    text = (ROOT / "Dockerfile").read_text()
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\\n", "", text)
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append(Stage([]))
        found[-1] = Stage([*found[-1].instructions, (word, rest.strip())])
    return found


@dataclass(frozen=True)
class Image:
    """What the Dockerfile comes to, in a scratch folder."""

    root: Path

    def moved(self, text: str) -> str:
        """`text` with the absolute paths of the Dockerfile moved into the scratch folder."""
        return re.sub(r"(?<![\w./])/(opt|wheels|data|src)\b", rf"{self.root}/\1", text)

    @property
    def environ(self) -> dict[str, str]:
        """The environment that the image gives to its process."""
        environ = dict(ENVIRON)
        for assignment in shlex.split(" ".join(stages()[-1].all("ENV"))):
            name, _, value = assignment.partition("=")
            environ[name] = self.moved(value).replace("$PATH", environ["PATH"])
        return environ

    def run(self, command: Sequence[str], **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command as in the container, far from the checkout."""
        return subprocess.run(
            command,
            cwd=self.root / "data",
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def copy(sources: Sequence[str], to: Path) -> None:
    """COPY from the checkout, which sees what .dockerignore lets through and nothing else."""
    allowed = (ROOT / ".dockerignore").read_text().split()
    for source in sources:
        assert f"!{source}" in allowed, f".dockerignore keeps {source} back"
        if (ROOT / source).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, to / source, ignore=ignore)
        else:
            shutil.copy(ROOT / source, to / source)


def execute(command: str, cwd: Path, environ: Mapping[str, str]) -> None:
    """RUN."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The build stage, run instruction by instruction."""
    image = Image(tmp_path_factory.mktemp("image"))
    for folder in ("src", "data", "opt"):
        (image.root / folder).mkdir()
    # A Python with pip and under the name `python`, as in the base image.
    execute(f"'{sys.executable}' -m venv base", image.root, ENVIRON)
    # Compiling all packages in advance suits a container, and costs a test only time.
    environ = {
        **ENVIRON,
        "PATH": f"{image.root}/base/bin:{ENVIRON['PATH']}",
        "PIP_NO_COMPILE": "1",
    }
    skip_without_index(image.root, environ)
    build = stages()[0]
    assert build.one("WORKDIR") == "/src"
    for word, rest in build.instructions:
        if word == "COPY":
            copy(rest.split()[:-1], image.root / "src")
        elif word == "RUN":
            execute(image.moved(rest), image.root / "src", environ)
    yield image
    shutil.rmtree(image.root)


def skip_without_index(folder: Path, environ: Mapping[str, str]) -> None:
    """Offline, nothing can be installed; where the project is checked, that is a failure."""
    done = subprocess.run(
        [folder / "base/bin/pip", *["download", "--quiet", "--no-deps", "--dest", "probe", "idna"]],
        cwd=folder,
        env=environ,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 and "CI" not in os.environ:
        pytest.skip("no package index can be reached, and this installs the real dependencies")


@installs
@pytest.mark.slow
def test_wheel_has_all_that_runs_and_nothing_else(image: Image) -> None:
    """Migrations, the web page and the type marker are inside; tests and caches are not."""
    [wheel] = (image.root / "wheels").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "bot/_migrations/env.py",
        "bot/py.typed",
        "bot/platforms/web/static/index.html",
        *(f"bot/space/hub/{name}" for name in ("README.md", "app.py", "requirements.txt")),
    } <= names
    versions = {path.name for path in (ROOT / "migrations" / "versions").glob("*.py")}
    assert versions <= {Path(name).name for name in names if "_migrations/versions/" in name}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"bot", "janus_bot"}
    assert not [name for name in names if "__pycache__" in name]


@installs
@pytest.mark.slow
def test_installed_program_runs_outside_the_checkout(image: Image) -> None:
    """The console script starts, and its package is the installed one."""
    assert "Usage" in image.run(["janus-bot", "--help"]).stdout
    where = image.run(["python", "-c", "import bot; print(bot.__file__)"]).stdout
    assert where.startswith(str(image.root / "opt"))


@installs
@pytest.mark.slow
def test_pinned_dependencies_agree(image: Image) -> None:
    """No package in the image asks for another version of one that is there."""
    done = image.run(["python", "-m", "pip", "check"])
    assert done.returncode == 0, done.stdout


@installs
@pytest.mark.slow
def test_container_starts_is_healthy_and_stops(image: Image) -> None:
    """The entry point serves, the health check passes, the stop signal ends it with code 0."""
    runtime = stages()[-1]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    check = json.loads(runtime.one("HEALTHCHECK").partition("CMD ")[2])
    assert image.run(check, JANUS_BOT_HTTP__PORT=port).returncode != 0, "healthy with nobody there"

    process = subprocess.Popen(
        json.loads(runtime.one("ENTRYPOINT")) + json.loads(runtime.one("CMD")),
        cwd=image.root / "data",
        env=image.environ
        | {"JANUS_BOT_HTTP__PORT": port, "JANUS_BOT_SPACES": '[{"url": "http://127.0.0.1:9"}]'},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while image.run(check, JANUS_BOT_HTTP__PORT=port).returncode != 0:
            assert process.poll() is None
            assert time.monotonic() < deadline, "not healthy after two minutes"
        process.send_signal(signal.Signals[runtime.one("STOPSIGNAL")])
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    # Migrations came from the wheel, and the data went where the volume is.
    assert (image.root / "data" / "janus.sqlite3").stat().st_size > 0


def test_container_is_careful() -> None:
    """Its process is no administrator, and its data is in a volume that this user may write to."""
    runtime = stages()[-1]
    words = [word for word, _ in runtime.instructions]
    assert runtime.one("USER") == "janus"
    assert "--home-dir /data --create-home janus" in runtime.one("RUN")
    assert runtime.one("VOLUME") == "/data"
    # A COPY or RUN after USER would work on files of somebody else.
    assert words.index("USER") > max(words.index("RUN"), words.index("COPY"))
    assert words.index("USER") < words.index("ENTRYPOINT")


# Pins ----------------------------------------------------------------------------------------


def pins() -> dict[str, Requirement]:
    """`constraints.txt` by canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    parsed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in parsed}


def test_constraints_are_pins_and_nothing_else() -> None:
    """Exact versions only: no addresses, no paths, no options, nothing twice."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    exact = re.compile(r'[\w.-]+==[\w.]+( ; python_version [<>]=? "3\.\d+")?')
    assert [line for line in lines if not exact.fullmatch(line)] == []
    assert len(pins()) == len(lines)
    assert lines == sorted(lines, key=str.lower)


def test_everything_installed_is_pinned() -> None:
    """Whatever the project and its tests depend on, at any depth, has a pin."""
    missing, seen = set(), set()
    todo = [Requirement("janus-bot[dev]")]
    while todo:
        wanted = todo.pop()
        key = (canonicalize_name(wanted.name), *sorted(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        if key[0] != "janus-bot" and key[0] not in pins():
            missing.add(key[0])
        for line in requires(wanted.name) or ():
            needed = Requirement(line)
            extras = wanted.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                todo.append(needed)
    assert missing == set()


def test_pins_satisfy_the_project() -> None:
    """No bound in pyproject.toml excludes the version that is pinned."""
    extras = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *chain.from_iterable(extras)]
    wanted = [Requirement(line) for line in lines if not line.startswith("janus-bot")]
    conflicts = [
        str(each)
        for each in wanted
        for pin in pins()[canonicalize_name(each.name)].specifier
        if not each.specifier.contains(pin.version)
    ]
    assert conflicts == []


# Makefile ------------------------------------------------------------------------------------


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in the checkout."""
    return subprocess.run(
        [MAKE or "make", *arguments],
        cwd=ROOT,
        env=ENVIRON,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def fake_python(folder: Path, body: str) -> Path:
    """A program that passes for a Python."""
    program = folder / "fake"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return program


@needs_make
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('test "$1" = --version && echo Python 3.9.1; exit 1', "3.11 or newer, but"),
        ('case "$2" in *venv*) exit 1;; esac', "apt install python3-venv"),
    ],
    ids=["too old", "without venv"],
)
def test_unsuitable_python_is_refused_with_a_sentence(tmp_path: Path, body: str, said: str) -> None:
    """Make says what is wrong with a Python and what to do, and leaves nothing behind."""
    done = make(f"PYTHON={fake_python(tmp_path, body)}", f"VENV={tmp_path}/venv", "demo")
    assert done.returncode != 0
    assert said in done.stderr
    assert not (tmp_path / "venv").exists()


@needs_make
def test_missing_python_is_told(tmp_path: Path) -> None:
    """Make names the program that is not there."""
    done = make("PYTHON=no-such-python", f"VENV={tmp_path}/venv", "test")
    assert done.returncode != 0
    assert "There is no no-such-python here" in done.stderr


@needs_make
def test_make_alone_lists_what_can_be_made() -> None:
    """Without a target, make explains itself and does nothing."""
    said = make().stdout
    targets = "demo space test test-model check lint docs format figures dist clean"
    for target in targets.split():
        assert f"make {target} " in said


@needs_make
def test_only_the_model_brings_torch(tmp_path: Path) -> None:
    """Neither the tests nor the demo install it; `make space` and `make test-model` do."""
    common = ("--dry-run", f"PYTHON={sys.executable}", f"VENV={tmp_path}/venv")
    for target in ("test", "demo", "check"):
        assert "janus]" not in make(*common, target).stdout
        assert ",janus" not in make(*common, target).stdout
    planned = make(*common, "ARGS=--plan", "space").stdout
    assert "'.[janus]'" in planned
    assert planned.rstrip().endswith("bin/janus-bot space --plan")
    planned = make(*common, "test-model").stdout
    assert "'.[janus,test]'" in planned
    assert f"{tmp_path}/venv-model/bin/python -m pytest tests/model" in planned


def test_all_costs_no_gigabytes() -> None:
    """The extra `all` leaves the model out, and pins name what it would bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert extras["all"] == ["janus-bot[space,postgres]"]
    assert "torch" in pins()
    assert extras["space"][0] in extras["janus"]
    assert {canonicalize_name(Requirement(each).name) for each in extras["janus"]} == {
        *("gradio", "torch", "transformers", "safetensors", "huggingface-hub")
    }


@needs_make
def test_demo_needs_no_tools_of_developers(tmp_path: Path) -> None:
    """The demo's environment gets the stand-in's packages and no test tools."""
    planned = make("--dry-run", f"PYTHON={sys.executable}", f"VENV={tmp_path}/venv", "demo").stdout
    assert "'.[space]'" in planned
    assert "'.[dev]'" not in planned
    assert planned.rstrip().endswith("bin/janus-bot demo")
