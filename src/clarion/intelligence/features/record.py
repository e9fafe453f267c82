"""What is known of a user's behaviour, packed: one record, one key, one read.

A record is an element of a numpy structured array, and a batch of users is such an array: reading, folding and
predicting are array operations over all of them. Everything in it is a decayed sum or a time, of a fixed size, so that
a record of a user with a million events is as large as one with one event.

Sums decay by halves: each is kept at the fixed half-lives of its bank (`PRESENCE_HALF_LIVES_D`,
`CHANNEL_HALF_LIVES_D`), as of the instant `as_of_ms`, and is decayed to the present when it is read. A model mixes the
bank; what a tenant's fitted half-life is never touches what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS

LAYOUT: Final = 1
"""Number of this layout. A record of another one is no record: it is made anew from history."""

PRESENCE_HALF_LIVES_D: Final = (14.0, 270.0)
"""Days after which half of an hour's presence is forgotten: quick (people who come and go), and slow (habits)."""

CHANNEL_HALF_LIVES_D: Final = (7.0, 30.0, 90.0)
"""The same of what is counted by channel: the week's rates, the month's, and the posterior's."""

RECENT: Final = 16
"""How many of the latest events are remembered by their ids, so that a repeat changes nothing."""

_C: Final = len(CHANNELS)
_P: Final = len(PRESENCE_HALF_LIVES_D)
_S: Final = len(CHANNEL_HALF_LIVES_D)

RECORD: Final = np.dtype(
    [
        ("layout", "<u2"),
        ("recent_at", "<u2"),  # where in `recent` the next id goes
        ("sequence", "<u4"),  # rises with each write: who writes over another's write is refused
        ("user_id", "<i8"),
        ("as_of_ms", "<i8"),  # the instant to which all sums are decayed; 0: nothing was ever counted
        ("first_ms", "<i8"),  # first and latest sign of the person (never a machine's, never a send)
        ("seen_ms", "<i8"),
        ("local_hours", "<i4", 2),  # the latest local hours, since 1970, that were counted in `presence`
        ("sent_ms", "<i8", _C),  # latest send, and latest engagement with one, by channel
        ("engaged_ms", "<i8", _C),
        ("gap_h", "<f4", 2),  # hours between visits: sum of decayed gaps, and their weight
        (
            "presence",
            "<f4",
            (_P, 2, 24),
        ),  # half-life, day type (0: Monday to Friday), local hour of the person
        ("exposed", "<f4", 24),  # sends by the local hour at which they went out, slow half-life
        ("answered", "<f4", 24),  # those of them that were engaged with, by the hour of the send
        ("sent", "<f4", (_S, _C)),
        ("opened", "<f4", (_S, _C)),
        ("clicked", "<f4", (_S, _C)),
        ("touched", "<f4", (_S, _C)),  # signs of the person on the channel, whether or not there was a send
        ("machine", "<f4", _C),  # opens by machines, middle half-life: apart from the rates
        ("refused", "<f4", _C),  # unsubscribes and complaints, slowest half-life
        ("active", "<f4", _S),  # distinct active hours
        ("recent", "<u8", RECENT),
    ]
)
"""One user's record; `pack` writes it little-endian, whatever the machine."""

RecordArray: TypeAlias = npt.NDArray[Any]
"""Records of a batch, dtype `RECORD`, shape [B]."""


def empty_records(user_ids: Sequence[int]) -> RecordArray:
    """Records of users of whom nothing is known, in order."""
    records: RecordArray = np.zeros(len(user_ids), RECORD)
    records["layout"] = LAYOUT
    records["user_id"] = user_ids
    return records


def unpack(user_ids: Sequence[int], blobs: Sequence[bytes | None]) -> RecordArray:
    """Records of users, in order, writable. What is absent, truncated, or of another layout or user is empty."""
    records = empty_records(user_ids)
    whole = [i for i, blob in enumerate(blobs) if blob is not None and len(blob) == RECORD.itemsize]
    if not whole:
        return records
    found: RecordArray = np.frombuffer(b"".join(blob for i in whole if (blob := blobs[i])), RECORD)
    places = np.array(whole)
    sound = (found["layout"] == LAYOUT) & (found["user_id"] == records["user_id"][places])
    records[places[sound]] = found[sound]
    return records


def pack(records: RecordArray) -> list[bytes]:
    """The bytes of each record, in order; `unpack` is its inverse."""
    data = np.ascontiguousarray(records).tobytes()
    size = RECORD.itemsize
    return [data[start : start + size] for start in range(0, len(data), size)]
