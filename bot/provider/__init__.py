"""Janus-Pro-7B on Gradio Spaces, usable by itself: it needs nothing of the bot but its values."""

from bot.provider.http import Timeouts, open_session
from bot.provider.huggingface import get_zerogpu_token
from bot.provider.janus import DeepseekAI_JanusPro7b
from bot.provider.responses import (
    AsyncGeneratorProvider,
    GpuTime,
    ImageResponse,
    JsonConversation,
    Preview,
    Reasoning,
    Text,
)
from bot.provider.spaces import Spaces

__all__ = [
    "AsyncGeneratorProvider",
    "DeepseekAI_JanusPro7b",
    "GpuTime",
    "ImageResponse",
    "JsonConversation",
    "Preview",
    "Reasoning",
    "Spaces",
    "Text",
    "Timeouts",
    "get_zerogpu_token",
    "open_session",
]
