"""What may be set of a member: its default, what is allowed, and where to look for a better one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cva_sql.udfs.errors import UsageError

Value = int | float | tuple[int, ...]


@dataclass(frozen=True)
class Setting:
    """A number of the default's type between `low` and `high`, or a list of such whole numbers.

    `search` are the bounds that tuning looks between, evenly in logs with `is_log`; None leaves it
    as it is.
    """

    default: Value
    low: float
    high: float
    search: tuple[float, float] | None = None
    is_log: bool = False

    def read(self, value: Any, name: str) -> Value:
        """The value as the default's type; raises UsageError, in one line, where it is not."""
        if isinstance(self.default, tuple):
            if isinstance(value, list | tuple) and value and all(map(self._is_allowed, value)):
                return tuple(int(one) for one in value)
        elif self._is_allowed(value):
            return type(self.default)(value)
        raise UsageError(f"{name} is {str(value)[:80]!r}; expected {self.expected}")

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        is_whole = not isinstance(self.default, float)
        what = "a whole number" if is_whole else "a number"
        if isinstance(self.default, tuple):
            what = "a list of whole numbers"
        default = list(self.default) if isinstance(self.default, tuple) else self.default
        return f"{what} from {self.low:g} to {self.high:g} (default: {default})"

    def _is_allowed(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        is_whole = float(value).is_integer()
        return (is_whole or isinstance(self.default, float)) and self.low <= value <= self.high


def values_of(settings: Mapping[str, Setting], given: Mapping[str, Value]) -> dict[str, Value]:
    """Name -> what is set, or the default."""
    return {name: given.get(name, setting.default) for name, setting in settings.items()}
