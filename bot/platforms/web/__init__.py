"""The web chat, and the pages for operators beside it."""

from bot.platforms.web.adapter import WebAdapter
from bot.platforms.web.files import UploadLimits

__all__ = ["UploadLimits", "WebAdapter"]
