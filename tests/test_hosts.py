from __future__ import annotations

import pytest

from bot.hosts import is_hugging_face, is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "https://huggingface.co",
        "https://huggingface.co/spaces/me/janus",
        "https://me-janus.hf.space",
        "https://me-janus.hf.space/",
        "https://me-janus.hf.space:443",
        "https://me-janus.hf.space.",
        "HTTPS://Me-Janus.HF.Space",
        "https://me-janus--8000.hf.space/gradio_api?x=1",
        "https://müller.hf.space",
        "https://me-janus.hf。space",  # the same host after IDNA, which is what is connected to
    ],
)
def test_hosts_that_may_see_a_token(url: str) -> None:
    assert is_hugging_face(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://me-janus.hf.space",  # not encrypted
        "http://me-janus.hf.space:443",
        "wss://me-janus.hf.space",
        "https://me-janus.hf.space:8443",
        "https://huggingface.co:80",
        "https://user:pass@me-janus.hf.space",
        "https://user@me-janus.hf.space",
        "https://:pass@me-janus.hf.space",
        "https://huggingface.co@evil.example",
        "https://huggingface.co:443@evil.example",
        "https://hf.space.evil.com",
        "https://me-janus.hf.space.evil.com",
        "https://evil-hf.space",
        "https://evilhuggingface.co",
        "https://hub.huggingface.co",
        "https://hf.space",
        "https://hf.co",
        "https://me.hf.co",
        "https://evil.com/https://huggingface.co",
        "https://evil.com#.hf.space",
        "https://evil.com?.hf.space",
        "https://evil.com\\.hf.space",
        "https://evil.com／.hf.space",  # noqa: RUF001 - a full-width slash
        "https://huggıngface.co",  # noqa: RUF001 - a dotless i, which is another name
        "https://127.0.0.1",
        "https://[::1]",
        "https://[::1].hf.space",
        "http://127.0.0.1:7860",
        "https://me-janus.hf.space:99999",
        "https://",
        "me-janus.hf.space",
        "nonsense",
        "\0",
        "",
    ],
)
def test_hosts_that_may_not(url: str) -> None:
    assert not is_hugging_face(url)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("127.0.0.1.", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("localhost", True),
        ("LocalHost.", True),
        ("0.0.0.0", False),
        ("::", False),
        ("[::]", False),
        ("::ffff:192.168.1.5", False),
        ("192.168.1.5", False),
        ("example.org", False),
        ("localhost.evil.com", False),
        ("127.0.0.1.evil.com", False),
        ("127.0.0.1:8080", False),
        ("notlocalhost", False),
        ("", False),
    ],
)
def test_hosts_that_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
