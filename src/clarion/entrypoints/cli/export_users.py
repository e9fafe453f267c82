"""`clarion export users`: all users of a tenant as NDJSON or CSV, a page in memory at a time."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from clarion.audience.profile import UserItem
from clarion.audience.tabular import EXPORTED_COLUMNS, write_row
from clarion.audience.users import open_users
from clarion.bootstrap import Region, open_region
from clarion.entrypoints.cli.checkpoint import PRIVATE
from clarion.entrypoints.cli.instance import borrowed_settings, find_tenant
from clarion.kernel.errors import Invalid

PAGE: Final = 2_000
FORMATS: Final = ("ndjson", "csv")

_encode = msgspec.json.Encoder().encode


class ExportOptions(msgspec.Struct, frozen=True):
    """The command's options. `output` None: stdout. `format` "": by the name of the output, else NDJSON."""

    data: Path
    tenant: str
    format: str
    output: Path | None


def run_export(options: ExportOptions) -> int:
    """Export; how many users on stderr. Exit code 1 where the reader went away."""
    chosen = options.format or ("csv" if options.output and options.output.suffix == ".csv" else "ndjson")
    if chosen not in FORMATS:
        raise Invalid(f"there is no format {chosen!r}; there are: {', '.join(FORMATS)}", "format")
    console = Console(stderr=True)
    try:
        with _output(options.output) as sink:
            users = uvloop.run(_export(options, sink, chosen, console))
    except BrokenPipeError:
        # Who read it has enough (`| head`). Python would try to flush what is left, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    console.print(f"{users:,} users exported" + (f" to {options.output}" if options.output else ""))
    return 0


async def _export(options: ExportOptions, sink: IO[bytes], chosen: str, console: Console) -> int:
    encode: Callable[[Sequence[UserItem]], bytes] = _as_rows if chosen == "csv" else _as_lines
    if chosen == "csv":
        sink.write(_row_text([list(EXPORTED_COLUMNS)]))
    total = 0
    columns = SpinnerColumn(), TextColumn("{task.completed:,} users"), TimeElapsedColumn()
    async with borrowed_settings(options.data) as settings, open_region(settings, "export") as region:
        tenant_id = await find_tenant(region.tenants, settings.region, options.tenant)
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=None)
            async for users in _pages(region, tenant_id):
                sink.write(encode(users))
                total += len(users)
                progress.update(task, completed=total)
    return total


async def _pages(region: Region, tenant_id: bytes) -> AsyncIterator[list[UserItem]]:
    """The tenant's users in the order in which they came. Who comes meanwhile may be in or out."""
    after = 0
    while rows := await region.users.page(tenant_id, after, PAGE):
        after = rows[-1].user_id
        yield await open_users(tenant_id, rows, region.seals)


def _as_lines(users: Sequence[UserItem]) -> bytes:
    return b"".join([_encode(user) + b"\n" for user in users])


def _as_rows(users: Sequence[UserItem]) -> bytes:
    return _row_text([write_row(user) for user in users])


def _row_text(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


@contextmanager
def _output(path: Path | None) -> Generator[IO[bytes]]:
    """Where the export goes: stdout, or a file that only its owner reads, and that is whole once it has its name."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    partial = path.with_name(f"{path.name}.part")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        with os.fdopen(handle, "wb") as sink:
            yield sink
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror}", "output") from error
    partial.replace(path)
