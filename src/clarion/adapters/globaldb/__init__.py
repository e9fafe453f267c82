"""The global store (CockroachDB, or a second PostgreSQL database): what regions share. Ids only, no personal data."""

from __future__ import annotations
