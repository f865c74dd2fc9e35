"""One tiny model for all tests of the engine; without torch they are skipped, and say so."""

from __future__ import annotations

import pytest

collect_ignore_glob: list[str] = []
try:
    import torch
    import transformers  # noqa: F401 - the tests need both
except ModuleNotFoundError as error:
    collect_ignore_glob.append("test_*.py")
    _MISSING = f"no {error.name} here: `make test-model` has it"
else:
    _MISSING = ""
    torch.set_num_threads(2)

    from tests.model.running import TinyModel

    @pytest.fixture(scope="session", name="tiny")
    def _tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
        return TinyModel.build(tmp_path_factory.mktemp("tiny"))

    @pytest.fixture(scope="session", name="tiny_model")
    def _tiny_model(tiny: TinyModel) -> TinyModel:
        """Where `tiny` is the module that writes it."""
        return tiny
