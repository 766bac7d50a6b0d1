"""What every test gets: a home of its own, the data sets beside the checkout, visible skips, no process left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
HOME = Path(tempfile.mkdtemp(prefix="recx-tests-"))

# Before any test module is imported, so that every subprocess inherits it.
os.environ["RECX_HOME"] = str(HOME)
if SHARED_DATA.is_dir():
    os.environ.setdefault("RECX_DATA", str(SHARED_DATA))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--strict-skips", action="store_true", help="skips for want of data or a browser fail the run")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.data("ml-100k", ...)` skips, saying what is missing where."""
    folders = [Path(part) for part in os.environ.get("RECX_DATA", "").split(os.pathsep) if part]
    for marker in item.iter_markers("data"):
        missing = [name for name in marker.args if not any((folder / name).is_dir() for folder in folders)]
        if missing:
            pytest.skip(f"no data set {', '.join(missing)} in RECX_DATA={os.environ.get('RECX_DATA', '')!r}")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Each test that takes it runs on the CPU and on CUDA."""
    if request.param == "cuda":
        torch = pytest.importorskip("torch")
        if not torch.cuda.is_available():
            pytest.skip("no CUDA on this machine")
    return request.param


@pytest.fixture
def recx_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty RECX_HOME for this test alone."""
    monkeypatch.setenv("RECX_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def left_behind() -> list[psutil.Process]:
    """Processes that carry this run's mark and still live."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("RECX_TEST_RUN") == str(HOME):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


os.environ["RECX_TEST_RUN"] = str(HOME)


@pytest.fixture(scope="session", autouse=True)
def _clean_home() -> Iterator[None]:
    yield
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run for processes left behind (after ending them) and, with --strict-skips, for what was wanting."""
    problems = []
    _, orphans = psutil.wait_procs(left_behind(), timeout=5)
    for process in orphans:
        problems.append(f"left running by the tests: {process.pid} {' '.join(process.cmdline())[:200]}")
        process.kill()
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.config.getoption("--strict-skips"):
        wanting = [
            r for r in reporter.stats.get("skipped", []) if {"data", "browser"} & set(getattr(r, "keywords", ()))
        ]
        problems += [f"skipped, and --strict-skips was asked for: {report.nodeid}" for report in wanting]
    if problems and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    session.config.stash[PROBLEMS] = problems


PROBLEMS = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for problem in config.stash.get(PROBLEMS, []):
        terminalreporter.write_line(f"FAILED {problem}", red=True)
