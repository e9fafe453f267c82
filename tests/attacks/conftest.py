"""What attackers send, held against the real API and the real way out."""

from __future__ import annotations

from tests.integration.api.conftest import api, caller, other, stores

__all__ = ["api", "caller", "other", "stores"]
