"""A package of somebody else's brings a kind of provider: the one that the documentation builds, as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from subprocess import run

import pytest

PAGE = Path("docs/how-to/add-a-provider.md")
METADATA = "Metadata-Version: 2.1\nName: clarion-acme\nVersion: 1.0\n"
PYTEST_INI = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
addopts = -p no:cacheprovider -p no:anyio -p no:faker -p no:valkey
"""
WEBHOOK = """
import hashlib, hmac
from clarion.adapters.providers.registry import find_reader, known_kinds
from clarion.adapters.providers.webhooks import WebhookCall
from clarion.kernel.errors import Refused
from clarion.tenancy.config import ProviderConfig
import pytest

ACCOUNT = ProviderConfig("acme", b"t" * 16, "acme", "sms", {}, {"webhook_secret": "s3cret"})
RAW = b'{"event_id": "e1", "reference": "' + b"61" * 16 + b'", "status": "delivered"}'


def call(signature):
    return WebhookCall("POST", "https://x.example/r", {"x-acme-signature": signature}, RAW, 1)


async def test_its_webhooks_are_read():
    assert "acme" in known_kinds()
    signature = hmac.new(b"s3cret", RAW, hashlib.sha256).hexdigest()
    read = await find_reader("acme")(call(signature), ACCOUNT, None)
    assert [(one.event_id, one.kind, one.delivery_id) for one in read.feedback] == [("e1", "delivered", b"a" * 16)]
    with pytest.raises(Refused):
        await find_reader("acme")(call("0" * 64), ACCOUNT, None)
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def entry_points(toml: str) -> str:
    """The page's entry points in the form in which an installed package has them."""
    return re.sub(r'\[project\.entry-points\."(.*)"\]', r"[\1]", toml).replace('"', "")


@pytest.mark.timeout(60)
def test_the_package_of_the_page_keeps_all_promises_of_a_provider(tmp_path: Path):
    """In a process of its own, because what is installed is read once."""
    code, tests = blocks("python")
    about = tmp_path / "clarion_acme-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(METADATA)
    (about / "entry_points.txt").write_text(entry_points(blocks("toml")[0]))
    (tmp_path / "clarion_acme.py").write_text(code)
    (tmp_path / "test_acme.py").write_text(tests)
    (tmp_path / "test_webhook.py").write_text(WEBHOOK)
    (tmp_path / "pytest.ini").write_text(PYTEST_INI)
    done = run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-c",
            str(tmp_path / "pytest.ini"),
            str(tmp_path),
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert int(done.stdout.rpartition(" passed")[0].split()[-1]) >= 12
