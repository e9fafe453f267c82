from __future__ import annotations

import msgspec
import numpy as np
import pytest

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features import RecordArray, empty_records
from clarion.intelligence.models import DEFAULTS, ChannelParameters, channel
from clarion.kernel.local_time import DAY_MS

NOW_MS = 1_800_000_000_000
USUAL = DEFAULTS.channel
EMAIL, PUSH, SMS = range(3)


def somebody(**counts: dict[int, float]) -> RecordArray:
    """A user of whom so much of each name was counted lately, by channel."""
    records = empty_records([1])
    records["as_of_ms"] = NOW_MS
    for name, by_channel in counts.items():
        for place, count in by_channel.items():
            records[name][0, :, place] = count
    return records


def rates_of(records: RecordArray, by: ChannelParameters = USUAL, now_ms: int = NOW_MS) -> list[float]:
    return channel.rates(channel.known(records, by, now_ms), by)[0].tolist()


def test_a_stranger_answers_as_everybody_does():
    assert rates_of(empty_records([1])) == pytest.approx(USUAL.rates)


def test_answers_raise_a_rate_and_silence_lowers_it():
    rates = rates_of(somebody(sent={EMAIL: 30, PUSH: 30}, opened={EMAIL: 15}, touched={EMAIL: 15}))
    assert rates[EMAIL] > 0.4
    assert rates[PUSH] < 0.05
    assert rates[SMS] == pytest.approx(USUAL.rates[SMS], rel=0.01)


def test_a_channel_that_was_never_used_can_be_scored_and_win():
    assert np.argmax(rates_of(somebody(sent={EMAIL: 30, PUSH: 30}))) == SMS


def test_where_she_comes_of_her_own_accord_is_where_she_is_expected_and_no_two_messages_are_made_of_that():
    rates = rates_of(somebody(touched={PUSH: 40}))
    assert np.argmax(rates) == PUSH
    assert max(rates) < 0.3, "the score above which a second channel is taken"


def test_opens_of_what_was_sent_are_no_signs_of_her_own_accord():
    """Else whoever is written to by e-mail alone would seem to want nothing but e-mail."""
    known = channel.known(somebody(sent={EMAIL: 9}, opened={EMAIL: 3}, touched={EMAIL: 3}), USUAL, NOW_MS)
    assert known.touched.sum() == 0
    assert known.answered[0, EMAIL] == 3


def test_what_is_long_ago_counts_less():
    records = somebody(sent={EMAIL: 30}, opened={EMAIL: 30}, touched={EMAIL: 30})
    assert rates_of(records)[EMAIL] > rates_of(records, now_ms=NOW_MS + 400 * DAY_MS)[EMAIL] > 0.12


def test_rates_are_probabilities_whatever_was_counted():
    """More answers than sends happen: sends decay from when they were sent, answers from when they came."""
    for sent, opened in ((0, 1e9), (1e9, 0), (1e9, 1e9), (1, 3)):
        for rate in rates_of(somebody(sent={EMAIL: sent}, opened={EMAIL: opened}, touched={EMAIL: opened})):
            assert 0 < rate < 1


def test_shares_sum_to_1_and_nothing_is_impossible():
    by = msgspec.structs.replace(USUAL, shares=(1.0, 0.0, 0.0))
    people = np.concatenate([empty_records([1]), somebody(touched={PUSH: 9})])
    shares = channel.touch_shares(channel.known(people, by, NOW_MS), by)
    assert np.allclose(shares.sum(axis=1), 1)
    assert (shares > 0).all()
    assert shares[1].argmax() == PUSH


def test_evidence_makes_certain():
    strange, known = empty_records([1]), somebody(sent={EMAIL: 50}, touched={PUSH: 50})
    certain = [channel.certainty(channel.known(who, USUAL, NOW_MS), USUAL)[0] for who in (strange, known)]
    assert certain[0] == 0
    assert 0.8 < certain[1] < 1
    assert len(CHANNELS) == len(USUAL.rates)


def test_where_somebody_was_met_long_ago_is_not_forgotten():
    """Signs decay to nothing; that they were all on one channel says as much of the next one as it did."""
    by = msgspec.structs.replace(USUAL, shares=(0.5, 0.25, 0.25))
    gone = channel.known(somebody(touched={PUSH: 3}), by, NOW_MS + 2000 * DAY_MS)
    assert gone.touched.sum() < 0.01
    assert gone.usual[0].tolist() == pytest.approx([float(c == PUSH) for c in range(len(CHANNELS))])
    assert channel.touch_shares(gone, by)[0].argmax() == PUSH


def test_answers_to_messages_are_no_habit_of_her_own():
    """Taking opens and clicks from all signs leaves rounding errors, and of them no shares are made."""
    answered = somebody(sent={EMAIL: 30}, opened={EMAIL: 7.3, PUSH: 1.1}, touched={EMAIL: 7.3, PUSH: 1.1})
    assert not channel.known(answered, USUAL, NOW_MS).usual.any()
