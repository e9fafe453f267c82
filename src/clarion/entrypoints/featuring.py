"""The parts of features, put together for the processes and commands that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarion.adapters.postgres.feature_records import PostgresFeatures, PostgresHistory
from clarion.adapters.valkey.client import COMMAND_TIMEOUT_S
from clarion.adapters.valkey.features import ValkeyFeatures
from clarion.compliance.rulebook import bundled_rulebook
from clarion.intelligence.features.live import LivePorts
from clarion.intelligence.features.zones import Clocks
from clarion.intelligence.serving.portraits import ModelPainter

if TYPE_CHECKING:
    from clarion.bootstrap import Region


def clocks_of_the_world() -> Clocks:
    """The zones of countries, from the rulebook's atlas."""
    return Clocks(lambda country: sorted(bundled_rulebook().atlas.zones_of(country)))


def patient_store(region: Region) -> ValkeyFeatures:
    """The store as a worker uses it, whom nobody waits for."""
    return ValkeyFeatures(region.valkey, timeout_s=COMMAND_TIMEOUT_S)


def live_ports(region: Region) -> tuple[LivePorts, PostgresFeatures]:
    """What folding uses of a region, and the archive by itself."""
    archive = PostgresFeatures(region.pools)
    store = patient_store(region)
    painter = ModelPainter(region.models)
    return LivePorts(store, archive, archive, clocks_of_the_world(), painter), archive


def history_of(region: Region) -> PostgresHistory:
    """What happened to a region's users, as its database tells it."""
    return PostgresHistory(region.pools, clocks_of_the_world())
