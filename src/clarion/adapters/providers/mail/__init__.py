"""What all vendors of e-mail have in common: addresses, headers, and content that many messages share."""

from __future__ import annotations
