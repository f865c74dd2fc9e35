"""Pictures as bytes: which ones are accepted, and in which form they are sent on.

What is imported here does without Pillow; what needs it is in modules of its own.
"""

from bot.image.formats import is_accepted_format, size
from bot.image.sources import ImageSource, to_bytes

__all__ = ["ImageSource", "is_accepted_format", "size", "to_bytes"]
