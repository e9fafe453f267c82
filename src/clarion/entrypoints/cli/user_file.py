"""A file of users, read record by record: CSV or NDJSON, plain or gzip, however large, from any record on."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Final, cast

import msgspec

from clarion.audience.profile import UserItem
from clarion.audience.tabular import TableReader
from clarion.kernel.errors import Invalid

MAX_LINE: Final = 1 << 20
"""Bytes of one line: what is longer is no user."""

SNIFFED: Final = 1 << 16
DELIMITERS: Final = (",", ";", "\t", "|")
FORMATS: Final = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
UTF8: Final = "utf-8"

_GZIP: Final = b"\x1f\x8b"
_BOMS: Final = ((codecs.BOM_UTF8, UTF8), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NO_TEXT: Final = re.compile("[\udc80-\udcff]")
"""A byte that is not UTF-8, as `surrogateescape` has it."""


class FileShape(msgspec.Struct, frozen=True):
    """How a file is to be read. `format`, `encoding` and `delimiter` "": found out. The rest is about CSV.

    `renamed`: the names that columns get; `as_text`: columns whose cells stay text.
    """

    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    renamed: dict[str, str] = {}
    as_text: tuple[str, ...] = ()


class Position(msgspec.Struct, frozen=True):
    """A place between two records: the bytes (of plain UTF-8) and lines before it."""

    offset: int = 0
    line: int = 0


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record: the line that it begins on (from 1), its user or what is wrong with it, and its text."""

    line: int
    user: UserItem | Invalid
    source: list[str] | str


class Chunk(msgspec.Struct, frozen=True):
    """Records that stand together in the file, and the place behind them."""

    records: list[Record]
    end: Position


class UserFile:
    """A file of users that is open. To be closed."""

    def __init__(self, path: Path, shape: FileShape) -> None:
        """Raise Invalid where the file cannot be read, is empty, or is not what `shape` says."""
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise Invalid(f"{path}: {error.strerror}", "file") from error
        self.size = path.stat().st_size
        is_gzip = self._raw.peek(len(_GZIP)).startswith(_GZIP)
        self._bytes = cast("IO[bytes]", gzip.GzipFile(fileobj=self._raw)) if is_gzip else self._raw
        self._shape = shape
        self._text: io.TextIOWrapper | None = None
        try:
            self._look(path)
        except BaseException:
            self.close()
            raise

    def chunks(self, after: Position, size: int) -> Generator[Chunk]:
        """The records behind a position, `size` at a time. Blank lines are none.

        Raises Invalid where the header is none, or the file is damaged.
        """
        with _legible():
            yield from (self._objects if self.format == "ndjson" else self._rows)(after, size)

    def check(self) -> None:
        """Pass where the file can be read, as far as its first record tells. Raises Invalid."""
        for _ in self.chunks(Position(), 1):
            break

    def read_bytes(self) -> int:
        """How many of the file's `size` bytes were read."""
        return self._raw.tell()

    def close(self) -> None:
        """Close the file."""
        self._bytes.close()
        self._raw.close()

    def _look(self, path: Path) -> None:
        """Find out what the file is from how it begins."""
        shape = self._shape
        with _legible():
            start = self._bytes.read(SNIFFED)
        bom, encoding = next((entry for entry in _BOMS if start.startswith(entry[0])), (b"", shape.encoding))
        start = start.removeprefix(bom)
        if not start.strip():
            raise Invalid(f"{path} is empty", "file")
        self._encoding = _known(encoding or UTF8)
        # The codec takes the mark of UTF-16 itself, which tells it the order of bytes.
        self._start = Position(len(bom) if self._encoding == UTF8 else 0)
        self.format = shape.format or FORMATS.get(_suffix(path)) or _guess(start)

    def _objects(self, after: Position, size: int) -> Generator[Chunk]:
        decoder = msgspec.json.Decoder(UserItem)
        lines = self._lines()
        self._skip(lines, after)
        while taken := list(islice(lines.raw(), size)):
            records: list[Record] = []
            for raw in taken:
                if not raw.isspace():
                    text = raw.decode(errors="replace").rstrip()
                    records.append(Record(lines.line + 1, _decode(decoder, raw), text))
                lines.pass_by(1)
            yield Chunk(records, lines.position)

    def _rows(self, after: Position, size: int) -> Generator[Chunk]:
        lines = self._lines()
        delimiter = self._shape.delimiter or _delimiter_of(next(lines))
        lines.give_back()
        try:
            header = next(csv.reader(lines, delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise Invalid(f"the header cannot be read: {error}") from None
        table = TableReader(header, self._shape.renamed, self._shape.as_text)
        lines.pass_by(len(lines.taken))
        self._skip(lines, after)
        rows = _split(lines, delimiter)
        while taken := list(islice(rows, size)):
            yield Chunk([_record(table, *row) for row in taken], lines.position)

    def _lines(self) -> _Lines:
        self._bytes.seek(self._start.offset)
        if self._encoding == UTF8:
            return _Lines(iter(partial(self._bytes.readline, MAX_LINE), b""), self._start)
        if self._text is not None:
            self._text.detach()  # or it would close the file when it goes
        self._text = io.TextIOWrapper(cast("io.BufferedReader", self._bytes), self._encoding, newline="\n")
        texts = iter(partial(self._text.readline, MAX_LINE), "")
        return _Lines((text.encode() for text in texts), self._start)

    def _skip(self, lines: _Lines, after: Position) -> None:
        """Go on behind `after`, which is not before where `lines` are."""
        if after.offset <= lines.position.offset:
            return
        if self._encoding == UTF8:
            self._bytes.seek(after.offset)
            lines.jump(after)
        while lines.position.offset < after.offset:
            next(lines)
            lines.pass_by(1)


class _Lines:
    """Lines of UTF-8, and the place behind those that were passed by. What was taken may be given back."""

    def __init__(self, source: Iterator[bytes], position: Position) -> None:
        self._source = source
        self._back: list[bytes] = []
        self.taken: list[bytes] = []
        self._offset, self.line = position.offset, position.line

    @property
    def position(self) -> Position:
        """The place behind the lines that were passed by."""
        return Position(self._offset, self.line)

    def __iter__(self) -> _Lines:
        """Itself."""
        return self

    def __next__(self) -> str:
        """The next line with its end. A byte that is no UTF-8 is a lone surrogate: a bad record is no bad file."""
        raw = self._back.pop() if self._back else next(self._source)
        self.taken.append(raw)
        return raw.decode(UTF8, "surrogateescape")

    def raw(self) -> Iterator[bytes]:
        """The lines as they are."""
        for raw in self._source:
            self.taken.append(raw)
            yield raw

    def pass_by(self, number: int) -> None:
        """Go on behind the first lines that were taken."""
        for raw in self.taken[:number]:
            self._offset += len(raw)
            self.line += raw.endswith(b"\n")
        del self.taken[:number]

    def give_back(self) -> None:
        """Offer again what was taken and not passed by."""
        self._back.extend(reversed(self.taken))
        self.taken.clear()

    def jump(self, position: Position) -> None:
        """The source goes on at another place."""
        self._offset, self.line = position.offset, position.line


def _split(lines: _Lines, delimiter: str) -> Iterator[tuple[int, list[str] | Invalid, list[str] | str]]:
    """Rows by the line that they begin on, with their source. Where a row is none, its first line is, and no more."""
    while True:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                line = lines.line + 1
                lines.pass_by(len(lines.taken))
                if cells:
                    yield line, cells, cells
        except csv.Error as error:
            line, first = lines.line + 1, lines.taken[0]
            lines.pass_by(1)
            lines.give_back()
            yield line, Invalid(f"is no CSV: {error}"), first.decode(errors="replace").rstrip("\r\n")
        else:
            return


def _record(table: TableReader, line: int, cells: list[str] | Invalid, source: list[str] | str) -> Record:
    if isinstance(cells, Invalid):
        return Record(line, cells, source)
    text = "".join(cells)
    if not text.isascii() and _NO_TEXT.search(text):
        legible = [cell.encode(UTF8, "surrogateescape").decode(errors="replace") for cell in cells]
        return Record(line, Invalid("is not UTF-8: name the file's encoding with --encoding"), legible)
    try:
        return Record(line, table.read(cells), source)
    except Invalid as error:
        return Record(line, error, source)


def _decode(decoder: msgspec.json.Decoder[UserItem], raw: bytes) -> UserItem | Invalid:
    if len(raw) == MAX_LINE:
        return Invalid(f"has a line of more than {MAX_LINE >> 20} MB")
    try:
        return decoder.decode(raw)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        return Invalid(str(error))


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _guess(start: bytes) -> str:
    return "ndjson" if start.lstrip().startswith(b"{") else "csv"


def _delimiter_of(header: str) -> str:
    """The delimiter that a header has most of."""
    return max(DELIMITERS, key=header.count)


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise Invalid(f"there is no encoding {encoding!r}", "encoding") from None


@contextmanager
def _legible() -> Generator[None]:
    """Say of a damaged file that it is one."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Invalid(f"the file is damaged: {error}", "file") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"the file is not in {error.encoding}: {error.reason}", "encoding") from error
