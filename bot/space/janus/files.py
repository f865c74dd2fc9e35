"""Where a model's files are: in a folder, in the cache of Hugging Face, or still on the hub.

HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured. Everything here blocks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name

from bot.errors import BotError
from bot.space.janus.shape import PUBLISHED, ModelUnusable, Shape, read_shape, shape_of

ASK_TIMEOUT_SECONDS = 10
GLANCE_TIMEOUT_SECONDS = 4
"""Where an answer is good to have: a plan does not wait for a hub that is out of reach."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_REFUSED = frozenset({401, 403})

_SETTINGS = frozenset(
    {
        "config.json",
        "generation_config.json",
        "preprocessor_config.json",
        "processor_config.json",
        "special_tokens_map.json",
        "chat_template.json",
        "chat_template.jinja",
        "model.safetensors.index.json",
        "pytorch_model.bin.index.json",
    }
)
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class ModelOutOfReach(BotError):
    """The files are not here and cannot be fetched; the text says what to do.

    Attributes:
        is_passing: the same may work in a moment.
    """

    def __init__(self, message: str, *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.is_passing = is_passing


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the hub.

    Attributes:
        name: in the repository.
        size: bytes.
        digest: SHA-256 of a large file, git's SHA-1 of a small one; names it in the cache.
    """

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What is needed of a repository, at one commit."""

    commit: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True)
class Hub:
    """Hugging Face, or a server that speaks like it, and the cache on this machine.

    Attributes:
        endpoint: address of the server.
        cache: folder of the cache.
    """

    endpoint: str = field(default_factory=lambda: constants.ENDPOINT)
    cache: Path = field(default_factory=lambda: Path(constants.HF_HUB_CACHE))

    def find(self, model: str) -> Path | None:
        """The folder with all files of a model, if they are here.

        Args:
            model: a folder, or a repository.

        Raises:
            ModelUnusable: a folder is named, and there is none or something is missing in it.
        """
        if is_folder(model):
            folder = Path(model).expanduser()
            missing = missing_in(folder)
            if missing:
                raise ModelUnusable(
                    f"{missing} is missing in {folder}."
                    if folder.is_dir()
                    else f"There is no folder {folder}."
                )
            return folder
        snapshots = (self.storage(model) / "snapshots").glob("*")
        found = [folder for folder in snapshots if not missing_in(folder)]
        return max(found, key=lambda folder: folder.stat().st_mtime, default=None)

    def shape(self, model: str) -> Shape:
        """The shape of a model, wherever it is; of the hub only its `config.json` is read.

        Raises:
            ModelUnusable: it is not a Janus-Pro model, or not all of one.
            ModelOutOfReach: it is not here, and the hub does not answer.
        """
        folder = self.find(model)
        if folder is not None:
            return read_shape(folder)
        if model in PUBLISHED:
            return shape_of(PUBLISHED[model], model)
        with self.failures_told(model):
            path = hf_hub_download(
                model,
                "config.json",
                endpoint=self.endpoint,
                cache_dir=self.cache,
                etag_timeout=ASK_TIMEOUT_SECONDS,
            )
        return shape_of(json.loads(Path(path).read_bytes()), model)

    def missing_bytes(self, model: str, shape: Shape) -> int:
        """How much is still to be fetched. If the hub does not answer: about that of its shape."""
        if self.find(model) is not None:
            return 0
        try:
            return sum(
                self.missing_of(model, file)
                for file in self.listing(model, timeout=GLANCE_TIMEOUT_SECONDS).files
            )
        except ModelOutOfReach:
            return shape.parameters * 2  # in the published files a number has two bytes

    def listing(self, model: str, *, timeout: float = ASK_TIMEOUT_SECONDS) -> Listing:
        """What the hub has of a model, as far as it is needed.

        Raises:
            ModelUnusable: no weights are there.
            ModelOutOfReach: the hub does not answer, or refuses.
        """
        with self.failures_told(model):
            api = HfApi(endpoint=self.endpoint)
            info = api.model_info(model, files_metadata=True, timeout=timeout)
        files = {each.rfilename: each for each in info.siblings or ()}
        names = needed(files)
        if not any(is_weights(name) for name in names):
            raise ModelUnusable(f"There are no weights in {model}.")
        return Listing(
            str(info.sha),
            tuple(
                RemoteFile(
                    name,
                    files[name].size or 0,
                    (lfs.sha256 if (lfs := files[name].lfs) else files[name].blob_id) or "",
                )
                for name in names
            ),
        )

    def storage(self, model: str) -> Path:
        """Where the cache keeps a repository."""
        if "/" not in model:
            raise _no_name(model)
        with self.failures_told(model):  # the name is checked
            return self.cache / str(repo_folder_name(repo_id=model, repo_type="model"))

    def blob(self, model: str, file: RemoteFile) -> Path:
        """Where the cache keeps a file's content."""
        return self.storage(model) / "blobs" / file.digest

    def part(self, model: str, file: RemoteFile) -> Path:
        """Where what has come of a file is kept, until it is whole."""
        return self.blob(model, file).with_name(f"{file.digest}.janus-bot.incomplete")

    def missing_of(self, model: str, file: RemoteFile) -> int:
        """Bytes of a file that are not here yet."""
        if self.blob(model, file).exists():
            return 0
        part = self.part(model, file)
        return max(0, file.size - (part.stat().st_size if part.exists() else 0))

    @contextmanager
    def failures_told(self, model: str) -> Iterator[None]:
        """Turn what goes wrong with the hub into a sentence that says what to do."""
        try:
            yield
        except HfHubHTTPError as error:
            raise _refused(error, model, self.endpoint) from error
        except HFValidationError as error:
            raise _no_name(model) from error
        except OfflineModeIsEnabled as error:
            raise ModelOutOfReach(
                f"{model} is not here, and HF_HUB_OFFLINE forbids to fetch it."
            ) from error
        except (httpx2.TransportError, LocalEntryNotFoundError) as error:
            # huggingface_hub looked into the cache as well, and says why only in the cause.
            if isinstance(error.__cause__, HfHubHTTPError):
                raise _refused(error.__cause__, model, self.endpoint) from error
            if isinstance(error.__cause__, FileMetadataError):
                raise _no_hub(self.endpoint) from error
            raise ModelOutOfReach(
                f"{self.endpoint} cannot be reached. Check the connection, or give the folder of a "
                "model: --model PATH.",
                is_passing=True,
            ) from error
        except (ValueError, httpx2.InvalidURL) as error:
            raise _no_hub(self.endpoint) from error


def _refused(error: HfHubHTTPError, model: str, endpoint: str) -> BotError:
    if isinstance(error, GatedRepoError):
        return ModelOutOfReach(
            f"{model} is given to those who agreed to its terms: do that at {endpoint}/{model}, "
            "and set HF_TOKEN."
        )
    if isinstance(error, RepositoryNotFoundError):
        return ModelOutOfReach(
            f"There is no model {model} at {endpoint}, or it is private. Check the name; for a "
            "private one set HF_TOKEN."
        )
    if isinstance(error, RemoteEntryNotFoundError):
        return ModelUnusable(f"A file is missing in {model}.")
    return refusal(error.response.status_code, endpoint)


def _no_hub(endpoint: str) -> ModelOutOfReach:
    return ModelOutOfReach(f"{endpoint} does not answer like Hugging Face.")


def _no_name(model: str) -> ModelUnusable:
    return ModelUnusable(f"{model} is neither a folder nor a repository (owner/name).")


def refusal(status: int, endpoint: str) -> ModelOutOfReach:
    """What a status says, where it is not about one model."""
    if status in _REFUSED:
        return ModelOutOfReach(f"{endpoint} does not accept the token: check HF_TOKEN.")
    return ModelOutOfReach(
        f"{endpoint} answers with status {status}. Try again later.", is_passing=status in _PASSING
    )


def is_folder(model: str) -> bool:
    """Whether a folder is meant, not a repository."""
    return model.startswith((".", "/", "~")) or (Path(model) / "config.json").exists()


def is_weights(name: str) -> bool:
    return name.endswith((".safetensors", ".bin"))


def needed(names: Iterable[str]) -> list[str]:
    """The files that are loaded, of all that a repository has; the weights last."""
    here = [name for name in names if "/" not in name]
    weights = [name for name in here if name.endswith(".safetensors")]
    if not weights:
        weights = [
            name for name in here if name.startswith("pytorch_model") and name.endswith(".bin")
        ]
    settings = [
        name
        for name in here
        if name in _SETTINGS or (name.startswith("tokenizer") and not is_weights(name))
    ]
    return sorted(settings) + sorted(weights)


def missing_in(folder: Path) -> str:
    """The name of a file that a model's folder lacks; empty if it has all."""
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).exists():
            return name
    for weights in _WEIGHTS:
        if (folder / weights).exists():
            return ""
        try:
            index = json.loads((folder / f"{weights}.index.json").read_bytes())
            parts = set(index["weight_map"].values())
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
        return next((part for part in sorted(parts) if not (folder / part).exists()), "")
    return _WEIGHTS[0]
