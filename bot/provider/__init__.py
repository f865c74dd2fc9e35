"""Janus-Pro-7B on Gradio Spaces. Usable alone: nothing else of the bot is imported."""

from bot.provider.janus_pro_7b import DeepseekAI_JanusPro7b
from bot.provider.responses import ImageResponse, JsonConversation, Reasoning, Text
from bot.provider.spaces import Spaces
from bot.provider.wire import open_session
from bot.provider.zerogpu import get_zerogpu_token

__all__ = [
    "DeepseekAI_JanusPro7b",
    "ImageResponse",
    "JsonConversation",
    "Reasoning",
    "Spaces",
    "Text",
    "get_zerogpu_token",
    "open_session",
]
