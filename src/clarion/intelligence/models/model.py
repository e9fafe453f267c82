"""Everything that was fitted for a tenant, as one value that is replaced as a whole.

The defaults are what holds of a tenant of whom nothing was learned. An artefact of an older release lacks the fields
that were added since, and gets their defaults; one of a newer release is refused by its `layout`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.kernel.errors import Permanent

ARTEFACT: Final = 1
"""Layout of artefacts that this release writes, and the newest that it reads."""

# fmt: off
_WORKDAY: Final = (
    0.66, 0.49, 0.37, 0.29, 0.25, 0.27, 0.35, 0.55, 0.86, 1.20, 1.46, 1.57,
    1.59, 1.63, 1.71, 1.73, 1.63, 1.44, 1.22, 1.05, 0.98, 0.96, 0.93, 0.83,
)
_WEEKEND: Final = (
    0.95, 0.73, 0.55, 0.44, 0.36, 0.33, 0.36, 0.47, 0.67, 0.92, 1.15, 1.32,
    1.38, 1.39, 1.40, 1.42, 1.42, 1.39, 1.32, 1.25, 1.21, 1.22, 1.22, 1.14,
)
# fmt: on
# Presence by local hour (mean 1): 421,041 distinct active hours of the activity data described in `ml.md`, part B,
# smoothed around the clock by a Gaussian of 1 h. On first-ever days, a window of 3 hours placed by such a curve catches
# 23.2 %, placed by UTC 15.8 % (part C5): the time zone is worth more than any model.
_FLAT: Final = (0.0,) * 24


class SendTimeParameters(msgspec.Struct, frozen=True):
    """When people are there. Hours are local, 0 to 23; a curve has mean 1.

    `curves`: of the population, by day type (0: Monday to Friday). `mix`: how much each half-life of the presence bank
    counts. `shrink_user`: pseudo-hours of the population in a user's curve; `shrink_day`: pseudo-hours of her own curve
    of all days in that of a day type. `smooth_h`: width (one sigma) of the kernel around the clock. `by_channel`,
    `by_class`: what is added to the logarithm of the odds of an answer, by hour. `shrink_exposed`: pseudo-sends of an
    hour, where answers are counted by sends. `set_mass`, `set_mass_known`: predicted mass of the hours that in truth
    hold 70 %, of somebody unknown and of somebody wholly known. `elasticity`: how much of what presence says of an hour
    holds of answers to what is sent in it, on the logarithm of the odds (1: all of it). `answered`: share of sends that
    are answered, of somebody unknown. `reach_h`: how far from its hour (one sigma) what is sent is met. `regions`: the
    curves of somebody unknown by part of the world (`send_time.region_of`), none for those of the population.
    """

    curves: tuple[tuple[float, ...], ...] = (_WORKDAY, _WEEKEND)
    mix: tuple[float, ...] = (0.35, 0.65)
    shrink_user: float = 10.0
    shrink_day: float = 25.0
    smooth_h: float = 1.1
    by_channel: tuple[tuple[float, ...], ...] = (_FLAT, _FLAT, _FLAT)
    by_class: tuple[tuple[float, ...], ...] = (_FLAT, _FLAT, _FLAT)
    shrink_exposed: float = 12.0
    set_mass: float = 0.68
    elasticity: float = 0.5
    answered: float = 0.12
    set_mass_known: float = 0.66
    reach_h: float = 1.0
    regions: tuple[tuple[tuple[float, ...], ...], ...] = ()


class ChannelParameters(msgspec.Struct, frozen=True):
    """On which channel people answer.

    `rates`: P(engage) by channel of somebody unknown; `strength`: pseudo-sends behind it; `mix`: weights of the channel
    bank's half-lives; `touch`: how much of her share of the signs that come without a send moves her rate (0: nothing,
    1: in proportion). `shares`: where people are met of their own accord; `shrink_touch`: pseudo-signs behind it;
    `touch_mix`: weights of the bank's half-lives for such signs; `lasting`: pseudo-signs where she was met in the long
    run, which are never forgotten.
    """

    rates: tuple[float, ...] = (0.12, 0.12, 0.12)
    strength: float = 6.0
    mix: tuple[float, ...] = (0.2, 0.3, 0.5)
    touch: float = 0.5
    shares: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)
    shrink_touch: float = 0.5
    touch_mix: tuple[float, ...] = (0.25, 0.5, 0.25)
    lasting: float = 0.5


class FatigueParameters(msgspec.Struct, frozen=True):
    """What one more message costs: P(she refuses | messages of the last week), by channel, on the logit scale.

    `base`, `slope` by channel; `weekly`: messages a week after which a user counts as wholly tired.
    """

    base: tuple[float, ...] = (-6.9, -6.5, -6.2)
    slope: tuple[float, ...] = (0.12, 0.15, 0.25)
    weekly: tuple[float, ...] = (14.0, 21.0, 7.0)


class EngagementParameters(msgspec.Struct, frozen=True):
    """Logistic calibration (a, b) of the posteriors: of opening by channel, and of clicking by channel."""

    opens: tuple[tuple[float, float], ...] = ((0.0, 1.0),) * 3
    clicks: tuple[tuple[float, float], ...] = ((-1.5, 1.0),) * 3


class ChurnParameters(msgspec.Struct, frozen=True):
    """Survival of the time since the last sign: log-logistic in units of the user's own rhythm.

    `horizon_d`: days of silence that are called churn. `scale`, `shape`: of the population; `weights`: of features.
    """

    horizon_d: float = 30.0
    scale: float = 1.0
    shape: float = 1.0
    weights: tuple[float, ...] = ()


class Cluster(msgspec.Struct, frozen=True):
    """People who act alike. `name`: as profiles keep it, the same from training to training as long as the cluster is.

    `meaning`: what sets them apart, in words. `centre`: of the measures, standardised. `share`: of the users.
    """

    name: str
    meaning: str
    centre: tuple[float, ...]
    share: float


class ClusterParameters(msgspec.Struct, frozen=True):
    """Kinds of people that a tenant's users fall into, none by default.

    `middle`, `scale`: of each measure of `segments.MEASURES`, by which it is standardised. `strength`:
    how far other people of the tenant bear them out, 0 to 1 (the prediction strength).
    """

    middle: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    strength: float = 0.0


class GrownTrees(msgspec.Struct, frozen=True):
    """Trees that were surely better than the formulas alone on time they had not seen. See `models.trees`.

    `artefact`: ONNX. `grown_ms`: UTC. `serves`: they proved it again on what came after they were grown; until then
    they are in shadow, and nobody is told by them.
    """

    name: str
    grown_ms: int
    artefact: bytes
    serves: bool = False


class TenantModel(msgspec.Struct, frozen=True):
    """What serves a tenant. `name`: as decisions quote it, for example `eb-7`.

    `trained_ms`, `from_ms`, `to_ms`: when it was fitted, and on what time (0: never, it is the defaults). `records`:
    layout of the feature records that it reads. `trees`: what adds to the formulas, or may one day; None: nothing.
    """

    layout: int = ARTEFACT
    name: str = "eb-0"
    trained_ms: int = 0
    from_ms: int = 0
    to_ms: int = 0
    records: int = 1
    send_time: SendTimeParameters = SendTimeParameters()
    channel: ChannelParameters = ChannelParameters()
    fatigue: FatigueParameters = FatigueParameters()
    engagement: EngagementParameters = EngagementParameters()
    churn: ChurnParameters = ChurnParameters()
    trees: GrownTrees | None = None
    clusters: ClusterParameters = ClusterParameters()


DEFAULTS: Final = TenantModel()
"""Serves tenants of whom nothing was learned: the population's curves, and each user's own history upon them."""

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(TenantModel)
_layout_decoder: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode_model(model: TenantModel) -> bytes:
    """The artefact: UTF-8 JSON, so that people and other languages can read it."""
    return _encoder.encode(model)


def decode_model(artefact: bytes) -> TenantModel:
    """Inverse of `encode_model`. Raises Permanent where it is truncated, not a model, or of a newer release."""
    try:
        layout = msgspec.json.decode(_layout_decoder.decode(artefact).get("layout", b"1"), type=int)
        if layout > ARTEFACT:
            raise Permanent(
                f"the model was written by a newer release (layout {layout}, this one reads {ARTEFACT})"
            )
        return _decoder.decode(artefact)
    except msgspec.MsgspecError as error:
        raise Permanent(f"the model cannot be read: {error}") from None
