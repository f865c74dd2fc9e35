from __future__ import annotations

import asyncio
import base64
import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from bot.errors import ImageError, ImageTooLarge, ImageUnreadable
from bot.files import File
from bot.image import is_accepted_format, size, to_bytes
from bot.image.normalising import normalise
from bot.image.worker import PictureWorker


class Worker:
    """The picture worker, for tests that are no coroutines."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._worker = PictureWorker()

    def normalise(self, data: bytes) -> File:
        return self._runner.run(self._worker.normalise(data))

    def close(self) -> None:
        self._runner.run(self._worker.close())
        self._runner.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Other programs may use the processor while this runs."""

FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
}


def picture(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """A picture without symmetry: red, green, blue and grey quarters."""
    image = Image.new("RGB", (width, height), "grey")
    image.paste("red", (0, 0, width // 2, height // 2))
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    return image.convert(mode)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def near(one: object, other: tuple[int, ...]) -> bool:
    assert isinstance(one, tuple)
    return all(abs(a - b) <= 12 for a, b in zip(one, other, strict=True))


def png_header(width: int, height: int) -> bytes:
    """A PNG that states a size and has next to no pixels: a decompression bomb when large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


SAMPLES = {kind: encode(picture(), kind) for kind in FORMATS} | {
    "ANIMATED GIF": encode(
        picture(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 48), "black")]
    ),
    "ANIMATED WEBP": encode(
        picture(),
        "WEBP",
        save_all=True,
        lossless=True,
        append_images=[Image.new("RGB", (64, 48), "black")],
    ),
    "APNG": encode(picture(), "PNG", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_format_is_found_from_the_first_bytes(kind: str) -> None:
    """The media type comes from the magic number of each format that the Space reads."""
    assert is_accepted_format(SAMPLES[kind]) == FORMATS[kind]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"hello, world", "not a picture"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", "HEIC"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00", "video"),
        (b"II*\x00\x08\x00\x00\x00", "TIFF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    ],
)
def test_other_files_are_refused_by_name(data: bytes, word: str) -> None:
    """A file that is no picture is refused with a sentence that says what it is."""
    with pytest.raises(ImageUnreadable, match=word):
        is_accepted_format(data)
    with pytest.raises(ImageUnreadable, match=word):
        normalise(data)


def test_to_bytes_takes_every_form(tmp_path: Path) -> None:
    """Bytes, views, paths, data URLs, open files and Pillow's images all become bytes."""
    data = SAMPLES["PNG"]
    file = tmp_path / "a.png"
    file.write_bytes(data)
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    assert to_bytes(data) is data
    assert to_bytes(bytearray(data)) == data
    assert to_bytes(memoryview(data)) == data
    assert to_bytes(file) == data
    assert to_bytes(str(file)) == data
    assert to_bytes(url) == data
    assert to_bytes(io.BytesIO(data)) == data
    with file.open("rb") as opened:
        assert to_bytes(opened) == data
        assert to_bytes(opened) == data  # another Space may be asked with the same file
    with pytest.raises(ImageUnreadable, match="closed"):
        to_bytes(opened)  # as the block above has left it
    with file.open(encoding="ascii") as words, pytest.raises(ImageUnreadable, match="bytes"):
        to_bytes(words)  # type: ignore[arg-type] # the mistake under test
    assert decode(to_bytes(picture())).tobytes() == picture().tobytes()
    assert decode(to_bytes(picture(mode="CMYK"))).format == "PNG"


def test_data_url_without_base64_is_unquoted() -> None:
    """A data URL may be percent-encoded."""
    assert to_bytes("data:,GIF89a%00%ff") == b"GIF89a\x00\xff"


@pytest.mark.parametrize("url", ["data:image/png;base64", "data:image/png;base64,@@@"])
def test_broken_data_urls_are_refused(url: str) -> None:
    """A data URL that is not one is an `ImageUnreadable`."""
    with pytest.raises(ImageUnreadable):
        to_bytes(url)


def test_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    """A path that cannot be read is named, without its folder."""
    with pytest.raises(ImageUnreadable, match=r"^Cannot read gone\.png: No such file"):
        to_bytes(tmp_path / "gone.png")


def test_text_files_are_a_mistake_of_the_caller() -> None:
    """A file opened for reading text is a `TypeError`, not a bad picture."""
    with pytest.raises(TypeError):
        to_bytes(io.StringIO("text"))  # type: ignore[arg-type] # the mistake under test


@pytest.mark.parametrize("kind", SAMPLES)
def test_normalised_pictures_show_the_same(kind: str) -> None:
    """Each format comes out as PNG or JPEG of the same size with the first frame's colours."""
    result = normalise(SAMPLES[kind])
    image = decode(result.data)
    assert image.size == (64, 48)
    assert image.mode == "RGB"
    assert is_accepted_format(result.data) == result.media_type
    assert result.media_type == ("image/jpeg" if kind == "JPEG" else "image/png")
    assert near(image.getpixel((10, 10)), (255, 0, 0))
    assert near(image.getpixel((50, 10)), (0, 255, 0))
    assert near(image.getpixel((10, 40)), (0, 0, 255))
    assert near(image.getpixel((50, 40)), (128, 128, 128))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_of_png_is_read(mode: str) -> None:
    """Grey, paletted, transparent and 16-bit PNG become RGB without losing their brightness."""
    image = Image.new("L", (8, 8), 128)
    if mode == "1":
        image = Image.new("L", (8, 8), 255)
    source = Image.new("I;16", (8, 8), 0x8080) if mode == "I;16" else image.convert(mode)
    result = decode(normalise(encode(source, "PNG")).data)
    assert result.mode == "RGB"
    assert near(result.getpixel((3, 3)), (255 if mode == "1" else 128,) * 3)


def test_cmyk_jpeg_is_read() -> None:
    """A JPEG made for printing becomes RGB."""
    result = normalise(encode(picture(mode="CMYK"), "JPEG"))
    assert near(decode(result.data).getpixel((10, 10)), (255, 0, 0))


def test_transparency_becomes_white() -> None:
    """What is transparent is laid on white, half of it by half."""
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    image.putpixel((0, 0), (255, 0, 0, 128))
    result = decode(normalise(encode(image, "PNG")).data)
    assert result.getpixel((5, 5)) == (255, 255, 255)
    assert near(result.getpixel((0, 0)), (255, 127, 127))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    """For each of the eight EXIF orientations the picture comes out upright."""
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = picture()
    if orientation in back:
        stored = stored.transpose(back[orientation])
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    result = normalise(encode(stored, kind, exif=exif, quality=95))
    upright = decode(result.data)
    assert upright.size == (64, 48)
    assert near(upright.getpixel((10, 10)), (255, 0, 0))
    assert near(upright.getpixel((50, 10)), (0, 255, 0))
    assert near(upright.getpixel((10, 40)), (0, 0, 255))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_metadata_is_gone(kind: str) -> None:
    """Place, camera, comment and colour profile are not in the result."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SECRETCAMERA"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    options: dict[str, object] = {"exif": exif, "icc_profile": b"SECRETPROFILE"}
    if kind == "JPEG":
        options["comment"] = b"SECRETCOMMENT"
    data = encode(picture(), kind, **options)
    assert b"SECRET" in data
    assert decode(data).getexif().get_ifd(ExifTags.IFD.GPSInfo)
    result = normalise(data)
    image = decode(result.data)
    assert b"SECRET" not in result.data
    assert not image.getexif()
    assert not {"exif", "icc_profile", "comment", "xmp"} & set(image.info)


def test_broken_exif_does_not_cost_the_picture(worker: Worker) -> None:
    """A picture whose metadata is damaged is still a picture."""
    data = encode(picture(), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff\x12\x01")
    assert decode(worker.normalise(data).data).width == 64


@pytest.mark.parametrize(
    ("given_size", "expected"),
    [((3000, 1500), (1024, 512)), ((1500, 3000), (512, 1024)), ((1024, 1024), (1024, 1024))],
)
def test_large_pictures_are_made_smaller(
    given_size: tuple[int, int], expected: tuple[int, int]
) -> None:
    """At most 1,024 pixels wide and high, in the same proportion; smaller ones stay."""
    for kind in ("JPEG", "PNG"):
        result = normalise(encode(picture(*given_size), kind))
        assert decode(result.data).size == expected


def test_extreme_proportions_keep_one_pixel() -> None:
    """A line stays a line and never becomes nothing."""
    result = normalise(encode(Image.new("RGB", (5000, 1)), "PNG"))
    assert decode(result.data).size == (1024, 1)


def test_photographs_in_lossless_formats_become_jpeg() -> None:
    """A PNG that stays large is sent as JPEG."""
    noise = Image.effect_noise((900, 900), 80).convert("RGB")
    result = normalise(encode(noise, "PNG"))
    assert result.media_type == "image/jpeg"


def test_result_is_stable() -> None:
    """The same bytes give the same result, and a result is not changed by a second pass."""
    first = normalise(SAMPLES["PNG"])
    assert normalise(SAMPLES["PNG"]) == first
    assert normalise(first.data) == first


def test_too_many_bytes_are_refused_unread() -> None:
    """More than `max_bytes` is an `ImageTooLarge` whatever the bytes are."""
    with pytest.raises(ImageTooLarge, match=r"0\.0 MB"):
        normalise(b"x" * 101, max_bytes=100)


@pytest.mark.parametrize("sides", [(65_500, 65_500), (12_000, 12_000), (10_000, 5_001)])
def test_decompression_bombs_are_refused(sides: tuple[int, int]) -> None:
    """A small file that states more pixels than allowed is refused before it is decoded."""
    with pytest.raises(ImageTooLarge, match="pixels"):
        normalise(png_header(*sides))


def test_run_length_bmp_is_refused() -> None:
    """Compressed BMP, which would be unpacked in Python for minutes, is not taken."""
    plain = bytearray(encode(picture(mode="P"), "BMP"))
    plain[30:34] = struct.pack("<I", 1)
    with pytest.raises(ImageUnreadable, match="compressed BMP"):
        normalise(bytes(plain))


@pytest.mark.parametrize("kind", FORMATS)
def test_half_a_file_is_refused(kind: str) -> None:
    """A picture of which only half arrived is refused, not shown half grey."""
    data = encode(Image.effect_noise((64, 64), 80).convert("RGB"), kind)
    with pytest.raises(ImageUnreadable, match="not complete"):
        normalise(data[: len(data) // 2])


def test_size_is_what_the_header_says() -> None:
    """`size` needs no pixels."""
    assert size(png_header(640, 480)) == (640, 480)
    assert size(SAMPLES["PNG"][:12]) == size(b"") == (None, None)


@unhurried
@given(data=st.binary(max_size=400))
@example(data=b"\xff\xd8\xff")
@example(data=b"BM")
@example(data=b"GIF89a")
def test_arbitrary_bytes_raise_nothing_else(worker: Worker, data: bytes) -> None:
    """Whatever the bytes are, the outcome is a picture or an `ImageError`."""
    assert is_picture_or_refused(worker, data)


@unhurried
@given(kind=st.sampled_from(sorted(FORMATS)), tail=st.binary(max_size=200))
def test_garbage_behind_a_magic_number_raises_nothing_else(
    worker: Worker, kind: str, tail: bytes
) -> None:
    """A file that begins like a picture and goes on otherwise is a picture or an `ImageError`."""
    for kept in (2, 8, 16, 30, 54):
        assert is_picture_or_refused(worker, SAMPLES[kind][:kept] + tail)


@unhurried
@given(kind=st.sampled_from(sorted(SAMPLES)), data=st.data())
def test_truncated_and_damaged_files_raise_nothing_else(
    worker: Worker, kind: str, data: st.DataObject
) -> None:
    """Real files cut anywhere, with any few bytes changed, are pictures or `ImageError`s."""
    sample = bytearray(SAMPLES[kind])
    for _ in range(data.draw(st.integers(0, 4))):
        sample[data.draw(st.integers(0, len(sample) - 1))] = data.draw(st.integers(0, 255))
    assert is_picture_or_refused(worker, bytes(sample[: data.draw(st.integers(0, len(sample)))]))


def is_picture_or_refused(worker: Worker, data: bytes) -> bool:
    """False for a result that is no picture of its type; whatever else is raised passes."""
    try:
        result = worker.normalise(data)
    except ImageError:
        return True
    return is_accepted_format(result.data) == result.media_type


async def test_a_picture_that_kills_its_process_is_one_refused_picture(tmp_path: Path) -> None:
    """The next one is decoded as ever."""
    worker = PictureWorker()
    try:
        good = await worker.normalise(SAMPLES["JPEG"])
        assert worker._process is not None
        worker._process.kill()
        with pytest.raises(ImageUnreadable, match="damaged"):
            await worker.normalise(SAMPLES["JPEG"])
        assert await worker.normalise(SAMPLES["JPEG"]) == good == normalise(SAMPLES["JPEG"])
    finally:
        await worker.close()


async def test_a_picture_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is ended, and nobody waits for it any longer."""
    worker = PictureWorker()
    monkeypatch.setattr("bot.image.worker._MAX_PICTURE_SECONDS", 0.0)
    with pytest.raises(ImageTooLarge, match="too long"):
        await worker.normalise(SAMPLES["JPEG"])
    assert worker._process is None


async def test_who_gives_up_ends_the_process() -> None:
    """Half of an answer would be taken for the next picture's."""
    worker = PictureWorker()
    task = asyncio.create_task(worker.normalise(SAMPLES["PNG"]))
    while worker._process is None:  # noqa: ASYNC110 - nothing tells when it starts
        await asyncio.sleep(0)
    task.cancel()
    process = worker._process
    await asyncio.gather(task, return_exceptions=True)
    assert process.returncode is not None
    assert (await worker.normalise(SAMPLES["PNG"])).data
    await worker.close()


async def test_pictures_come_one_after_the_other() -> None:
    """Each of many at once gets its own answer, refusals included."""
    worker = PictureWorker()
    try:
        names = [*FORMATS, *FORMATS]
        made = await asyncio.gather(
            *(worker.normalise(SAMPLES[name]) for name in names),
            worker.normalise(b"%PDF-"),
            return_exceptions=True,
        )
    finally:
        await worker.close()
    assert made[:-1] == [normalise(SAMPLES[name]) for name in names]
    assert isinstance(made[-1], ImageUnreadable)
    assert "PDF" in str(made[-1])


def test_the_bot_itself_needs_no_pillow() -> None:
    """Reading the format and the bytes of a picture does not import it."""
    code = "import bot.image, sys; bot.image.to_bytes(b'x'); print('PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
