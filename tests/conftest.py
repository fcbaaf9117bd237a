"""What holds for every test."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long drawing an example takes says more about the machine than about the test:
# the first text that is drawn builds a table of all characters.
settings.register_profile(
    "jiepin", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("jiepin")
