"""How much is generated: the same few thousand inputs each time, or many others with CVA_FUZZ=1."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "cva",
    derandomize=not os.environ.get("CVA_FUZZ"),
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("cva")
