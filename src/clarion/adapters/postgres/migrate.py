"""From a server and its owner's login to databases, roles and tables. Safe at every start, and twice at once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import asyncpg
import msgspec

from clarion.adapters.postgres.errors import map_error
from clarion.adapters.postgres.pools import PostgresUrls
from clarion.adapters.postgres.queries import load_queries
from clarion.kernel.errors import Invalid, Permanent

if TYPE_CHECKING:
    from asyncpg import Connection

PIPELINE_ROLE: Final = "clarion_pipeline"
API_ROLE: Final = "clarion_api"
AUDIT_ROLE: Final = "clarion_audit"
"""Can add to the audit log, and nothing else."""

MIGRATIONS: Final = Path(str(files("clarion.adapters.postgres"))) / "migrations"
_MAINTENANCE: Final = "postgres"
_CONNECT_TIMEOUT_S: Final = 10.0
_SCRAM_ITERATIONS: Final = 4096
_RIGHTS: Final = (
    "the role of the admin URL lacks rights: it must be a superuser, or have CREATEDB, CREATEROLE and BYPASSRLS "
    "and own the databases that exist"
)


class RolePasswords(msgspec.Struct, frozen=True):
    """Passwords of the roles that Clarion connects as; printable ASCII. They are set anew at every migration."""

    pipeline: str
    api: str
    audit: str


class Databases(msgspec.Struct, frozen=True):
    """Names of the databases on the server."""

    regional: str = "clarion"
    keys: str = "clarion_keys"
    global_: str = "clarion_global"


class MigrationReport(msgspec.Struct, frozen=True):
    """What is there now. `applied` are the revisions that this run added, in order; none where all was up to date.

    `global_url` is the database for the global store on this server, whose tables `adapters.globaldb` makes.
    """

    urls: PostgresUrls
    global_url: str
    revision: str
    applied: tuple[str, ...]


async def migrate(
    admin_url: str, passwords: RolePasswords, databases: Databases | None = None
) -> MigrationReport:
    """Make the databases, the roles and the newest schema on the server of `admin_url`; what is there stays.

    Which database the URL names does not matter: `databases` does.

    A schema that a newer release has migrated is left as it is: this release runs on it. Raises Transient where the
    server does not answer, Permanent where the role of the URL may not do this or the URL does not fit.
    """
    names = databases or Databases()
    sql = load_queries("migrate")
    # Not the database of the URL, which may be one that is still to be made; and locks hold inside one database only.
    async with _connected(database_url(admin_url, _MAINTENANCE)) as admin:
        await admin.execute(sql["lock_migrations"])
        await _ensure_roles(admin, passwords)
        await _ensure_databases(admin, names)
        async with _connected(database_url(admin_url, names.regional)) as regional:
            revision, applied = await _upgrade(regional)
            await regional.execute(sql["ensure_partitions"])
        async with _connected(database_url(admin_url, names.keys)) as keys:
            await keys.execute((MIGRATIONS / "keys_schema.sql").read_text("utf-8"))
        async with _connected(database_url(admin_url, names.global_)) as global_:
            await global_.execute(sql["let_schema_be_used"])
    return MigrationReport(
        urls=role_urls(admin_url, passwords, names),
        global_url=database_url(admin_url, names.global_, (PIPELINE_ROLE, passwords.pipeline)),
        revision=revision,
        applied=applied,
    )


def role_urls(admin_url: str, passwords: RolePasswords, databases: Databases | None = None) -> PostgresUrls:
    """Where the roles connect on the server of `admin_url`; asks nobody."""
    names = databases or Databases()
    return PostgresUrls(
        pipeline=database_url(admin_url, names.regional, (PIPELINE_ROLE, passwords.pipeline)),
        reader=database_url(admin_url, names.regional, (API_ROLE, passwords.api)),
        keys=database_url(admin_url, names.keys, (PIPELINE_ROLE, passwords.pipeline)),
        audit=database_url(admin_url, names.regional, (AUDIT_ROLE, passwords.audit)),
    )


def database_url(url: str, database: str, login: tuple[str, str] | None = None) -> str:
    """`url` (`postgresql://…`) with another database and, with `login` (role, password), another login."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if login is not None:
        user, at = f"{quote(login[0], safe='')}:{quote(login[1], safe='')}", "@"
    return parts._replace(netloc=f"{user}{at}{host}", path=f"/{quote(database, safe='')}").geturl()


def known_revisions() -> list[str]:
    """The migrations of this release, oldest first. Their numbers are their order: history has no branches."""
    return sorted(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def scram_verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL keeps of a password, so that the password itself is in no statement and no log (RFC 5803)."""
    if not password or not password.isascii() or not password.isprintable():
        detail = "a role's password must be printable ASCII and not empty"
        raise Invalid(detail)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{salt64}${stored64}:{server64}"


async def _connect(url: str) -> Connection:
    try:
        return await asyncpg.connect(url, timeout=_CONNECT_TIMEOUT_S)
    except ValueError as exc:  # asyncpg's own error for a URL is one too
        raise Invalid(f"the admin URL cannot be read ({exc})", "postgres_url") from exc


@asynccontextmanager
async def _connected(url: str) -> AsyncGenerator[Connection]:
    """A connection for the length of the block. Its errors come out as ours, with what the operator has to mend."""
    try:
        connection = await _connect(url)
        try:
            yield connection
        finally:
            await connection.close(timeout=_CONNECT_TIMEOUT_S)
    except asyncpg.InsufficientPrivilegeError as exc:
        raise Permanent(f"{_RIGHTS} ({exc})") from exc
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as exc:
        raise Permanent(f"the admin URL does not open the server ({exc})") from exc
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as exc:
        mine = map_error(exc)
        if mine is None:
            raise
        raise mine from exc


async def _ensure_roles(admin: Connection, passwords: RolePasswords) -> None:
    """All roles with these passwords; refuses one that is a superuser, because nothing would bind it."""
    sql = load_queries("migrate")
    wanted = (
        (PIPELINE_ROLE, passwords.pipeline, True),
        (API_ROLE, passwords.api, False),
        (AUDIT_ROLE, passwords.audit, False),
    )
    records = await admin.fetch(sql["find_roles"], [role for role, _, _ in wanted])
    found = {record["rolname"]: record for record in records}
    for role, password, bypass in wanted:
        verifier = scram_verifier(password, os.urandom(16))
        if role not in found:
            statement = await admin.fetchval(sql["compose_create_role"], role, verifier, bypass)
        elif found[role]["rolsuper"]:
            detail = f"{role} is a superuser, whom row-level security does not bind: make it NOSUPERUSER"
            raise Permanent(detail)
        else:
            bypasses = found[role]["rolbypassrls"]
            statement = await admin.fetchval(sql["compose_alter_role"], role, verifier, bypass, bypasses)
        await admin.execute(statement)


async def _ensure_databases(admin: Connection, names: Databases) -> None:
    """All three databases, open to the roles that work in them and to nobody else."""
    sql = load_queries("migrate")
    who = {
        names.regional: (PIPELINE_ROLE, API_ROLE, AUDIT_ROLE),
        names.keys: (PIPELINE_ROLE,),
        names.global_: (PIPELINE_ROLE,),
    }
    found = {record["datname"] for record in await admin.fetch(sql["find_databases"], list(who))}
    for database, roles in who.items():
        if database not in found:
            await admin.execute(await admin.fetchval(sql["compose_create_database"], database))
        await admin.execute(await admin.fetchval(sql["compose_close_database"], database))
        for role in roles:
            await admin.execute(await admin.fetchval(sql["compose_open_database"], database, role))


async def _upgrade(regional: Connection) -> tuple[str, tuple[str, ...]]:
    """Bring the regional schema to this release's head; the revision it is at, and those that were added."""
    known = known_revisions()
    sql = load_queries("migrate")
    has_history = await regional.fetchval(sql["has_history"])
    current = await regional.fetchval(sql["current_revision"]) if has_history else ""
    if current and current >= known[-1]:
        return current, ()
    if current and current not in known:
        detail = f"the database is at migration {current}, which no release of Clarion has"
        raise Permanent(detail)
    script = await asyncio.to_thread(write_script, current, known[-1])
    await regional.execute(script)
    return known[-1], tuple(revision for revision in known if revision > current)


def write_script(current: str, target: str) -> str:
    """The SQL from one revision ("": nothing) to a later one, as one transaction."""
    from alembic import command  # noqa: PLC0415  0.4 s, and only a start that has something to migrate needs it
    from alembic.config import Config  # noqa: PLC0415  the same

    written = io.StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, f"{current}:{target}" if current else target, sql=True)
    return written.getvalue()
