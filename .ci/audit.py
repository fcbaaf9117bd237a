"""Asks pip-audit for known weaknesses of the packages of an environment.

    python .ci/audit.py SITE_PACKAGES

Ends with 0 when none is known, 1 when some are, 3 when the service could not be asked:
then nothing is known either way.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CLEAN, FOUND, NOT_REACHED = 0, 1, 3
OWN = "jiepin"


def verdict(report: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[int, str]:
    """Return the exit code for a report of pip-audit, and what to say.

    >>> verdict({"dependencies": [{"name": "a", "version": "1", "vulns": []}]})
    (0, '1 packages, no known weakness')
    >>> verdict({"dependencies": [{"name": "a", "skip_reason": "not found"}]})
    (3, '1 packages, none could be asked about: the service does not answer')
    """
    packages = [one for one in report["dependencies"] if one["name"] != OWN]
    asked = [one for one in packages if "skip_reason" not in one]
    found = [
        f"{one['name']} {one['version']}: {weakness['id']}"
        for one in asked
        for weakness in one["vulns"]
    ]
    if found:
        return FOUND, "\n".join(found)
    if not asked:
        said = "none could be asked about: the service does not answer"
        return NOT_REACHED, f"{len(packages)} packages, {said}"
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    if skipped:
        return NOT_REACHED, f"not asked about: {', '.join(skipped)}"
    return CLEAN, f"{len(packages)} packages, no known weakness"


def ask(packages: Path) -> tuple[int, str]:
    """Run pip-audit on a folder of packages."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--path", str(packages)),
            *("--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return verdict(json.loads(done.stdout))
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        return NOT_REACHED, f"the service does not answer: {last[0]}"


if __name__ == "__main__":
    code, said = ask(Path(sys.argv[1]))
    print(said, file=sys.stderr if code else sys.stdout)
    sys.exit(code)
