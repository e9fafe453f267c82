"""Files of users as they come: encodings, quotes, line ends, compression, damage."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from clarion.audience.profile import UserItem
from clarion.entrypoints.cli.user_file import MAX_LINE, FileShape, Position, UserFile
from clarion.kernel.errors import Invalid

Writing = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Writing:
    """Make a file of these bytes."""

    def write(content: bytes, name: str = "users.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def read(path: Path, shape: FileShape | None = None, after: Position | None = None, size: int = 100):
    """(line, user id or what is wrong) of each record, and the positions after each chunk."""
    records: list[tuple[int, str]] = []
    ends: list[Position] = []
    with closing(UserFile(path, shape or FileShape())) as file:
        for chunk in file.chunks(after or Position(), size):
            records += [
                (r.line, r.user.user_id if isinstance(r.user, UserItem) else r.user.detail)
                for r in chunk.records
            ]
            ends.append(chunk.end)
    return records, ends


TEXT = 'user_id,name\nada,Ada\n"bob","Bob\nthe ""builder"""\n\nzoë,Zoë\n'
IDS = [(2, "ada"), (3, "bob"), (6, "zoë")]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), ""),
        (TEXT.encode("utf-8-sig"), ""),
        (TEXT.replace("\n", "\r\n").encode(), ""),
        (TEXT.rstrip("\n").encode(), ""),
        (TEXT.encode("utf-16"), ""),
        (TEXT.encode("latin-1"), "latin-1"),
        (TEXT.encode("cp1252"), "windows-1252"),
        (TEXT.replace(",", ";").encode(), ""),
        (TEXT.replace(",", "\t").encode(), ""),
        (gzip.compress(TEXT.encode()), ""),
        (gzip.compress(TEXT.encode("utf-16")), ""),
    ],
    ids=["plain", "bom", "crlf", "no-end", "utf16", "latin1", "cp1252", "semicolon", "tab", "gz", "gz-utf16"],
)
def test_one_table_in_many_forms(written: Writing, content: bytes, encoding: str):
    path = written(content)
    records, ends = read(path, FileShape(encoding=encoding))
    assert records == IDS
    for size in (1, 2):
        pages, ends = read(path, FileShape(encoding=encoding), size=size)
        assert pages == IDS
        for number, end in enumerate(ends):
            rest, _ = read(path, FileShape(encoding=encoding), after=end)
            assert rest == IDS[(number + 1) * size :], "each position is one to go on from"


def test_lines_of_json(written: Writing):
    lines = b'{"user_id":"ada"}\n\n{"user_id":"bob","emial":"x"}\nnot json\n{"user_id":"zo\xc3\xab"}'
    for name in ("users.ndjson", "users.jsonl.gz", "users"):
        content = gzip.compress(lines) if name.endswith("gz") else lines
        records, ends = read(written(content, name), size=2)
        assert [line for line, _ in records] == [1, 3, 4, 5]
        assert "emial" in records[1][1]
        assert "malformed" in records[2][1]
        assert records[3][1] == "zoë"
        assert read(written(content, name), after=ends[0])[0] == records[1:]


def test_a_byte_that_is_no_text_spoils_its_record_only(written: Writing):
    records, _ = read(written(b"user_id,name\nada,Ad\xe4\nbob,Bob\n"))
    assert records == [(2, "is not UTF-8: name the file's encoding with --encoding"), (3, "bob")]


@pytest.mark.parametrize("rows", [3, 20_000])
def test_a_quote_that_is_never_closed_spoils_its_line_only(written: Writing, rows: int):
    lines = [b"user_id,name", b'ada,"Ada', *(b"user-%d,x" % i for i in range(rows))]
    records, _ = read(written(b"\n".join(lines)))
    assert records[0][0] == 2
    assert records[0][1].startswith("is no CSV: ")
    assert records[1:] == [(i + 3, f"user-{i}") for i in range(rows)]


def test_text_behind_a_closing_quote_is_no_csv(written: Writing):
    records, _ = read(written(b'user_id,name\nada,"Ada"x\nbob,Bob\n'))
    assert [(line, user) for line, user in records if user == "bob"] == [(3, "bob")]
    assert records[0][1].startswith("is no CSV: ")


def test_a_line_without_end_takes_no_memory_and_spoils_nothing_else(written: Writing):
    endless = b'{"user_id":"ada","attributes":{"a":"' + b"x" * (5 * MAX_LINE) + b'"}}'
    records, _ = read(written(b'{"user_id":"before"}\n' + endless + b'\n{"user_id":"after"}\n', "u.ndjson"))
    assert records[0] == (1, "before")
    assert records[-1] == (3, "after")
    assert all(line == 2 for line, _ in records[1:-1])


@pytest.mark.parametrize(
    "content", [b"", b"\n\n  \n", b"\xef\xbb\xbf\n", gzip.compress(b"")], ids=["none", "blank", "bom", "gz"]
)
def test_an_empty_file_is_refused(written: Writing, content: bytes):
    with pytest.raises(Invalid, match="is empty"):
        read(written(content))


def test_a_header_alone_is_no_user(written: Writing):
    assert read(written(b"user_id,email\n")) == ([], [])


def test_a_damaged_archive_is_told(written: Writing):
    whole = gzip.compress(b"user_id\n" + b"".join(b"user-%d\n" % i for i in range(50_000)))
    with pytest.raises(Invalid, match="damaged"):
        read(written(whole[: len(whole) // 2]))


@pytest.mark.parametrize(
    ("content", "shape", "says"),
    [
        (b"user_id\nada", FileShape(encoding="utf-9"), "there is no encoding 'utf-9'"),
        (b"user_id\nad\xff", FileShape(encoding="ascii"), "not in ascii"),
        (b'"user_id\nada', FileShape(), "header cannot be read"),
        (b"name,email\nada,x", FileShape(), "no column is 'user_id'"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(
    written: Writing, content: bytes, shape: FileShape, says: str
):
    with pytest.raises(Invalid, match=says):
        read(written(content), shape)


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(Invalid, match="No such file"):
        UserFile(tmp_path / "nobody.csv", FileShape())
