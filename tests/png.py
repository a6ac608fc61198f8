"""Reads the size and kind of PNG files, and compresses them without loss."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Colour types with an alpha channel, by the PNG specification.
_WITH_ALPHA = (4, 6)
# The chunks that a picture needs; the others are metadata.
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IEND")


@dataclass(frozen=True)
class Picture:
    width: int
    height: int
    is_transparent: bool


def describe(data: bytes) -> Picture:
    """Returns size and kind. Raises ValueError if it is not a PNG."""
    chunks = dict(_chunks(data))
    width, height, _depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    return Picture(width, height, colour in _WITH_ALPHA or b"tRNS" in chunks)


def packed(data: bytes) -> bytes:
    """Returns the same pixels, compressed as far as zlib can, without metadata."""
    body = b"".join(content for name, content in _chunks(data) if name == b"IDAT")
    smaller = zlib.compress(zlib.decompress(body), 9)
    out = [_SIGNATURE]
    for name, content in _chunks(data):
        if name == b"IEND":
            out.append(_chunk(b"IDAT", smaller))
        if name in _NEEDED:
            out.append(_chunk(name, content))
    return b"".join(out)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not data.startswith(_SIGNATURE):
        raise ValueError("no PNG")
    at = len(_SIGNATURE)
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        yield name, data[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(name: bytes, content: bytes) -> bytes:
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
