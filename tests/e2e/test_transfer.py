"""A tenant's users, in and out by the file."""

from __future__ import annotations

import asyncio
import csv
import io
import stat
from pathlib import Path
from typing import Any

import msgspec

from clarion.entrypoints.cli.checkpoint import checkpoint_of
from tests.live.support import Finished, Person, run_clarion

USERS = """\
user_id,E-Mail,phone,timezone,plan,orders,zip
ada,ada@example.org,+14155550123,Europe/London,pro,12,01234
bob,not an address,,,free,1,
,nobody@example.org,,,free,1,
"cleo, the third",cleo@example.org,,Mars/Olympus,free,1,
dan,dan@example.org,,,"two
lines",3,98765
ada,ada@example.net,+14155550123,Europe/London,pro,13,01234
"""


async def import_users(person: Person, file: Path, *words: str) -> Finished:
    data = ("--data", person.instance.data, "--tenant", person.name)
    return await run_clarion("import", "users", file, *data, *words)


async def export_users(person: Person, *words: str | Path) -> Finished:
    data = ("--data", person.instance.data, "--tenant", person.name)
    return await run_clarion("export", "users", *words, *data)


async def write(path: Path, content: bytes) -> Path:
    await asyncio.to_thread(path.write_bytes, content)
    return path


def counts(finished: Finished) -> dict[str, Any]:
    assert finished.code == 0, finished.stderr
    return msgspec.json.decode(finished.stdout)


async def test_bad_rows_are_told_by_line_and_the_rest_is_imported(person: Person, tmp_path: Path):
    file = await write(tmp_path / "users.csv", USERS.encode())
    mapped = ("--map", "E-Mail=email", "--text", "zip", "--json")

    first = counts(await import_users(person, file, *mapped))
    rejects = tmp_path / "users.csv.rejects.ndjson"
    told = [msgspec.json.decode(line) for line in rejects.read_bytes().splitlines()]
    again = counts(await import_users(person, file, *mapped))

    assert (first["created"], first["rejected"], first["rejects"]) == (3, 3, str(rejects))
    assert [(reject["line"], reject["path"]) for reject in told] == [(3, "email"), (4, ""), (5, "timezone")]
    assert told[0]["record"] == ["bob", "not an address", "", "", "free", "1", ""]
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    assert not checkpoint_of(rejects).exists()
    assert (again["created"], again["updated"], again["unchanged"], again["rejected"]) == (0, 0, 3, 3)
    ada = await person.get("GET /users/ada")
    assert (ada["email"], ada["attributes"]) == (
        "ada@example.net",
        {"plan": "pro", "orders": 13, "zip": "01234"},
    )
    assert (await person.get("GET /users/dan"))["attributes"] == {
        "plan": "two\nlines",
        "orders": 3,
        "zip": "98765",
    }


async def test_what_is_exported_can_be_imported_and_changes_nothing(person: Person, tmp_path: Path):
    users: list[dict[str, Any]] = [
        {"user_id": f"user-{i}", "email": f"u{i}@example.org", "attributes": {"n": i, "list": [1, "a"]}}
        for i in range(50)
    ]
    await person.get("POST /users/batch", {"users": users})
    await person.get("PUT /users/user-7/devices", {"platform": "ios", "token": "t"})
    chosen = {"preferences": {"service": ["email"]}, "quiet_hours": {"start": "22:00", "end": "06:00"}}
    await person.get("PUT /users/user-7/preferences", chosen)
    before = await person.get("GET /users/user-7")

    lines = await export_users(person)
    table = await export_users(person, tmp_path / "users.csv")

    assert (lines.code, table.code, table.stdout) == (0, 0, "")
    exported = [msgspec.json.decode(line) for line in lines.stdout.splitlines()]
    assert {user["user_id"] for user in exported} == {user["user_id"] for user in users}
    assert before in exported
    text = (tmp_path / "users.csv").read_text()
    assert [row["user_id"] for row in csv.DictReader(io.StringIO(text))] == [
        user["user_id"] for user in exported
    ]
    assert stat.S_IMODE((tmp_path / "users.csv").stat().st_mode) == 0o600
    done = counts(await import_users(person, tmp_path / "users.csv", "--json"))
    assert (done["created"], done["rejected"]) == (0, 0)
    assert await person.get("GET /users/user-7") == before


async def test_a_user_who_was_imported_is_decided_on_as_she_is_now(person: Person, tmp_path: Path):
    """Her card is in the cache from the first notification; the import has to take it out. What she set stays."""
    await person.get("PUT /users/ada", {"email": "ada@example.org"})
    await person.get("PUT /users/ada/devices", {"platform": "ios", "token": "t"})
    await person.get("PUT /users/ada/preferences", {"preferences": {"*": ["push"]}})
    wanted = {
        "data": {"subject": "Hi", "title": "Hi", "body": "Hi"},
        "optimization": {"channel_selection": "all"},
    }
    before = await person.notify(user_id="ada", **wanted)
    file = await write(tmp_path / "u.csv", b"user_id,phone\nada,+14155550123\n")
    counts(await import_users(person, file, "--json"))
    after = await person.notify(user_id="ada", **wanted)
    ada = await person.get("GET /users/ada")
    assert (before["channels"], after["channels"]) == (["email", "push"], ["push", "sms"])
    assert (ada["email"], ada["preferences"]) == (None, {"*": ["push"]})
    assert ada["device_tokens"] == [{"platform": "ios", "token": "t"}]


async def test_a_file_without_users_is_refused_in_one_line(person: Person, tmp_path: Path):
    file = await write(tmp_path / "users.csv", b"name\nada\n")
    refused = await import_users(person, file)
    assert (refused.code, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert "no column is 'user_id'; there are: name. Name one with --map COLUMN=user_id" in line
