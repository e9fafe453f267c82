"""What Clarion is made of: `python -m tools.supply_chain advisories` and `sbom`, from the lock file.

Both refuse a lock with a requirement that no hash holds. `advisories` never passes in silence: what could not be asked
is said, for a build without a network must not look like one without vulnerabilities.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import msgspec

LOCK: Final = Path("requirements.lock")
SBOM: Final = Path("dist/sbom.cdx.json")
WITHIN_S: Final = 180
"""For all of its questions: pip-audit asks about each package by itself."""

_PINNED: Final = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; [^\\]+)?(?P<rest>[^#]*)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")


class Pinned(msgspec.Struct, frozen=True):
    """A package of the lock file, with the SHA-256 of each of its files."""

    name: str
    version: str
    hashes: tuple[str, ...]


class Vulnerability(msgspec.Struct, frozen=True):
    """An advisory, as pip-audit names it."""

    id: str
    fix_versions: list[str] = []


class Audited(msgspec.Struct, frozen=True):
    """What pip-audit says of a package. `skip_reason`: it could not be asked about."""

    name: str
    version: str = ""
    vulns: list[Vulnerability] = []
    skip_reason: str = ""


class Answer(msgspec.Struct, frozen=True):
    """pip-audit's whole answer."""

    dependencies: list[Audited]


def read_lock(text: str) -> list[Pinned]:
    """The packages of a lock file. Raises ValueError where one is not pinned, or no hash holds it."""
    packages: list[Pinned] = []
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _PINNED.match(line)
        hashes = tuple(_HASH.findall(line))
        if found is None or not hashes:
            msg = f"not pinned with a hash: {line.split()[0]}"
            raise ValueError(msg)
        packages.append(Pinned(found["name"], found["version"], hashes))
    return packages


def judge(output: bytes, wanted: int) -> tuple[int, list[str]]:
    """The exit code and the lines for an answer of pip-audit about `wanted` packages: 1 where it names advisories."""
    try:
        answer = msgspec.json.decode(output, type=Answer)
    except msgspec.DecodeError:
        return 0, ["pip-audit: not run: it gave no answer that can be read"]
    asked = [package for package in answer.dependencies if not package.skip_reason]
    if not asked:
        return 0, [f"pip-audit: not run: its service knows none of {wanted} packages; is it reachable?"]
    lines = [
        f"{package.name} {package.version}: {advisory.id}, mended in {_either(advisory.fix_versions)}"
        for package in asked
        for advisory in package.vulns
    ]
    left = wanted - len(asked)
    if left:
        lines.append(f"pip-audit: not run for {left} of {wanted} packages, which its service does not know")
    has_advisories = any(package.vulns for package in asked)
    return int(has_advisories), lines or [f"pip-audit: no advisory for {wanted} packages"]


def _either(versions: Sequence[str]) -> str:
    return " or ".join(versions) or "no version yet"


def write_sbom(packages: Sequence[Pinned]) -> str:
    """The packages as a CycloneDX 1.6 document. The same packages give the same document."""
    mark = "\n".join(f"{package.name}=={package.version}" for package in packages)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, mark)}",
        "version": 1,
        "components": [_component(package) for package in packages],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _component(package: Pinned) -> dict[str, Any]:
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', package.name).lower()}@{quote(package.version)}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": content} for content in package.hashes],
    }


def _ask() -> bytes:
    """pip-audit's answer about the lock file; empty where there is none."""
    words = ("-m", "pip_audit", "--progress-spinner", "off", "--disable-pip", "--require-hashes")
    try:
        done = subprocess.run(
            [sys.executable, *words, "-r", str(LOCK), "-f", "json"],
            capture_output=True,
            timeout=WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return b""
    return done.stdout


def main(words: Sequence[str]) -> int:
    """Run one of the two; the exit code."""
    packages = read_lock(LOCK.read_text("utf-8"))
    if list(words) == ["sbom"]:
        SBOM.parent.mkdir(exist_ok=True)
        SBOM.write_text(write_sbom(packages) + "\n", encoding="utf-8")
        print(f"{SBOM}: {len(packages)} packages")
        return 0
    if list(words) == ["advisories"]:
        code, lines = judge(_ask(), len(packages))
        print("\n".join(lines))
        return code
    print("python -m tools.supply_chain advisories|sbom", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
