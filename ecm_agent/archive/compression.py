"""Compression inside the encryption: opt-in when writing, recognised by its magic when reading."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from ecm_agent.errors import ArchiveInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecm_agent.archive.container import ByteSink, ByteSource, Data

Compression: TypeAlias = Literal["none", "gzip", "zstd"]

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_EMPTY_FRAME = b"\x50\x2a\x4d\x18" + bytes(4)
_GZIP_LEVEL = 1  # level 6 takes four times as long for a tenth less (measured on conversation text)
_ZSTD_LEVEL = 3


class Compressor(Protocol):
    """What both libraries' incremental compressors offer."""

    def compress(self, data: Data, /) -> bytes: ...

    def flush(self) -> bytes: ...


class CompressedWriter:
    """Compress everything written on its way into `sink`; `finish` completes the stream, not the sink."""

    def __init__(self, sink: ByteSink, compression: Literal["gzip", "zstd"]) -> None:
        self._sink = sink
        self._compressor = _compressor(compression)

    def write(self, data: Data, /) -> None:
        self._sink.write(self._compressor.compress(data))

    def finish(self) -> None:
        self._sink.write(self._compressor.flush())


class Followed:
    """A source with more bytes after its end."""

    def __init__(self, source: ByteSource, after: bytes) -> None:
        self._source = source
        self._after = after

    def read(self, size: int, /) -> bytes:
        if taken := self._source.read(size):
            return taken
        taken, self._after = self._after[:size], self._after[size:]
        return taken


class Rewound:
    """A source whose first bytes have been looked at and are given out again."""

    def __init__(self, begin: bytes, rest: ByteSource) -> None:
        self._begin = begin
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        taken, self._begin = self._begin[:size], self._begin[size:]
        return taken + self._rest.read(size - len(taken))


def recognise(begin: bytes) -> Compression:
    """Name the compression by the first four bytes of a stream."""
    if begin.startswith(GZIP_MAGIC):
        return "gzip"
    return "zstd" if begin.startswith(ZSTD_MAGIC) else "none"


def decompressed(source: ByteSource) -> ByteSource:
    """Give the stream inside a compressed one, or the stream itself when it is not compressed."""
    begin = source.read(4)
    rewound = Rewound(begin, source)
    compression = recognise(begin)
    if compression == "none":
        return rewound
    return _Decompressed(_gzip_reader(rewound) if compression == "gzip" else _zstd_reader(rewound))


class _Decompressed:
    def __init__(self, stream: ByteSource) -> None:
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        with _damage_named():
            return self._stream.read(size)


@contextmanager
def _damage_named() -> Iterator[None]:
    import gzip
    import zlib

    import zstandard

    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise ArchiveInvalid(f"Invalid archive format: the compressed stream is damaged ({error}).") from error


def _compressor(compression: Literal["gzip", "zstd"]) -> Compressor:
    if compression == "gzip":
        import zlib

        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    import zstandard

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()


def _gzip_reader(source: Rewound) -> ByteSource:
    import gzip

    return gzip.GzipFile(fileobj=source)  # type: ignore[call-overload,no-any-return] # it only ever calls read


def _zstd_reader(source: Rewound) -> ByteSource:
    import zstandard

    # The library says nothing of a stream cut within its last checksum. Another frame, an empty one, would then be
    # taken for the rest of that checksum, which it is not.
    followed = Followed(source, _EMPTY_FRAME)
    return zstandard.ZstdDecompressor().stream_reader(followed, read_across_frames=True)  # type: ignore[arg-type] # it only ever calls read
