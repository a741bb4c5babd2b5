"""The thread pool that all SQL functions share."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


@cache
def pool() -> ThreadPoolExecutor:
    """As many threads as cores, for all of DuckDB's threads together."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="cva")
