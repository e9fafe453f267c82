from __future__ import annotations

from pathlib import Path

import pytest

from tools.lint.model import TextFile
from tools.lint.repository import check_file, check_repository, pure_folders, text_files

PURE = ("src/clarion/delivery/", "src/clarion/kernel/")
HOME = "/" + "home/ada"


def rules(path: str, text: str) -> list[str]:
    """The rules that a file with this text would break at this path."""
    return [finding.rule for finding in check_file(TextFile(path, text), PURE)]


FEATURE = "src/clarion/delivery/retry.py"
ADAPTER = "src/clarion/adapters/postgres/pool.py"
TEST = "tests/unit/test_retry.py"


@pytest.mark.parametrize(
    "code",
    [
        "import time\nnow = time.time()",
        "from time import time_ns\nnow = time_ns()",
        "import time as t\ndef f(clock=t.monotonic): ...",
        "import datetime\nnow = datetime.datetime.now(datetime.UTC)",
        "from datetime import datetime, UTC\nnow = datetime.now(UTC)",
        "import datetime as dt\nnow = dt.datetime.utcnow()",
        "from datetime import date\nday = date.today()",
        "import random\nx = random.random()",
        "from uuid import uuid4\nx = uuid4()",
        "import os\nx = os.urandom(16)",
    ],
)
def test_a_feature_reads_no_clock_and_rolls_no_dice(code: str):
    assert rules(FEATURE, code) == ["pure-core"]


@pytest.mark.parametrize(
    "code",
    [
        "def f(now_ms: int) -> int: return now_ms + 1",
        "from datetime import datetime, UTC\nat = datetime.fromtimestamp(0, UTC)",
        "import random\ndef f(chance: random.Random) -> float: return chance.random()",
        "class Clock: ...\ndef f(clock): return clock.monotonic()",
    ],
)
def test_a_feature_may_use_the_time_and_the_chance_it_is_handed(code: str):
    assert rules(FEATURE, code) == []


def test_adapters_and_the_kernels_sources_may_read_the_clock():
    code = "import time\nnow = time.time()"
    assert rules(ADAPTER, code) == []
    assert rules("src/clarion/kernel/clock.py", code) == []
    assert rules("src/clarion/kernel/errors.py", code) == ["pure-core"]


@pytest.mark.parametrize(
    "code",
    [
        'con.execute(f"SELECT {x}")',
        'con.fetch("SELECT %s" % x)',
        'con.fetchrow("SELECT {}".format(x))',
        'con.fetchval("SELECT " + x)',
        'con.prepare("SELECT " "a" + x + " FROM t")',
        'sql = f"DELETE FROM {t}"\ncon.execute(sql, 1)',
    ],
)
def test_sql_is_not_formatted(code: str):
    assert rules(ADAPTER, code) == ["sql-text"]


@pytest.mark.parametrize(
    "code",
    [
        'con.execute("SELECT 1")',
        'con.execute("SELECT 1 " + "FROM t")',
        "con.execute(QUERIES.fetch_job, job_id)",
        'con.execute("SELECT $1", f"{x}")',
        'log.info(f"{x} sent")',
        'con.execute(f"SELECT 1")',
    ],
)
def test_constant_sql_with_parameters_is_welcome(code: str):
    assert rules(ADAPTER, code) == []


def test_a_test_may_format_sql_to_break_things():
    assert rules(TEST, 'con.execute(f"DELETE FROM {table}")') == []


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.sleep(1)",
        "import time\ntime.sleep(0)",
        "from asyncio import sleep\nasync def f(): await sleep(0.1)",
        "import asyncio as a\nasync def f(): await a.sleep(delay)",
    ],
)
def test_tests_do_not_sleep(code: str):
    assert rules(TEST, code) == ["sleep-in-test"]


def test_a_test_may_yield_and_an_adapter_may_sleep():
    assert rules(TEST, "import asyncio\nasync def f(): await asyncio.sleep(0)") == []
    assert rules(ADAPTER, "import asyncio\nasync def f(): await asyncio.sleep(1)") == []


@pytest.mark.parametrize("text", [f"cd {HOME}/clarion", f"file://{HOME}/x", '"/' + 'root/.cache/x"'])
def test_no_file_names_a_path_of_one_machine(text: str):
    assert rules("docs/index.md", text) == ["machine-path"]


@pytest.mark.parametrize(
    "text", ["docs/work/x", "GET /homes/1/rooms", "a/root/b", "/homework/x", "~/clarion"]
)
def test_other_paths_are_no_paths_of_one_machine(text: str):
    assert rules("docs/index.md", text) == []


@pytest.mark.parametrize(
    "line",
    [
        "--index-url " + "https" + "://packages.example/simple",
        "x @ git+ssh" + "://example/x",
        "x @ file.whl",
        "--extra-index-url y",
        "--find-links wheels",
    ],
)
def test_a_lock_holds_no_addresses(line: str):
    assert rules("requirements.lock", line) == ["lock-address"]


def test_a_lock_holds_versions_and_hashes():
    lock = "msgspec==0.22.0 ; python_version >= '3.11' \\\n    --hash=sha256:0a\n    # via clarion (pyproject.toml)\n"
    assert rules("requirements.lock", lock) == []


def test_the_pure_folders_are_those_of_the_import_contract():
    pyproject = """
        [[tool.importlinter.contracts]]
        id = "pure-features"
        source_modules = ["clarion.kernel", "clarion.delivery"]
    """
    assert pure_folders(pyproject) == ("src/clarion/kernel/", "src/clarion/delivery/")


def test_a_missing_contract_is_an_error_and_not_an_empty_rule():
    with pytest.raises(LookupError, match="pure-features"):
        pure_folders("[[tool.importlinter.contracts]]\nid = 'layers'\n")


def repository(root: Path) -> Path:
    """A smallest repository that keeps every rule."""
    (root / "tools/lint").mkdir(parents=True)
    (root / "tools/lint/waivers.txt").write_text("# none\n")
    (root / "tools/uv.lock").write_text("uv==1\n")
    (root / "requirements.lock").write_text("x==1\n")
    (root / "pyproject.toml").write_text(
        "[[tool.importlinter.contracts]]\nid = 'pure-features'\nsource_modules = ['clarion.delivery']\n"
    )
    return root


def test_a_repository_that_keeps_the_rules_has_no_findings(tmp_path: Path):
    assert check_repository(repository(tmp_path)) == []


def test_findings_name_the_place(tmp_path: Path):
    repository(tmp_path)
    (tmp_path / FEATURE).parent.mkdir(parents=True)
    (tmp_path / FEATURE).write_text("import time\n\nnow = time.time()\n")
    (tmp_path / "requirements.lock").unlink()
    assert [str(finding) for finding in check_repository(tmp_path)] == [
        "requirements.lock:1: the lock file is missing [lock-address]",
        f"{FEATURE}:3: time.time: take the time as an argument [pure-core]",
    ]


def test_pictures_and_folders_of_tools_are_passed_over(tmp_path: Path):
    (tmp_path / "plot.png").write_bytes(b"\x89PNG\xff")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/x.py").write_text("")
    (tmp_path / "a.md").write_text("text")
    assert [file.path for file in text_files(tmp_path)] == ["a.md"]


def test_this_repository_is_checked_from_its_own_root():
    root = Path(__file__).parents[2]
    assert {"Makefile", "tools/lint/sleeps.py"} <= {file.path for file in text_files(root)}
