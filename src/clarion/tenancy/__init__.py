"""Tenants, keys, categories, quotas."""

from __future__ import annotations
