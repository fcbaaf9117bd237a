"""What was acknowledged is never lost: the site is killed while people save."""

from __future__ import annotations

from pathlib import Path

from killed_site import killed_while_saving

ROUNDS = 10  # `bench/faults.py` makes more


def test_4_4_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    assert killed_while_saving(tmp_path / "site", ROUNDS, seed=7) > ROUNDS
