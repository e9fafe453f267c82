"""`consent_check`: what a law and a user's word add to the decision about one draft, in a batch of 500.

Per draft: the law of her places (which is kept) and the masks of the channels that her consent leaves. Users differ in
places, words and suppressions; batches differ in users, so that nothing is found where the last one left it.
Timed by the processor time of the thread, which what else runs on the machine takes less from.
"""

from __future__ import annotations

import time
from random import Random
from typing import Final

from bench.harness import Result, finish, median, percentile, say
from clarion.compliance.jurisdictions import Places
from clarion.compliance.model import ConsentState
from clarion.compliance.rulebook import bundled_rulebook, refusals
from clarion.tenancy.model import DEFAULT_CATEGORIES, ComplianceSettings
from clarion.testing.rule_oracle import FIRST_MS, draw_consent

BAR_US: Final = 1.0
BATCH: Final = 500
BATCHES: Final = 400
_PLACES: Final = (
    ("US-FL",),
    ("US-*",),
    ("US-TX", "CA"),
    ("DE",),
    ("FR", "US-*"),
    ("GB",),
    ("AU",),
    ("BR",),
    ("??",),
)


def run() -> Result:
    """Check batches of drafts, and take the middle one's time by its drafts."""
    dice = Random(5)  # noqa: S311  a bench's users, not a secret
    rulebook, settings, marketing = bundled_rulebook(), ComplianceSettings(), DEFAULT_CATEGORIES[-1]
    batches: list[list[tuple[Places, ConsentState]]] = [
        [(Places(dice.choice(_PLACES), ("UTC",)), draw_consent(dice)) for _ in range(BATCH)]
        for _ in range(BATCHES)
    ]
    spans: list[float] = []
    stopped = 0
    for batch in batches:
        started = time.thread_time()
        laws = rulebook.laws(marketing, settings, FIRST_MS)
        barred = [refusals(laws[places.jurisdictions], "marketing", consent) for places, consent in batch]
        spans.append((time.thread_time() - started) / BATCH * 1e6)
        stopped += sum(any(masks) for masks in barred)
    value = median(spans)
    say(f"{value:.3f} µs a draft; some channel stopped for {stopped} of {BATCH * BATCHES}")
    return finish(
        Result(
            "consent_check",
            round(value, 3),
            "µs a draft",
            f"< {BAR_US:g} µs a draft in a batch of {BATCH}",
            value < BAR_US,
            detail={
                "p95_us": round(percentile(spans, 0.95), 3),
                "drafts": BATCH * BATCHES,
                "stopped": stopped,
            },
        )
    )
