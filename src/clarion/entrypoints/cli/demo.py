"""`clarion demo`: a thousand personalised e-mails through a real SMTP server, counted at both ends.

It creates a tenant with a thousand users in many time zones, starts an SMTP server in a process of its own, sends a
campaign through the public API, and waits until every delivery has reached its end. Kill what you like meanwhile: the
table at the end still adds up.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from clarion.adapters.providers.smtp.sink_model import SinkReport
from clarion.adapters.providers.smtp.sink_process import SmtpSink
from clarion.contracts.statuses import TERMINAL
from clarion.entrypoints.cli.client import Account, ApiClient, account_of, path_of
from clarion.entrypoints.cli.tenants import add_tenant

BATCH: Final = 250
PAGE: Final = 100
POLL_S: Final = 0.3
CATEGORY: Final = "transactional"
TEMPLATE: Final = "welcome"
ZONES: Final = (
    "America/Los_Angeles", "America/New_York", "America/Sao_Paulo", "Europe/London", "Europe/Paris",
    "Africa/Lagos", "Asia/Dubai", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "Australia/Adelaide",
    "Pacific/Auckland",
)  # fmt: skip
NAMES: Final = ("Ada", "Grace", "Katherine", "Radia", "Barbara", "Frances", "Hedy", "Margaret")


class DemoOptions(msgspec.Struct, frozen=True):
    """The command's options. `timeout_s`: how long to wait for the deliveries to end."""

    data: Path
    users: int
    timeout_s: float
    json: bool


class Tally(msgspec.Struct, frozen=True):
    """Both ends of the campaign: what the API says of each delivery, and what the SMTP server saw."""

    accepted: int
    statuses: dict[str, int]
    received: int
    distinct: int
    duplicates: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every message that was accepted is accounted for, and every one sent has arrived."""
        sent = sum(self.statuses.get(status, 0) for status in ("sent", "delivered", "engaged"))
        return (
            sum(self.statuses.values()) == self.accepted and self.distinct >= sent and sent == self.accepted
        )


def run_demo(options: DemoOptions) -> int:
    """Run the campaign; exit code 0 where all of it arrived."""
    console = Console(stderr=options.json)
    host = account_of(options.data)
    with SmtpSink.start() as sink, Progress(*_columns(), console=console) as progress:
        tenant = asyncio.run(add_tenant(options.data, f"demo-{int(time.time())}"))
        with ApiClient(Account(host.url, tenant.api_key)) as api:
            _prepare(api, sink, options.users, progress)
            tally = _run_campaign(api, sink, options, progress)
    if options.json:
        Console().print_json(msgspec.json.encode(tally).decode(), indent=None)
    else:
        _print(console, tally, options)
    return 0 if tally.ok else 1


def _columns() -> tuple[Any, ...]:
    return (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )


def _prepare(api: ApiClient, sink: SmtpSink, users: int, progress: Progress) -> None:
    provider = {
        "kind": "smtp",
        "channel": "email",
        "settings": sink.provider_settings("Clarion <hello@example.com>"),
    }
    api.call("PUT", path_of("providers", "demo-smtp"), provider)
    content = {
        "subject": "Welcome, {{ user.first_name }}",
        "html": "<p>Dear {{ user.first_name }},</p><p>it is {{ data.weather }} in {{ user.timezone }}.</p>",
        "text": "Dear {{ user.first_name }}, it is {{ data.weather }} in {{ user.timezone }}.",
    }
    api.call("PUT", path_of("templates", TEMPLATE), {"category": CATEGORY, "channels": {"email": content}})
    task = progress.add_task("users", total=users)
    for numbers in _batches(users):
        api.call("POST", "/api/v1/users/batch", {"users": [_user(number) for number in numbers]})
        progress.advance(task, len(numbers))


def _user(number: int) -> dict[str, Any]:
    return {
        "user_id": f"user-{number}",
        "email": f"user-{number}@example.org",
        "timezone": ZONES[number % len(ZONES)],
        "attributes": {"first_name": NAMES[number % len(NAMES)]},
    }


def _batches(total: int) -> Iterator[range]:
    for start in range(0, total, BATCH):
        yield range(start, min(start + BATCH, total))


def _run_campaign(api: ApiClient, sink: SmtpSink, options: DemoOptions, progress: Progress) -> Tally:
    began = time.monotonic()
    accepting = progress.add_task("accepted", total=options.users)
    arriving = progress.add_task("arrived", total=options.users)
    accepted = 0
    for numbers in _batches(options.users):
        requests = [_request(number) for number in numbers]
        answer = api.call("POST", "/api/v1/notifications/batch", {"notifications": requests})
        accepted += sum("notification_id" in item for item in answer["results"])
        progress.update(accepting, completed=accepted)
        progress.update(arriving, completed=_report(sink).distinct)
    statuses = _await_end(api, sink, options, progress, arriving)
    report = _report(sink)
    return Tally(
        accepted,
        statuses,
        report.received,
        report.distinct,
        report.duplicates,
        round(time.monotonic() - began, 2),
    )


def _request(number: int) -> dict[str, Any]:
    return {
        "user_id": f"user-{number}",
        "category": CATEGORY,
        "template": TEMPLATE,
        "data": {"weather": ("sunny", "windy", "mild")[number % 3]},
    }


def _await_end(
    api: ApiClient, sink: SmtpSink, options: DemoOptions, progress: Progress, task: TaskID
) -> dict[str, int]:
    deadline = time.monotonic() + options.timeout_s
    while True:
        report = _report(sink)
        progress.update(task, completed=report.distinct)
        late = time.monotonic() > deadline
        if report.distinct >= options.users or late:
            statuses = _count_statuses(api)
            if late or all(status in TERMINAL for status in statuses):
                return statuses
        time.sleep(POLL_S)


def _report(sink: SmtpSink) -> SinkReport:
    return asyncio.run(sink.report())


def _count_statuses(api: ApiClient) -> dict[str, int]:
    counts: Counter[str] = Counter()
    cursor = ""
    while True:
        page = api.call(
            "GET", f"/api/v1/notifications?limit={PAGE}" + (f"&cursor={cursor}" if cursor else "")
        )
        for notification in page["notifications"]:
            counts.update(delivery["status"] for delivery in notification["deliveries"])
        cursor = page.get("next_cursor") or ""
        if not cursor:
            return dict(counts)


def _print(console: Console, tally: Tally, options: DemoOptions) -> None:
    table = Table(title="What became of it", title_justify="left")
    table.add_column("")
    table.add_column("messages", justify="right")
    table.add_row("accepted by the API (201: durable)", f"{tally.accepted:,}")
    for status, count in sorted(tally.statuses.items()):
        table.add_row(f"  {status}", f"{count:,}")
    table.add_section()
    table.add_row("arrived at the SMTP server", f"{tally.received:,}")
    table.add_row("  distinct", f"{tally.distinct:,}")
    table.add_row("  duplicates (sends in flight when a process was killed)", f"{tally.duplicates:,}")
    console.print(table)
    verdict = "[green]✓ every one is accounted for" if tally.ok else "[red]✗ this does not add up"
    console.print(f"{verdict}[/] ({tally.seconds} s)")
    console.print(
        f"Next: clarion ledger verify --data {options.data} --wait 60, "
        "then GET /api/v1/notifications/{id}/trace on any of them says why it was sent as it was."
    )
