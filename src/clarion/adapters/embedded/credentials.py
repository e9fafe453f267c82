"""The secrets of a data directory."""

from __future__ import annotations

import secrets

import msgspec

from clarion.adapters.embedded.directory import DataDirectory, write_private
from clarion.adapters.embedded.errors import DirectoryUnusable


class Credentials:
    """`credentials.json` and `master.key` of one directory, read from the disk at each call."""

    def __init__(self, directory: DataDirectory) -> None:
        self._file = directory.credentials
        self._master_key = directory.master_key

    def all(self) -> dict[str, str]:
        """Everything in `credentials.json`; empty if there is no such file."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError as error:
            raise DirectoryUnusable(
                f"{self._file} is damaged ({error}); restore it, or remove it to get new passwords"
            ) from error

    def keep(self, **values: str) -> None:
        """Add or replace entries of `credentials.json`. Only for the holder of the claim: there is no merge."""
        content = msgspec.json.format(msgspec.json.encode(self.all() | values), indent=2)
        write_private(self._file, content + b"\n")

    def password(self, name: str) -> str:
        """The password kept under `name`, made on first use."""
        known = self.all().get(name)
        if known is None:
            known = new_password()
            self.keep(**{name: known})
        return known

    def master_key(self) -> str:
        """The instance's master key: 32 random bytes in base64, made together with the directory and never again.

        Raises DirectoryUnusable if it is missing: another key would open nothing that was sealed before.
        """
        try:
            return self._master_key.read_text().strip()
        except FileNotFoundError as error:
            raise DirectoryUnusable(
                f"{self._master_key} is missing; restore it: without it nothing that was sealed can be read"
            ) from error


def new_password() -> str:
    """192 random bits in letters, digits, "-" and "_": nothing that a URL, SQL or a configuration file would quote."""
    return secrets.token_urlsafe(24)
