"""What is done to pixels; none of it reads or writes a file."""

from __future__ import annotations

from PIL import Image


def flatten(image: Image.Image) -> Image.Image:
    """RGB on white, as a new image so that nothing of the file's `info` is carried along."""
    image = opaque_or_alpha(image)
    plain = Image.new("RGB", image.size, "white")
    plain.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return plain


def opaque_or_alpha(image: Image.Image) -> Image.Image:
    """The image as RGBA if any of it can be transparent, else as RGB."""
    if image.mode.startswith("I"):
        # Sixteen bits of grey: `convert` clips at 255 where it should scale.
        image = image.point(lambda value: value * (1 / 257)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
