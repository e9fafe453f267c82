"""The supply chain: what is locked is held by hashes, and advisories that could not be asked for are never "none"."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tools.supply_chain import judge, read_lock, write_sbom

ROOT = Path(__file__).parents[2]
HASH = "0" * 64
KNOWN: dict[str, object] = {"name": "a", "version": "1", "vulns": []}
UNKNOWN: dict[str, object] = {"name": "b", "skip_reason": "not found"}
BAD: dict[str, object] = {
    "name": "c",
    "version": "2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"], "aliases": []}],
}


def answer(*dependencies: object) -> bytes:
    return msgspec.json.encode({"dependencies": dependencies, "fixes": []})


@pytest.mark.parametrize("name", ["requirements.lock", "tools/uv.lock"])
def test_everything_that_is_installed_is_pinned_and_held_by_a_hash(name: str):
    assert read_lock((ROOT / name).read_text())


@pytest.mark.parametrize("line", ["a==1", "a>=1 \\\n    --hash=sha256:" + HASH, "a==1 --hash=md5:00", "-e ."])
def test_a_lock_that_is_not_held_is_refused(line: str):
    with pytest.raises(ValueError, match="not pinned with a hash"):
        read_lock(line)


@pytest.mark.parametrize("output", [b"", b"no network", b"{}", answer(), answer(UNKNOWN)])
def test_what_was_not_asked_is_said(output: bytes):
    code, lines = judge(output, 1)
    assert code == 0
    assert lines[0].startswith("pip-audit: not run")


def test_advisories_stop_the_build():
    code, lines = judge(answer(KNOWN, BAD), 2)
    assert code == 1
    assert lines == ["c 2: PYSEC-1, mended in 3"]


def test_a_part_that_was_not_asked_is_said():
    assert judge(answer(KNOWN, UNKNOWN), 2) == (
        0,
        ["pip-audit: not run for 1 of 2 packages, which its service does not know"],
    )
    assert judge(answer(KNOWN), 1) == (0, ["pip-audit: no advisory for 1 packages"])


def test_the_bill_of_materials_names_every_package_with_its_hashes():
    packages = read_lock((ROOT / "requirements.lock").read_text())
    document = json.loads(write_sbom(packages))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert {(one["name"], one["version"]) for one in document["components"]} == {
        (package.name, package.version) for package in packages
    }
    assert all(one["hashes"] and one["purl"].startswith("pkg:pypi/") for one in document["components"])
    assert document["serialNumber"] == json.loads(write_sbom(packages))["serialNumber"]
