"""Finding and fetching a model: `bot/space/janus/files.py` and `download.py`."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.errors import BotError
from bot.space.engine import STARTING, Progress
from bot.space.janus import download, files
from bot.space.janus.files import Hub, ModelOutOfReach, missing_in, needed
from bot.space.janus.shape import PUBLISHED, ModelUnusable
from tests.servers.hub import COMMIT, FakeHub, digest, running_hub

MODEL = "somebody/Janus-Pro-1B"
CONFIG = json.dumps(PUBLISHED["deepseek-community/Janus-Pro-1B"]).encode()
WEIGHTS = random.Random(7).randbytes(3_000_000)  # noqa: S311 - any bytes
FILES = {
    "config.json": CONFIG,
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b'{"a": 1}',
    "README.md": b"# Hello",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"not needed where there are safetensors",
}


@pytest.fixture(name="fake")
def _fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(download, "_FIRST_PAUSE_SECONDS", 0.01)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with running_hub() as fake:
        fake.models[MODEL] = dict(FILES)
        yield fake


@pytest.fixture(name="hub")
def _hub(fake: FakeHub, tmp_path: Path) -> Hub:
    return Hub(fake.endpoint, tmp_path / "cache")


def fetch(hub: Hub, model: str = MODEL, *, patience: float = 5) -> tuple[Path, list[Progress]]:
    said: list[Progress] = []
    return download.fetch(hub, model, said.append, patience=patience), said


def test_fetches_what_is_needed_and_nothing_else(fake: FakeHub, hub: Hub) -> None:
    """Settings, tokenizer and safetensors; no pages, and not the weights twice."""
    folder, said = fetch(hub)
    assert folder.name == COMMIT
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
    }
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [progress.done for progress in said] == sorted(progress.done for progress in said)
    assert said[-1].done == said[-1].total == 100
    assert {progress.unit for progress in said} == {STARTING}
    assert any(progress.what.startswith("Downloading the model, ") for progress in said)


def test_the_cache_is_that_of_hugging_face(fake: FakeHub, hub: Hub) -> None:
    """Other programs find the files there, by the names that the hub gives them."""
    folder, _ = fetch(hub)
    blob = hub.cache / "models--somebody--Janus-Pro-1B" / "blobs" / digest(WEIGHTS)
    assert (folder / "model.safetensors").resolve() == blob.resolve()
    assert not [path for path in blob.parent.iterdir() if path.name.endswith(".incomplete")]


def test_what_is_here_is_not_asked_for(fake: FakeHub, hub: Hub) -> None:
    """The second start needs no network at all."""
    first, _ = fetch(hub)
    fake.asked.clear()
    assert fetch(hub) == (first, [])
    assert hub.find(MODEL) == first
    assert fake.asked == []


def test_goes_on_where_the_connection_was_cut(fake: FakeHub, hub: Hub) -> None:
    """Twice cut, every byte is sent once."""
    fake.cut_after = [1_000_000, 500_000]
    folder, said = fetch(hub)
    assert fake.contents() == [
        f"{MODEL}/model.safetensors",
        f"{MODEL}/model.safetensors bytes=1000000-",
        f"{MODEL}/model.safetensors bytes=1500000-",
    ]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert sum("no connection, trying again" in progress.what for progress in said) == 2


def test_another_process_goes_on_as_well(fake: FakeHub, hub: Hub) -> None:
    """What came before the program was ended is not fetched again, and counts as here."""
    fake.cut_after = [2_000_000]
    with pytest.raises(ModelOutOfReach):
        fetch(hub, patience=0)
    shape = hub.shape(MODEL)
    settings = sum(len(FILES[name]) for name in ("tokenizer.json", "tokenizer_config.json"))
    assert hub.missing_bytes(MODEL, shape) <= 1_000_000 + settings
    fake.asked.clear()
    fetch(hub)
    assert fake.contents() == [f"{MODEL}/model.safetensors bytes=2000000-"]


def test_a_server_without_ranges_sends_it_all_again(fake: FakeHub, hub: Hub) -> None:
    """Then the file begins anew instead of being glued together."""
    fake.cut_after, fake.ignores_ranges = [1_000_000], True
    folder, _ = fetch(hub)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_damaged_file_is_never_used(fake: FakeHub, hub: Hub) -> None:
    """Its hash is wrong: an error, and the next try begins anew."""
    fake.changed["model.safetensors"] = WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])
    with pytest.raises(ModelUnusable, match=r"model\.safetensors of .* came damaged"):
        fetch(hub)
    assert hub.find(MODEL) is None
    fake.changed.clear()
    folder, _ = fetch(hub)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_file_of_the_wrong_length_is_never_used(fake: FakeHub, hub: Hub) -> None:
    """Too much came: an error; a file that is too long already is begun anew."""
    fake.changed["model.safetensors"] = WEIGHTS + b"more"
    with pytest.raises(ModelUnusable, match="damaged"):
        fetch(hub)
    fake.changed.clear()
    remote = next(file for file in hub.listing(MODEL).files if file.name == "model.safetensors")
    hub.part(MODEL, remote).write_bytes(WEIGHTS + b"more")
    folder, _ = fetch(hub)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_hub_is_asked_again(fake: FakeHub, hub: Hub, status: int) -> None:
    """At the list and in the middle."""
    fake.refusals = [status, 0, status, 0, 0, status]
    folder, _ = fetch(hub)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_refused_configuration_is_a_sentence(fake: FakeHub, hub: Hub) -> None:
    """The configuration of a model that is not known is asked for otherwise than its list."""
    fake.refusals = [418]
    with pytest.raises(ModelOutOfReach, match="status 418"):
        hub.shape(MODEL)
    del fake.models[MODEL]["config.json"]
    with pytest.raises(ModelUnusable, match=f"A file is missing in {MODEL}"):
        hub.shape(MODEL)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "", "HF_TOKEN"),
        (403, "GatedRepo", "agreed to its terms"),
        (404, "RepoNotFound", "There is no model somebody/Janus-Pro-1B"),
        (418, "", "status 418"),
        (503, "", "status 503"),
    ],
)
def test_a_refusal_is_a_sentence(
    fake: FakeHub, hub: Hub, status: int, code: str, said: str
) -> None:
    """It says what to do, and nothing is written."""
    fake.refusals, fake.error_code = [status] * 50, code
    with pytest.raises(ModelOutOfReach, match=said):
        fetch(hub, patience=0)
    assert not (hub.storage(MODEL) / "blobs").exists()


def test_no_network_is_a_sentence(tmp_path: Path) -> None:
    """For a download; a plan goes on with sizes that it knows."""
    hub = Hub("http://127.0.0.1:9", tmp_path)
    with pytest.raises(ModelOutOfReach, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        fetch(hub, patience=0)
    name = "deepseek-community/Janus-Pro-7B"
    assert 14e9 < hub.missing_bytes(name, hub.shape(name)) < 15.5e9


def test_no_room_is_a_sentence(fake: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before anything is fetched."""
    monkeypatch.setattr(download, "free_disk", lambda _folder: 400_000_000)
    with pytest.raises(ModelOutOfReach, match=r"0\.4 GB are free in .* set HF_HOME"):
        fetch(hub)
    assert fake.contents() == []


def test_a_read_only_cache_is_a_sentence(fake: FakeHub, tmp_path: Path) -> None:
    """Nothing that could be written to: say which folder, and what to set."""
    (tmp_path / "file").write_text("")
    hub = Hub(fake.endpoint, tmp_path / "file" / "cache")
    with pytest.raises((ModelOutOfReach, OSError)):
        fetch(hub)


def test_a_token_is_sent(fake: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of HF_TOKEN to the hub alone, and not to where it keeps large files."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(hub)
    assert fake.tokens == {("127.0.0.1", "Bearer hf_secret"), ("localhost", "")}


def test_the_original_layout_is_fetched_as_it_is(fake: FakeHub, hub: Hub) -> None:
    """Where there are no safetensors, the pickles and their index."""
    index = json.dumps({"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}).encode()
    fake.models["a/original"] = {
        "config.json": CONFIG,
        "tokenizer.json": b"{}",
        "pytorch_model.bin.index.json": index,
        "pytorch_model-00001-of-00001.bin": WEIGHTS,
        "training_args.bin": b"no",
    }
    folder, _ = fetch(hub, "a/original")
    assert not missing_in(folder)
    assert not (folder / "training_args.bin").exists()


def test_a_model_without_weights_is_refused(fake: FakeHub, hub: Hub) -> None:
    """Settings alone are no model."""
    fake.models["a/b"] = {"config.json": CONFIG, "tokenizer.json": b"{}"}
    with pytest.raises(ModelUnusable, match="no weights in a/b"):
        fetch(hub, "a/b")


def test_the_shape_is_read_from_the_hub(fake: FakeHub, hub: Hub) -> None:
    """Of a model that is not known, its configuration alone is fetched."""
    assert hub.shape(MODEL).layers == 24
    assert fake.contents() == []


@pytest.mark.parametrize("name", ["nonsense", "a/b/c", "a b/c", "nobody/nothing"])
def test_a_name_that_is_none_is_a_sentence(hub: Hub, name: str) -> None:
    """Neither a folder nor a repository."""
    with pytest.raises(BotError, match=name):
        hub.shape(name)


def test_a_folder_is_used_as_it_is(tmp_path: Path, hub: Hub) -> None:
    """With all files it is the model; what is missing is named."""
    folder = tmp_path / "model"
    with pytest.raises(ModelUnusable, match="There is no folder"):
        hub.find(str(folder))
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        with pytest.raises(ModelUnusable, match=f"{name} is missing"):
            hub.find(str(folder))
        (folder / name).write_bytes(FILES[name])
    with pytest.raises(ModelUnusable, match=r"model\.safetensors is missing"):
        hub.find(str(folder))
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "one.safetensors").touch()
    with pytest.raises(ModelUnusable, match=r"two\.safetensors is missing"):
        hub.find(str(folder))
    (folder / "two.safetensors").touch()
    assert hub.find(str(folder)) == folder
    assert fetch(hub, str(folder))[0] == folder


def test_needed_puts_weights_last() -> None:
    """A snapshot that has its weights has everything else as well."""
    names = ["b.safetensors", "onnx/model.safetensors", "tokenizer.model", "a.png", "config.json"]
    assert needed(names) == ["config.json", "tokenizer.model", "b.safetensors"]


def test_offline_is_respected(fake: FakeHub, hub: Hub) -> None:
    """HF_HUB_OFFLINE: nothing is asked, and the sentence says why."""
    code = (
        "import sys; from pathlib import Path; from bot.space.janus import download, files\n"
        "try: download.fetch(files.Hub(sys.argv[1], Path(sys.argv[2])), 'a/b', print)\n"
        "except files.ModelOutOfReach as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, fake.endpoint, str(hub.cache)],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "a/b is not here, and HF_HUB_OFFLINE forbids to fetch it." in done.stdout
    assert fake.asked == []


def test_the_defaults_are_hugging_faces() -> None:
    """The address and the folder that HF_ENDPOINT and HF_HOME name."""
    code = "from bot.space.janus.files import Hub; print(Hub().endpoint, Hub().cache)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": "/somewhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["http://127.0.0.1:1", "/somewhere/hub"]
    assert files.is_folder("./x")
