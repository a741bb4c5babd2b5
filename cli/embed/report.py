"""What `cva embed images` did, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.cli.shop.progress import count_of

if TYPE_CHECKING:
    from cva_sql.cli.embed.images import Pictured

EXAMPLES = 3  # files named of each kind


def describe(found: Pictured) -> str:
    """What was done, as people read it."""
    said = [
        f"{found.table}: {count_of(found.products, 'product')} "
        f"of {count_of(found.pictures, 'picture')}, "
        f"{found.read:,} of them read now in {found.seconds:.1f} s by encoder {found.encoder_key} "
        f"(vectors of {found.width:,})"
    ]
    if found.several:
        said.append(f"{count_of(found.several, 'product')} with several: the mean of them")
    if found.dropped:
        said.append(f"another encoder's vectors are gone: {count_of(found.dropped, 'product')}")
    if found.unknown:
        named = ", ".join(found.unknown[:EXAMPLES])
        said.append(
            f"of no product of the shop: {count_of(len(found.unknown), 'picture')}, e.g. {named}"
        )
    for file, why in list(found.unusable.items())[:EXAMPLES]:
        said.append(f"not read: {file}: {why}")
    if len(found.unusable) > EXAMPLES:
        said.append(f"not read: {len(found.unusable) - EXAMPLES:,} more")
    if found.links:
        said.append(f"not followed: {count_of(found.links, 'link')}")
    if found.others:
        said.append(f"no pictures by their names: {count_of(found.others, 'file')}")
    if not found.is_used:
        said.append(
            "products.image_vector has vectors of the shop's own: those are looked at, not these"
        )
    return "\n".join(said)
