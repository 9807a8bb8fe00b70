"""The examples, run as their docstrings say, with the program that a wheel installs elsewhere.

They are also the test that each network that ships is exact under cocotb on Verilator, while source
and sink stall.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from systolith.golden.network.shipped import names
from tests.sim.required import need

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of the wheel."""
    wheels, target = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("installed")
    build = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run([sys.executable, *build], cwd=_ROOT, check=True, capture_output=True)
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, *pip, *wheels.glob("*.whl")], check=True)
    return target


def command(example: str) -> list[str]:
    """The only command in the docstring of an example, with the Python of these tests."""
    text = (_EXAMPLES / example).read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("    python examples/"))
    return [sys.executable, *shlex.split(line)[1:]]


def run(installed: Path, here: Path, arguments: list[str]) -> str:
    """Run a command of the package in `installed` in a folder that has the examples."""
    done = subprocess.run(
        arguments,
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def generate(installed: Path, here: Path, network: str) -> None:
    """The accelerator of a network in the folder that the examples take."""
    systolith = [sys.executable, "-m", "systolith.scripts.entry"]
    run(installed, here, [*systolith, "quantize", network, "--out", "q.npz"])
    run(installed, here, [*systolith, "generate", "q.npz", "--out", "lenet5-rtl"])
    shutil.copytree(_EXAMPLES, here / "examples")


@pytest.mark.parametrize("network", names())
def test_examples(installed: Path, tmp_path: Path, network: str) -> None:
    program = "import systolith; print(systolith.__file__)"
    where = run(installed, tmp_path, [sys.executable, "-c", program])
    assert where.startswith(str(installed))
    generate(installed, tmp_path, network)
    assert "every_layer_is_exact passed" in run(installed, tmp_path, command("stalled_digits.py"))
    if network == "lenet5":
        need("icarus")
        out = run(installed, tmp_path, command("axi_stream.py"))
        assert "digits_are_classified passed" in out


def test_the_page_shows_the_example_with_the_kit() -> None:
    page = (_ROOT / "docs" / "testbench.md").read_text()
    assert (_EXAMPLES / "stalled_digits.py").read_text() in page
