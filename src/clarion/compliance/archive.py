"""The archive of an export: a zip with each kind of record as JSON and as CSV, and a manifest of hashes. Pure.

What is gathered waits compressed: ten thousand messages take some megabytes until the archive is packed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

import msgspec

from clarion.compliance.ports import Held
from clarion.kernel.errors import Permanent

MAX_GATHERED_BYTES: Final = 256 * 1024 * 1024
"""Most that is gathered of one user, compressed. Whoever has more is an integration, not a person."""

MANIFEST: Final = "manifest.json"

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula (CWE-1236), where it stands first."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
_pretty: Final = msgspec.json.format


class About(msgspec.Struct, frozen=True):
    """What an archive says of itself. `made_ms`: UTC ms."""

    export_id: str
    user_id: str
    made_ms: int


class FileEntry(msgspec.Struct, frozen=True):
    """A file of an archive, as its manifest has it: how many records, and what its bytes hash to."""

    name: str
    records: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json`: what the archive is, and what is in it."""

    about: str
    export_id: str
    user_id: str
    made_at: str
    files: list[FileEntry]


_ABOUT: Final = (
    "All that is held about this user: each kind of record as JSON and as CSV. Times are UTC (ISO 8601). In CSV, lists "
    "and objects are JSON texts, and a text that a spreadsheet would run as a formula has an apostrophe before it. "
    "Cards and features in memory are copies of what is here."
)


class Gathered:
    """What stores gave, by kind, until it is packed. `most`: bytes, compressed."""

    def __init__(self, most: int = MAX_GATHERED_BYTES) -> None:
        self._most = most
        self._kinds: dict[str, _Kind] = {}

    def add(self, held: Held) -> None:
        """Take a portion. Raises Permanent where it is more than anybody can be given at once."""
        self._kinds.setdefault(held.name, _Kind()).add(held)
        if sum(kind.size for kind in self._kinds.values()) > self._most:
            detail = "more is held about this user than goes into one archive"
            raise Permanent(detail)

    def pack(self, about: About) -> bytes:
        """The archive: what is written for the same records at the same time is the same."""
        made = time.gmtime(about.made_ms / 1000)[:6]
        packed = io.BytesIO()
        entries: list[FileEntry] = []
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, kind in sorted(self._kinds.items()):
                for ending, write in ((".json", kind.write_json), (".csv", kind.write_csv)):
                    info = _member(name + ending, made)
                    with archive.open(info, "w") as member:
                        sink = _Hashed(member)
                        write(sink)
                    entries.append(sink.entry(info.filename, kind.count))
            manifest = Manifest(
                _ABOUT,
                about.export_id,
                about.user_id,
                time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(about.made_ms / 1000)),
                entries,
            )
            archive.writestr(_member(MANIFEST, made), _pretty(_encode(manifest), indent=2))
        return packed.getvalue()


def read_manifest(archive: bytes) -> Manifest:
    """The manifest of an archive whose files are all there and have the bytes that it names. Raises Permanent."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        manifest = msgspec.json.decode(opened.read(MANIFEST), type=Manifest)
        named = {entry.name: entry.sha256 for entry in manifest.files}
        found = {
            name: hashlib.sha256(opened.read(name)).hexdigest()
            for name in opened.namelist()
            if name != MANIFEST
        }
    if named != found:
        detail = "the archive does not hold what its manifest names"
        raise Permanent(detail)
    return manifest


def cell(value: object) -> str:
    """A value as a cell of CSV: plain, JSON for what has parts, and never the beginning of a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else _encode(value).decode()
    return f"'{text}" if text.startswith(_FORMULA) else text


class _Kind:
    """The records of one kind, as compressed lines of JSON, and the columns that they have between them."""

    def __init__(self) -> None:
        self.count = 0
        self.size = 0
        self._columns: dict[str, None] = {}
        self._deflate = zlib.compressobj(1)
        self._parts: list[bytes] = []

    def add(self, held: Held) -> None:
        for row in held.rows:
            self._columns.update(dict.fromkeys(row))
            self._keep(self._deflate.compress(_encode(row) + b"\n"))
        self.count += len(held.rows)

    def write_json(self, sink: _Hashed) -> None:
        """One array, a record a line."""
        before = b"[\n"
        for line in self._lines():
            sink.write(before + line)
            before = b",\n"
        sink.write(b"\n]\n" if self.count else b"[]\n")

    def write_csv(self, sink: _Hashed) -> None:
        """RFC 4180: a header, then a record a line; with the mark by which spreadsheets know UTF-8."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([cell(name) for name in self._columns])
        sink.write(b"\xef\xbb\xbf")
        for line in self._lines():
            record: Mapping[str, object] = _decode(line)
            writer.writerow([cell(record.get(name)) for name in self._columns])
            sink.write(text.getvalue().encode())
            text.seek(0)
            text.truncate()
        sink.write(text.getvalue().encode())

    def _lines(self) -> Iterator[bytes]:
        self._keep(self._deflate.flush(zlib.Z_SYNC_FLUSH))
        inflate, rest = zlib.decompressobj(), b""
        for part in self._parts:
            *lines, rest = (rest + inflate.decompress(part)).split(b"\n")
            yield from lines

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self.size += len(part)


class _Hashed:
    """A sink that knows how much went through it, and what that hashes to."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self._digest = hashlib.sha256()
        self._bytes = 0

    def write(self, part: bytes) -> None:
        self._sink.write(part)
        self._digest.update(part)
        self._bytes += len(part)

    def entry(self, name: str, records: int) -> FileEntry:
        return FileEntry(name, records, self._bytes, self._digest.hexdigest())


def _member(name: str, made: tuple[int, ...]) -> zipfile.ZipInfo:
    year, month, day, hour, minute, second = made
    info = zipfile.ZipInfo(name, (year, month, day, hour, minute, second))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info
