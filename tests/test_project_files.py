"""The files that contributors meet: workflows, hooks, issue forms, changelog and API reference.

GitHub itself is not here, so the workflows are read, and those of their steps that are shell
scripts of our own are run unchanged.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # its types are a package of their own

import bot
import bot.provider

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def read(path: str) -> dict[str, Any]:
    """A YAML file of the project."""
    content: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return content


CHECKS, RELEASE = (read(f".github/workflows/{name}.yml") for name in ("checks", "release"))
STEPS = [
    step
    for workflow in (CHECKS, RELEASE)
    for job in workflow["jobs"].values()
    for step in job.get("steps", ())
]


def step_of_release(name: str) -> str:
    """The script of a step."""
    [script] = [step["run"] for step in STEPS if step.get("name", "").startswith(name)]
    return str(script)


def run_step(script: str, tag: str, tools: Path) -> subprocess.CompletedProcess[str]:
    """Run a step's script as GitHub does, with `tools` before all other programs."""
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        ["/bin/bash", "-eo", "pipefail", "-c", script],
        cwd=tools,
        env={"PATH": path, "GITHUB_REF_NAME": tag, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the changelog, and a `gh` that prints the notes that it is given."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\nfor last; do :; done\ncat "$last"\n')
    gh.chmod(0o755)
    return tmp_path


# Workflows -------------------------------------------------------------------------------------


def test_workflows_make_what_can_be_made() -> None:
    """Each `make` in a workflow has a target, and all parts of .ci/run are among them."""
    [targets] = re.findall(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)
    commands = [step["run"].split() for step in STEPS if step.get("run", "").startswith("make ")]
    made = [
        next(word for word in words if re.fullmatch("[a-z-]+", word))
        for words in (command[1:] for command in commands)
    ]
    assert set(made) <= set(targets.split())
    assert {"check", "test", "test-model"} <= set(made)


def test_workflows_check_the_oldest_and_the_newest_python() -> None:
    """Those that the classifiers in pyproject.toml begin and end with."""
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', _text("pyproject.toml"))
    matrix = CHECKS["jobs"]["checks"]["strategy"]["matrix"]
    assert matrix["python"] == [named[0], named[-1]]


def test_actions_are_pinned_to_a_major_version() -> None:
    """No action of somebody else follows a branch that anything may be pushed to."""
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert len(used) > 5
    assert [each for each in used if not re.search(r"@(release/)?v\d+$", each)] == []


def test_workflows_may_do_no_more_than_they_must() -> None:
    """Nothing may write unless its job says so, and no pull request gets that far."""
    assert CHECKS["permissions"] == {"contents": "read"}
    assert RELEASE["permissions"] == {}
    assert "permissions" not in CHECKS["jobs"]["checks"]
    writers = {
        name: {right for right, degree in job["permissions"].items() if degree == "write"}
        for name, job in RELEASE["jobs"].items()
    }
    assert writers == {
        "checks": set(),
        "build": set(),
        "packages": {"id-token"},
        "image": {"packages", "id-token", "attestations"},
        "notes": {"contents"},
    }
    assert "secrets." not in _text(".github/workflows/release.yml")


def test_nothing_is_released_unchecked() -> None:
    """Each job of a release comes, at some distance, after the checks."""
    needs = {name: set(job.get("needs", ())) for name, job in RELEASE["jobs"].items()}
    for before in needs.values():
        for _ in needs:
            before.update(*[needs[name] for name in before])
    assert [name for name, before in needs.items() if "checks" not in before] == ["checks"]


@pytest.mark.parametrize(
    ("tag", "accepted"), [(f"v{bot.__version__}", True), ("v99.0.0", False)], ids=["own", "other"]
)
def test_a_tag_must_be_the_version(tools: Path, tag: str, accepted: bool) -> None:
    """Any other tag ends the release before something is built."""
    done = run_step(step_of_release("Check that the tag"), tag, tools)
    assert (done.returncode == 0) is accepted, done.stderr


def test_release_notes_are_the_section_of_the_changelog(tools: Path) -> None:
    """All of it, and nothing of the versions around it."""
    older = "## [0.0.1] - 2020-01-01\n\n- Something old.\n\n[Unreleased]: ../../compare"
    (tools / "CHANGELOG.md").write_text(CHANGELOG.replace("[Unreleased]: ../../compare", older))
    notes = run_step(step_of_release("Publish the section"), f"v{bot.__version__}", tools)
    assert notes.returncode == 0, notes.stderr
    begin = CHANGELOG.index("\n", CHANGELOG.index(f"## [{bot.__version__}]"))
    assert notes.stdout.strip()
    assert CHANGELOG[begin:].lstrip().startswith(notes.stdout.strip())
    assert "Something old" not in notes.stdout
    assert "](" not in notes.stdout.splitlines()[-1]


# What contributors meet --------------------------------------------------------------------------


def test_hooks_are_the_linters() -> None:
    """Before a commit runs what `make lint` runs, from the same environment."""
    [recipe] = re.findall(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    linters = [line.replace("$(BIN)", ".venv/bin").split()[:2] for line in recipe.splitlines()]
    [repository] = read(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    assert [hook["entry"].split()[:2] for hook in repository["hooks"]] == linters


@pytest.mark.parametrize("name", ["bug", "idea"])
def test_forms_are_forms(name: str) -> None:
    """Each question has a label and, where its answer is kept, an id of its own."""
    form = read(f".github/ISSUE_TEMPLATE/{name}.yml")
    questions = [each for each in form["body"] if each["type"] != "markdown"]
    assert {each["type"] for each in questions} <= {"textarea", "dropdown", "input", "checkboxes"}
    assert len({each["id"] for each in questions}) == len(questions)
    assert all(each["attributes"]["label"] for each in questions)
    assert any(each.get("validations", {}).get("required") for each in questions)


def test_changelog_has_the_version_on_top() -> None:
    """Unreleased first, then the current version; each with a link, newest first."""
    headings = re.findall(r"^## \[(.+?)\]", CHANGELOG, re.MULTILINE)
    links = re.findall(r"^\[(.+?)\]: ", CHANGELOG, re.MULTILINE)
    assert headings[:2] == ["Unreleased", bot.__version__]
    assert links == headings


def test_reference_has_all_that_the_provider_exports() -> None:
    """Nothing public is without a place on the page."""
    shown = re.findall(r"^::: bot\.provider\.(\w+)$", _text("docs/provider-api.md"), re.MULTILINE)
    assert sorted(shown) == sorted(bot.provider.__all__)


def _text(path: str) -> str:
    return (ROOT / path).read_text()
