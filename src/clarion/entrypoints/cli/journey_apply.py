"""`clarion journey apply`: the account's journeys made to be what a folder's files say."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Literal, TypeAlias

import msgspec

from clarion.entrypoints.cli.client import ApiClient, ApiRefusal, path_of
from clarion.entrypoints.cli.journey_files import JourneyFile

Change: TypeAlias = Literal["created", "published", "unchanged", "refused"]


class Applied(msgspec.Struct, frozen=True):
    """What became of a file, or would. `version`: the one that is live then; 0 where that is not known yet."""

    file: JourneyFile
    change: Change
    version: int = 0
    detail: str = ""

    def line(self, *, dry_run: bool) -> str:
        """It in a line."""
        name = f"{self.file.path}: {self.file.name}"
        if self.change == "refused":
            return f"{name}: refused: {self.detail}"
        if self.change == "unchanged":
            return f"{name}: unchanged, version {self.version} is live"
        if dry_run:
            return f"{name}: would be {self.change}"
        return f"{name}: {self.change} as version {self.version}"


def apply_files(api: ApiClient, files: list[JourneyFile], *, dry_run: bool) -> list[Applied]:
    """Create what is new, publish what differs, and let be what says the same. Journeys without a file stay.

    What the API refuses (a journey of more rights than the key has) stops no other. Raises Transient.
    """
    return [_apply(api, file, dry_run=dry_run) for file in files]


def _apply(api: ApiClient, file: JourneyFile, *, dry_run: bool) -> Applied:
    try:
        there = _find(api, file.name)
        if there is None:
            version = 0 if dry_run else api.call("POST", "/api/v1/journeys", file.definition)["version"]
            return Applied(file, "created", version)
        if there["definition"] == file.definition:
            return Applied(file, "unchanged", there["version"])
        path = path_of("journeys", there["journey_id"])
        version = 0 if dry_run else api.call("PUT", path, file.definition)["version"]
        return Applied(file, "published", version)
    except ApiRefusal as refusal:
        return Applied(file, "refused", detail=refusal.detail)


def _find(api: ApiClient, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = api.call("GET", path_of("journeys", name))
    except ApiRefusal as refusal:
        if refusal.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return found
