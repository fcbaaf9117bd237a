"""Packages are the folders, and every import goes one way."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("core", "web", "reader")


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return config


def test_every_package_folder_is_listed() -> None:
    listed = setup_cfg()["options"]["packages"].split()
    folders = sorted(
        "jiepin." + ".".join(file.parent.relative_to(ROOT).parts)
        for program in PROGRAMS
        for file in (ROOT / program).rglob("__init__.py")
    )
    assert sorted(listed) == folders


def test_every_data_file_is_shipped() -> None:
    patterns = {
        package: value.replace(" ", "").split(",")
        for package, value in setup_cfg()["options.package_data"].items()
    }
    for program in PROGRAMS:
        folder = ROOT / program
        data = {
            file
            for file in folder.rglob("*")
            if file.is_file()
            and file.suffix != ".py"
            and "__pycache__" not in file.parts
        }
        shipped = {
            file
            for pattern in patterns[f"jiepin.{program}"]
            for file in folder.glob(pattern)
        }
        assert data == shipped, f"{program}: not shipped or not there"


def test_tests_and_bench_are_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not list((ROOT / "bench").rglob("__init__.py"))


def test_imports_go_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
