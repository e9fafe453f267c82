"""PostgreSQL, the truth of a region: pools by role (`pipeline` may COPY, `reader` is bound to a tenant, `keys`), queries."""

from __future__ import annotations
