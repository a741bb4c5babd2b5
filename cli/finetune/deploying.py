"""`cva finetune --deploy`: another encoder reads from now on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.shop.history import Entry, recording
from cva_sql.cli.shop.owner import Owned

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop


@dataclass(frozen=True)
class Deployed:
    """Which encoder reads from now on, which did, and how many texts it has to read anew."""

    key: str
    former: str
    texts_to_read: int


@recording("finetune", lambda found: Entry(model_version=found.key), Owned.MODELS)
def deploy_encoder(shop: ResolvedShop, key: str) -> Deployed:
    """Lets an encoder read that is kept, or the packaged one."""
    from cva_sql.cli.embed.texts import count_texts, shop_encoder
    from cva_sql.cli.finetune.store import put_in_place

    former = shop_encoder(shop).key
    count = count_texts(shop)
    manifest = put_in_place(shop.models_dir, key, shop.encoder_tier)
    return Deployed(manifest.key, former, count if manifest.key != former else 0)
