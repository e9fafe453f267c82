"""How a tenant wants the accounts of a channel chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.kernel.errors import Invalid

PolicyName: TypeAlias = Literal["balanced", "cost_optimized", "fastest", "ordered", "split"]

MAX_PINS: Final = 100


class Pin(msgspec.Struct, frozen=True):
    """Messages of a category, to a destination, or both ("": of any), go through `provider` first.

    `only`: and through no other, however long it is away.
    """

    provider: str
    category: str = ""
    destination: str = ""
    only: bool = False


class RoutingPolicy(msgspec.Struct, frozen=True):
    """A channel's policy.

    `balanced`, `cost_optimized` and `fastest` choose by score, and share what scores alike by the accounts' weights.
    `ordered`: the first of `order` that works. `split`: by the shares of `split` (any unit), the same message always
    the same way. Accounts that `order` or `split` does not name serve when none of those does.
    The first of `pins` that fits a message goes before all that.
    """

    policy: PolicyName = "balanced"
    order: tuple[str, ...] = ()
    split: Mapping[str, float] = {}
    pins: tuple[Pin, ...] = ()


DEFAULT_POLICY: Final = RoutingPolicy()
"""Where a tenant said nothing."""


def check_policy(policy: RoutingPolicy) -> None:
    """Raises Invalid, with the path, where a policy cannot be followed."""
    if policy.policy == "ordered" and not policy.order:
        raise Invalid("says which account comes first", "order")
    if len(set(policy.order)) != len(policy.order):
        raise Invalid("names an account twice", "order")
    if policy.order and policy.policy != "ordered":
        raise Invalid(f"is for the policy ordered, not {policy.policy}", "order")
    if policy.split and policy.policy != "split":
        raise Invalid(f"is for the policy split, not {policy.policy}", "split")
    if policy.policy == "split" and sum(policy.split.values()) <= 0:
        raise Invalid("gives at least one account a share", "split")
    if len(policy.pins) > MAX_PINS:
        raise Invalid(f"at most {MAX_PINS}", "pins")
    for place, pin in enumerate(policy.pins):
        if not pin.category and not pin.destination:
            raise Invalid("names a category, a destination, or both", f"pins[{place}]")


def accounts_named(policy: RoutingPolicy) -> dict[str, str]:
    """The accounts that a policy names, each with the path of one place where it does."""
    named = {pin.provider: f"pins[{place}].provider" for place, pin in enumerate(policy.pins)}
    named |= {name: f"split.{name}" for name in policy.split}
    return named | {name: f"order[{place}]" for place, name in enumerate(policy.order)}
