"""One tiny model for all tests of the engine; without torch they are skipped, and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

collect_ignore: list[str] = []
try:
    import torch
    import transformers  # noqa: F401 - the tests need both
except ModuleNotFoundError:
    # test_packages.py is skipped, and says why.
    own = Path(__file__).parent.glob("test_*.py")
    collect_ignore += [file.name for file in own if file.name != "test_packages.py"]
else:
    torch.set_num_threads(2)

    from tests.model.running import TinyModel

    @pytest.fixture(scope="session", name="tiny")
    def _tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
        return TinyModel.build(tmp_path_factory.mktemp("tiny"))

    @pytest.fixture(scope="session", name="tiny_model")
    def _tiny_model(tiny: TinyModel) -> TinyModel:
        """Where `tiny` is the module that writes it."""
        return tiny
