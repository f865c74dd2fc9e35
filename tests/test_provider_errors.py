"""What a Space says of its failures, and what a person can do about them."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from bot.errors import BadInput, GenerationFailed, NoGpu, ProviderError, QuotaExceeded
from bot.provider.errors import function_error, http_error


@pytest.mark.parametrize(
    ("text", "title", "kind"),
    [
        ("No GPU was available after 60s. Retry later", "ZeroGPU queue timeout", NoGpu),
        ("Value 99 is greater than maximum value 10.", "Error", BadInput),
        ("Space app has reached its GPU limit. Try re-running", "", QuotaExceeded),
        ("You have exceeded your ZeroGPU runs limit.", "", QuotaExceeded),
        ("The requested GPU duration (120s) is larger than the maximum allowed", "", BadInput),
        ("AttributeError", "ZeroGPU worker error", GenerationFailed),
        ("out of cheese", "", GenerationFailed),
    ],
)
def test_words_of_the_space(text: str, title: str, kind: type[ProviderError]) -> None:
    """What a Space says decides what a person can do."""
    assert type(function_error(text, title)) is kind


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "exceeded your GPU quota (120s requested vs. 42s left). Try again in 0:06:53",
            (120, 42, 413),
        ),
        (
            "exceeded your GPU quota (46s left vs. 60s requested). Please retry in 0:00:56",
            (60, 46, 56),
        ),
        ("your free ZeroGPU quota (120s requested vs. 0s left).", (120, 0, None)),
        (
            "your Pro GPU quota (1s requested vs. 0s left). Try again in 1 day, 2:03:04",
            (1, 0, 93784),
        ),
        ("quota (1s requested vs. 0s left). Sign-up on X or retry in 0:09:48", (1, 0, 588)),
    ],
)
def test_quota_in_every_wording(text: str, values: tuple[int, int, float | None]) -> None:
    """Requested, left and the wait are read from all known wordings."""
    error = function_error(
        f"You have {text}" if "quota" in text else text, "ZeroGPU quota exceeded"
    )
    assert isinstance(error, QuotaExceeded)
    assert (error.requested, error.left, error.retry_after) == values


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", None),
        ("9999999", None),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_when_to_come_again(header: str, seconds: float | None) -> None:
    """Proxies write a number of seconds or a date."""
    assert http_error(429, b"", {"Retry-After": header}, "host").retry_after == seconds


def test_a_date_to_come_again() -> None:
    """Not in the table: its id would be another one in each process that collects it."""
    header = formatdate(time.time() + 3600, usegmt=True)
    error = http_error(429, b"", {"Retry-After": header}, "host")
    assert error.retry_after == pytest.approx(3600, abs=300)
