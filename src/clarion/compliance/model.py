"""What is known of a user's will, folded from the consent records and suppressions."""

from __future__ import annotations

from typing import Final

import msgspec

ANY_CATEGORY: Final = "*"
"""A consent or suppression that covers every category of its channel."""


class ConsentState(msgspec.Struct, frozen=True, array_like=True):
    """Current consent of one user: channel masks by category (`*`: all categories).

    `granted[c]` and `denied[c]` never share a bit: the store folds the latest word per (channel, category). Of what is
    granted, `implied` rests on less than her express word (a purchase, an inquiry): on what, say the same masks by
    basis in `bases`. `proven` rests on more: a double opt-in that she confirmed, or written consent with its wording on
    record. What has expired, or waits for its confirmation, is not granted.

    `suppressed` holds the channels that nothing but a later express opt-in frees (hard bounce, complaint, STOP).
    """

    granted: dict[str, int] = {}
    denied: dict[str, int] = {}
    suppressed: int = 0
    implied: dict[str, int] = {}
    proven: dict[str, int] = {}
    bases: dict[str, dict[str, int]] = {}


NO_CONSENT: Final = ConsentState()
