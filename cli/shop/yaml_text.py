"""YAML that people write, and what is wrong with it in one line."""

from __future__ import annotations

import re
from typing import Any


def parse_yaml(text: str) -> Any:
    """The value; raises ValueError with the reason, also for a day that is in no calendar."""
    import yaml  # type: ignore[import-untyped]

    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:  # all but the first of unusable values
        raise ValueError(re.sub(r"\s+", " ", str(error))) from None
