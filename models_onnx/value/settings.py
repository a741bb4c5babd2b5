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
            if isinstance(value, list | tuple) and value:
                numbers = [_number(one) for one in value]
                if all(self._is_allowed(one) for one in numbers):
                    return tuple(int(one) for one in numbers if one is not None)
        elif (number := _number(value)) is not None and self._is_allowed(number):
            return type(self.default)(number)
        raise UsageError(f"{name} is {str(value)[:80]!r}; expected {self.expected}")

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        is_whole = not isinstance(self.default, float)
        what = "a whole number" if is_whole else "a number"
        if isinstance(self.default, tuple):
            what = "a list of whole numbers"
        default = list(self.default) if isinstance(self.default, tuple) else self.default
        return f"{what} from {self.bounds} (default: {default})"

    @property
    def bounds(self) -> str:
        """The least and the largest, in words."""
        return " to ".join(
            str(int(bound)) if float(bound).is_integer() else f"{bound:g}"
            for bound in (self.low, self.high)
        )

    def _is_allowed(self, number: float | None) -> bool:
        if number is None or not self.low <= number <= self.high:
            return False
        return isinstance(self.default, float) or float(number).is_integer()


def _number(value: Any) -> float | None:
    """A number as YAML has it, to which 1e-3 is a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def values_of(settings: Mapping[str, Setting], given: Mapping[str, Value]) -> dict[str, Value]:
    """Name -> what is set, or the default."""
    return {name: given.get(name, setting.default) for name, setting in settings.items()}
