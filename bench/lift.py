"""`lift`: whether what a feature brings is found, in simulated worlds of which it is known.

In each of 100 worlds users differ in how readily they answer, a tenth of them is held out, and the feature makes the
others answer 5 % more often, or not at all. The interval has to hold the planted lift, and where none was planted the
verdict has to be "no lift", 95 times of 100 each, by the interval that the product decides by: one that may be looked
at every day. A third kind of worlds asks the same of the off-policy estimates. How often the plain interval of 95 %
holds the truth, by the same worlds, stands beside it.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from bench.harness import Result, finish, say
from clarion.intelligence.training.estimate import Logged, estimate
from clarion.intelligence.training.lift import LOOKED_AT, Z95, Lift, measure_lift

WORLDS: Final = 100
BAR: Final = 95
PLANTED: Final = 0.05
USERS: Final = 40_000
HELD_OUT: Final = 0.1
MESSAGES: Final = 20
DECISIONS: Final = 20_000
_RATE: Final = 0.12
_FIRMNESS: Final = 12.0
_SEED: Final = 44


def run() -> Result:
    """Plant, measure and count."""
    began = time.perf_counter()
    found = [_world(seed, PLANTED) for seed in range(WORLDS)]
    planted = sum(lift.covers(PLANTED * _RATE) for lift in found)
    told = sum(lift.verdict == "lift" for lift in found)
    plain = sum(_world(seed, PLANTED, Z95).covers(PLANTED * _RATE) for seed in range(WORLDS))
    say(f"planted 5 %: inside the interval in {planted} of {WORLDS}, called a lift in {told}")
    none = sum(_world(WORLDS + seed, 0.0).verdict == "no lift" for seed in range(WORLDS))
    say(f'planted nothing: "no lift" in {none} of {WORLDS}')
    policies = sum(_policy(seed) for seed in range(WORLDS))
    say(f"another policy's true rate inside the doubly robust interval in {policies} of {WORLDS}")
    least = min(planted, none, policies)
    return finish(
        Result(
            "lift",
            float(least),
            f"of {WORLDS} worlds right, at the least",
            f"{BAR} of {WORLDS}: planted 5 %, planted nothing, another policy",
            least >= BAR,
            detail={
                "planted_inside": planted,
                "called_lift": told,
                "none_is_no_lift": none,
                "policy_inside": policies,
                "variance_taken_off": round(float(np.mean([lift.reduced for lift in found])), 3),
                "planted_inside_plain": plain,
                "users": USERS,
                "seconds": round(time.perf_counter() - began, 1),
            },
        )
    )


def _world(seed: int, planted: float, z: float = LOOKED_AT) -> Lift:
    chance = np.random.default_rng((_SEED, seed))
    rate = chance.beta(_RATE * _FIRMNESS, (1 - _RATE) * _FIRMNESS, USERS)
    treated = chance.random(USERS) >= HELD_OUT
    before = chance.binomial(MESSAGES, rate) / MESSAGES
    now = np.minimum(rate * np.where(treated, 1 + planted, 1), 1)
    return measure_lift(chance.binomial(MESSAGES, now) / MESSAGES, treated, before, z)


def _policy(seed: int) -> bool:
    """Whether the interval of a policy that was not the logs' own holds its true rate."""
    chance = np.random.default_rng((_SEED, 1, seed))
    rates = np.array([0.08, 0.12, 0.15])
    logs, other = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6])
    arm = chance.choice(len(rates), DECISIONS, p=logs)
    reward = (chance.random(DECISIONS) < rates[arm]).astype(np.float64)
    guess = rates + 0.03  # a model that is wrong: the estimate must not lean on it
    value = np.full(DECISIONS, float(guess @ other))
    found = estimate(Logged(reward, logs[arm], other[arm], guess[arm], value))
    return abs(found.dr - float(rates @ other)) <= LOOKED_AT * found.dr_se
