"""Every example in the docstrings, the README and the docs runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

import jiepin.core
import jiepin.reader
import jiepin.web
from jiepin.core import Rules
from jiepin.core.simulation.scenario import Scenario

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules() -> Iterator[str]:
    for package in (jiepin.core, jiepin.web, jiepin.reader):
        yield package.__name__
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield module.name


def blocks(language: str) -> list[ParameterSet]:
    """Return the code blocks of one language, each named by page and line."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for fence in FENCE.finditer(text):
            if fence.group(1) == language:
                line = text.count("\n", 0, fence.start()) + 1
                found.append(pytest.param(fence.group(2), id=f"{page.name}:{line}"))
    return found


@pytest.mark.parametrize("name", list(modules()))
def test_docstrings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("body", blocks("python"))
def test_python_blocks(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(body, "example", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("body", blocks("toml"))
def test_toml_blocks(body: str) -> None:
    if "[population]" in body:
        assert Scenario.from_toml(body, ROOT).cases
    else:
        assert Rules.from_toml(body).stages


@pytest.mark.parametrize("body", blocks("sh"))
def test_commands(body: str, tmp_path: Path) -> None:
    """Run the lines that call jiepin, one after the other, in an empty folder."""
    (tmp_path / "fixtures").symlink_to(ROOT / "fixtures")
    command = Path(sys.executable).with_name("jiepin")
    for line in body.splitlines():
        words = shlex.split(line, comments=True)
        if words and Path(words[0]).name == "jiepin":
            done = subprocess.run(
                [command, *words[1:]],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def test_there_are_examples() -> None:
    assert blocks("python")
    assert blocks("toml")
    assert blocks("sh")
