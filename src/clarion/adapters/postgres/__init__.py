"""PostgreSQL, the truth of a region: pools by role (`pipeline` copies, `reader` has a tenant, `keys`), and queries."""

from __future__ import annotations
