"""A model as the registry keeps it."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, TypeAlias

import msgspec

from clarion.intelligence.models.model import TenantModel, decode_model
from clarion.kernel.errors import Permanent

Status: TypeAlias = Literal["shadow", "live", "refused", "retired"]
"""`shadow`: fitted, serves nobody yet. `live`: serves. `refused`: did not do well enough. `retired`: served once."""


class Figure(msgspec.Struct, frozen=True):
    """How the candidate did on time it had not seen, and the incumbent on the same; the interval of their difference.

    Differences are counted so that above 0 is better. `people`: who were asked.
    """

    candidate: float
    incumbent: float
    low: float
    high: float
    people: int


class Band(msgspec.Struct, frozen=True):
    """Hours to which about as much of a user's day was given: the mean, what they got, and their part of all hours."""

    predicted: float
    found: float
    weight: float


class Metrics(msgspec.Struct, frozen=True):
    """What a model was judged by. `figures` by name, each a mean over people of the newest time, which it had not seen.

    `coverage`: share of that time's hours inside the 70 % sets, None where there was too little. `users`, `signs`: what
    it was fitted on. `clusters`: the segments that were found among them, and what sets each apart, in words.
    `calibration`: of its hours, () where there was too little.
    """

    figures: dict[str, Figure] = {}
    coverage: float | None = None
    users: int = 0
    signs: int = 0
    seconds: float = 0.0
    clusters: dict[str, str] = {}
    calibration: tuple[Band, ...] = ()


class Registered(msgspec.Struct, frozen=True):
    """A version of a tenant's model. Times are UTC ms (`live_ms` 0: it never served); `checksum` is SHA-256.

    `held`: when it last began to serve, a person had chosen it.
    """

    name: str
    number: int
    status: Status
    parent: str
    reason: str
    from_ms: int
    to_ms: int
    metrics: Metrics
    checksum: bytes
    created_ms: int
    live_ms: int = 0
    held: bool = False


def checksum_of(artefact: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return sha256(artefact).digest()


def open_artefact(artefact: bytes, checksum: bytes) -> TenantModel:
    """The model of an artefact. Raises Permanent where it is not the one that was kept, or cannot be read."""
    if checksum_of(artefact) != checksum:
        raise Permanent("the artefact is not the one that was kept: its checksum differs")
    return decode_model(artefact)
