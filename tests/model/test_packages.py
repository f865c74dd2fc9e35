"""Says why the model's tests are left out where they are."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_the_models_packages_are_here(package: str) -> None:
    """Gigabytes that nobody needs for the bot itself."""
    found = pytest.importorskip(package, reason="the model's tests need it: `make test-model`")
    assert found.__version__
