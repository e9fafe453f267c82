"""`python -m bench NAME…|all`: progress on stderr, one JSON line a bench on stdout, the last one last."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.harness import say

NAMES: Final = (
    "render",
    "accept",
    "pipeline",
    "broadcast",
    "import",
    "segment",
    "api",
    "memory",
    "start",
    "sweep",
    "click",
    "unsubscribe",
    "failover",
    "cost",
    "adaptive",
    "single_call",
    "batch_call",
    "fcm",
    "receipts",
    "route",
    "arbitrage",
    "erasure",
    "compliance_sweep",
    "consent_check",
    "opt_out",
    "journey_steps",
    "journey_waiting",
    "journey_trigger",
    "journey_kills",
    "journey_simulate",
    "features_update",
    "features",
    "inference",
    "send_time",
    "channels",
    "trees",
    "lift",
)
MODULES: Final = {"import": "import_users"}
"""Where a bench is not in the module of its name, which Python has for itself."""

RESULTS: Final = Path(__file__).parent / "results.json"


def main(arguments: list[str]) -> int:
    """Run the named benches; exit code 1 where a bar was missed."""
    if not arguments:
        say(f"usage: python -m bench NAME…; there are: all {' '.join(NAMES)}")
        return 2
    names = NAMES if arguments == ["all"] else tuple(arguments)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        say(f"no bench {unknown[0]!r}; there are: all {' '.join(NAMES)}")
        return 2
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        say(f"── {name}")
        result = importlib.import_module(f"bench.{MODULES.get(name, name)}").run()
        plain = msgspec.to_builtins(result)
        results[name] = plain
        sys.stdout.write(msgspec.json.encode(plain).decode() + "\n")
        sys.stdout.flush()
    if arguments == ["all"]:
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    return 0 if all(result["ok"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
