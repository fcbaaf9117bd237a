"""What stands on each page of a PDF, as poppler reads it."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest


def pages_of(pdf: bytes) -> list[str]:
    """Return the text of each page, without blanks."""
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext: apt install poppler-utils")
    done = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True
    )
    pages = done.stdout.decode("utf-8").split("\f")
    return [re.sub(r"\s", "", page) for page in pages if page.strip()]
