"""Pictures as PNG: 8 bits of palette a pixel, which is a third of true colour and needs no library."""

import base64
import struct
import zlib

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def palette(anchors: tuple[str, ...]) -> UInt8[ndarray, "256 3"]:
    """256 colours, interpolated in sRGB between equally spaced anchors "rrggbb"."""
    colours = np.array([list(bytes.fromhex(anchor)) for anchor in anchors], dtype=float)
    where = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(where, np.arange(len(anchors)), channel) for channel in colours.T]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def indexed(values: Float[ndarray, "rows columns"], low: float, high: float) -> UInt8[ndarray, "rows columns"]:
    """Palette index of each value: `low` and below is 0, `high` and above 255."""
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def png(pixels: UInt8[ndarray, "rows columns"], colours: UInt8[ndarray, "256 3"]) -> bytes:
    """A picture with a palette (PNG, 3rd edition, W3C 2025: colour type 3, bit depth 8), first row on top."""
    rows, columns = pixels.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    filtered = np.concatenate([np.zeros((rows, 1), np.uint8), pixels], axis=1)  # filter 0 in front of each row
    chunks = ((b"IHDR", header), (b"PLTE", colours.tobytes()), (b"IDAT", zlib.compress(filtered.tobytes(), 9)))
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in (*chunks, (b"IEND", b"")))


def data_uri(picture: bytes) -> str:
    """The picture as an address that needs no file."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
