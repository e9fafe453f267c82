"""PostgreSQL, the truth of a region. Three pools: `pipeline` (COPY, BYPASSRLS), `reader` (forced row-level security), `keys`."""

from __future__ import annotations
