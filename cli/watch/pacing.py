"""When a watch makes recommendations anew: so that they take a tenth of its time at most."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.watch.sources import Data

REST = 9.0  # times what the turn took that made the lists


@dataclass
class ListsPace:
    """From when on lists may be made again, and the data that those there are are not of yet.

    `rest` is how long no lists are made, in times of the turn that made some.
    """

    rest: float = REST
    due: float = 0.0
    owed: Data | None = None

    def are_due(self) -> bool:
        """Whether the next turn makes lists."""
        return time.monotonic() >= self.due

    def late(self) -> Data | None:
        """The data of an earlier turn that lists are made of now, with nothing newer."""
        return self.owed if self.are_due() else None

    def note(self, shop: ResolvedShop, state: Data, seconds: float, *, has_lists: bool) -> None:
        """After a turn of so many seconds, which made lists, or left those there were."""
        from cva_sql.cli.run.build import RECOMMENDER
        from cva_sql.cli.shop.model_store import deployed_version

        if deployed_version(shop.models_dir, RECOMMENDER) is None:
            self.owed = None
        elif has_lists:
            self.owed, self.due = None, time.monotonic() + self.rest * seconds
        else:
            self.owed = state
