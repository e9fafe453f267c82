"""Models and data in the formats of others: Parquet, boosted trees, ONNX, model servers."""

from __future__ import annotations
