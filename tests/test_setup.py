"""Set-up: two commands on a fresh machine, and project files that say what is true."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"sklearn": "scikit-learn", "dateutil": "python-dateutil", "yaml": "pyyaml"}
"""Import name -> name on the registry, where they differ."""


def make(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), *words]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTHON"))}
    return subprocess.run(command, cwd=folder, env=clean | env, capture_output=True, text=True, timeout=120)


def fake_python(folder: Path, body: str) -> str:
    path = folder / "some-python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return f"PYTHON={path}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder whose requirements need no network."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("# nothing\n")
    return tmp_path


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("exit 127", "No Python"),
        ('case "$2" in *version_info*) exit 1;; *) echo Python 3.9.2;; esac', "needs Python 3.11, 3.12 or 3.13"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "has no ensurepip"),
    ],
)
def test_a_python_that_will_not_do_is_said_in_words(checkout: Path, body: str, says: str) -> None:
    done = make(checkout, "install", fake_python(checkout, body))
    assert done.returncode != 0
    assert says in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (checkout / ".venv").exists()


def test_the_versions_that_make_accepts_are_those_that_the_project_names() -> None:
    says = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'requires-python = ">=3.11,<3.14"' in says
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (ROOT / "Makefile").read_text("utf-8")


def test_install_is_idempotent_notices_changes_and_recovers_from_an_interruption(checkout: Path) -> None:
    python = f"PYTHON={sys.executable}"
    first = make(checkout, "install", python)
    assert first.returncode == 0, first.stderr
    assert "Making .venv" in first.stdout
    assert "Installing requirements.txt" in first.stdout

    start = time.perf_counter()
    second = make(checkout, "install", python)
    assert (second.stdout, second.stderr) == ("", "")
    assert time.perf_counter() - start < 2

    (checkout / "requirements.txt").write_text("# changed\n")
    os.utime(checkout / "requirements.txt", (0, 0))
    changed = make(checkout, "install", python)
    assert "Installing requirements.txt" in changed.stdout
    assert "Making" not in changed.stdout

    (checkout / "requirements.txt").write_text("./no-such-folder\n")
    failed = make(checkout, "install", python)
    assert failed.returncode != 0
    assert "no-such-folder" in failed.stderr
    assert "run make again" in failed.stderr
    (checkout / "requirements.txt").write_text("# mended\n")
    assert make(checkout, "install", python).returncode == 0

    dead = subprocess.Popen(["true"])
    dead.wait()
    (checkout / ".venv" / ".installing").write_text(f"{dead.pid}\n")
    (checkout / ".venv" / "half-made").touch()
    recovered = make(checkout, "install", python)
    assert recovered.returncode == 0, recovered.stderr
    assert "interrupted" in recovered.stdout
    assert not (checkout / ".venv" / "half-made").exists()

    other = subprocess.Popen(["sleep", "2"])
    (checkout / ".venv" / ".installing").write_text(f"{other.pid}\n")
    waiter = subprocess.Popen(
        ["make", "-f", str(ROOT / "Makefile"), "install", python], cwd=checkout, stdout=subprocess.PIPE, text=True
    )
    other.wait()
    said, _ = waiter.communicate(timeout=60)
    assert "waiting for it" in said
    assert waiter.returncode == 0


def third_party(*folders: str) -> set[str]:
    """Registry names of what these folders import, at any depth."""
    found = set()
    for folder in folders:
        path = ROOT / folder
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.split(".")[0])
    own = {"recx", "tests", "app", "pages", "__future__"}
    return {PACKAGES.get(name, name).lower() for name in found - own - set(sys.stdlib_module_names)}


def listed(name: str) -> set[str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return {match[0].lower() for line in lines if (match := re.match(r"[A-Za-z][\w-]*", line))}


def test_requirements_are_exactly_what_the_project_imports() -> None:
    only_for_benches = {"playwright", "mlxtend"}  # of the tests' requirements, which `make bench` installs: it looks at
    # the page (`bench start`) and mines the same rules (`bench rules`)
    assert third_party("recx", "pages", "app.py") - only_for_benches == listed("requirements.txt")


def test_what_only_tests_import_is_in_requirements_dev() -> None:
    beyond = third_party("tests") - listed("requirements.txt")
    assert beyond <= listed("requirements-dev.txt")
    assert listed("requirements-dev.txt").isdisjoint(listed("requirements.txt"))


@pytest.mark.parametrize("name", ["Makefile", ".ci/run", "pyproject.toml", "requirements.txt", "requirements-dev.txt"])
def test_packages_are_named_never_addressed(name: str) -> None:
    """Whoever installs chooses the registry; a host or an index option in these files would choose for them."""
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"https?://|--index-url|--extra-index|--find-links|--trusted-host|^-f ", text, re.M)


def test_ci_runs_as_a_shell_script_and_ends_in_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    assert script.read_text("utf-8").rstrip().splitlines()[-1].startswith("exec make test")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))


def test_every_make_command_that_a_document_names_exists() -> None:
    texts = [path.read_text("utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    named = {word for text in texts for word in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.M)}
    assert {"app", "test"} <= named <= targets()
    assert {"test-slow", "lint", "bench", "demo", "clean"} <= targets()


def test_every_file_that_the_readme_points_to_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", (ROOT / "README.md").read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_notebook_lines_of_the_readme_run(tmp_path: Path) -> None:
    """From another folder, in a process of its own, as a reader would."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    notebook = next(block for block in blocks if "planted" in block)
    env = os.environ | {"PYTHONPATH": str(ROOT), "RECX_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", notebook], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Had ")


def test_make_without_a_word_lists_the_commands(tmp_path: Path) -> None:
    done = make(tmp_path)
    assert done.returncode == 0
    assert {"app", "test"} <= set(re.findall(r"make ([a-z-]+)", done.stdout))


def test_clean_leaves_the_sources(tmp_path: Path) -> None:
    for name in (".venv/x", ".ruff_cache/x", "recx/__pycache__/x.pyc", "recx/core.py", "results/table.parquet"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert make(tmp_path, "clean").returncode == 0
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["recx/core.py", "results/table.parquet"]


def run_tests(folder: Path, source: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A test file of its own under this project's conftest and settings."""
    (folder / "tests").mkdir()
    for name in ("tests/conftest.py", "pyproject.toml"):
        (folder / name).write_text((ROOT / name).read_text("utf-8"))
    (folder / "tests" / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"RECX_DATA": ""})


SKIPS = """

import pytest

@pytest.mark.data("ml-nowhere")
def test_data(): ...

@pytest.mark.gpu
def test_gpu(): pytest.skip("no CUDA on this machine")

def test_passes(): ...
"""


def test_skips_say_why_and_those_for_want_of_data_fail_a_strict_run(tmp_path: Path) -> None:
    plain = run_tests(tmp_path, SKIPS)
    assert plain.returncode == 0
    assert "no data set ml-nowhere in RECX_DATA=''" in plain.stdout
    assert "no CUDA on this machine" in plain.stdout
    assert plain.stdout.rstrip().splitlines()[-1].strip("= ").startswith("1 passed, 2 skipped")

    strict = subprocess.run(
        [sys.executable, "-m", "pytest", "--strict-skips"], cwd=tmp_path, capture_output=True, text=True
    )
    assert strict.returncode == 1
    assert "skipped, and --strict-skips was asked for: tests/test_it.py::test_data" in strict.stdout
    assert "asked for: tests/test_it.py::test_gpu" not in strict.stdout


def test_a_process_left_behind_fails_the_run_and_is_ended(tmp_path: Path) -> None:
    source = "import subprocess\ndef test_it(): subprocess.Popen(['sleep', '86.42'], start_new_session=True)\n"
    done = run_tests(tmp_path, source)
    assert done.returncode == 1
    assert "left running" in done.stdout
    assert "sleep 86.42" in done.stdout
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "86.42"]]
