"""From a configuration to a provider: kinds, and what is wrong with settings, by its path."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from clarion.adapters.providers.registry import build_provider, known_kinds
from clarion.delivery.model import Capabilities
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig
from clarion.testing.clock import ManualClock
from clarion.testing.outside import outside

TENANT = b"t" * 16
GOOD: dict[str, Any] = {"host": "mail.example.org", "from": "Shop <news@shop.example>"}


def build(kind: str, settings: dict[str, Any], channel: str = "email", **credentials: str):
    config = ProviderConfig("p", TENANT, kind, channel, settings, credentials)
    return build_provider(config, outside(ManualClock()))


def test_the_kinds_that_clarion_brings():
    assert {"sandbox", "smtp"} <= set(known_kinds())
    assert build("sandbox", {}, "push").capabilities == Capabilities("push", max_batch=1000)
    assert build("smtp", GOOD).capabilities == Capabilities(
        "email", max_batch=100, concurrency=20, portion=20
    )


def test_an_unknown_kind_is_refused_with_those_that_are_known():
    with pytest.raises(Invalid, match=r"known are .*sandbox.*smtp") as refusal:
        build("carrier-pigeon", {})
    assert refusal.value.path == "kind"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"host": None}, "settings.host"),
        ({"host": ""}, "settings.host"),
        ({"host": "mail.example.org\r\nX"}, "settings.host"),
        ({"host": "mail.example.org\n"}, "settings.host"),
        ({"from": None}, "settings.from"),
        ({"from": "nobody"}, "settings.from"),
        ({"from": "Shop <news@shop.example>\r\nBcc: eve@example.org"}, "settings.from"),
        ({"from": "Shop <ünï@shop.example>"}, "settings.from"),
        ({"reply_to": "nobody"}, "settings.reply_to"),
        ({"port": 70_000}, "settings.port"),
        ({"port": "25"}, "settings.port"),
        ({"tls": "maybe"}, "settings.tls"),
        ({"dkim": {"selector": "s"}}, "settings.dkim.domain"),
        ({"dkim": {"domain": "a b", "selector": "s"}}, "settings.dkim.domain"),
        ({"dkim": {"domain": "a.example", "selector": "s"}}, "credentials.dkim_key"),
        ({"ca": "not pem"}, "settings.ca"),
        ({"concurrency": 0}, "settings.concurrency"),
        ({"timeout_s": 3600}, "settings.timeout_s"),
        ({"hosts": "x"}, "settings.hosts"),
    ],
    ids=str,
)
def test_a_wrong_smtp_setting_is_named(change: dict[str, Any], path: str):
    settings = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(Invalid) as refusal:
        build("smtp", settings)
    assert refusal.value.path == path


@pytest.mark.parametrize(
    ("credentials", "path"),
    [
        ({"username": "u"}, "credentials.password"),
        ({"password": "p"}, "credentials.username"),
        ({"username": "u", "password": "p", "token": "t"}, "credentials.token"),
    ],
    ids=str,
)
def test_credentials_are_a_pair(credentials: dict[str, str], path: str):
    with pytest.raises(Invalid) as refusal:
        build("smtp", GOOD, **credentials)
    assert refusal.value.path == path
    assert all(secret not in refusal.value.detail for secret in ("'u'", "'p'"))


def test_credentials_are_not_sent_in_clear_text_to_another_machine():
    with pytest.raises(Invalid) as refusal:
        build("smtp", GOOD | {"tls": "none"}, username="u", password="p")
    assert refusal.value.path == "settings.tls"
    for host in ("localhost", "127.0.0.1", "::1"):
        build("smtp", GOOD | {"tls": "none", "host": host}, username="u", password="p")


def test_smtp_carries_no_other_channel():
    with pytest.raises(Invalid) as refusal:
        build("smtp", GOOD, "sms")
    assert refusal.value.path == "channel"


PROGRAM = """
from clarion.adapters.providers.registry import build_provider, known_kinds
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig
from clarion.testing.clock import ManualClock
from clarion.testing.outside import outside

def build(kind):
    return build_provider(ProviderConfig("p", b"t" * 16, kind, "email", {}, {}), outside(ManualClock()))

assert "pigeon" in known_kinds()
assert build("pigeon") == "a pigeon of p"
assert type(build("sandbox")).__name__ == "SandboxProvider"
try:
    build("broken")
except Invalid as refusal:
    assert refusal.path == "kind"
else:
    raise AssertionError
"""


def test_a_package_may_bring_a_kind_and_may_not_replace_one(tmp_path: Path):
    """In a process of its own, because what is installed is read once."""
    (tmp_path / "loft.py").write_text("def fly(config, outside):\n    return f'a pigeon of {config.name}'\n")
    about = tmp_path / "loft-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: loft\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[clarion.providers]\npigeon = loft:fly\nsandbox = loft:fly\nbroken = nowhere:fly\n"
    )
    done = run(
        [sys.executable, "-c", PROGRAM], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
