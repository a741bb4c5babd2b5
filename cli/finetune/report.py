"""What `cva finetune` did, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cva_sql.cli.shop.encoder_place import PACKAGED

if TYPE_CHECKING:
    from cva_sql.cli.finetune.deploying import Deployed
    from cva_sql.cli.finetune.tuning import Tuned
    from cva_sql.cli.shop.shop import ResolvedShop


def describe(found: Tuned, shop: ResolvedShop) -> str:
    """What was taught, how it was judged and what to do next."""
    memory = f", {found.peak_bytes / 1e9:.1f} GB" if found.peak_bytes else ""
    lines = [
        f"encoder {found.key}: {found.method} on {', '.join(found.objectives)}, {found.steps:,} "
        f"steps in {found.seconds / 60:.1f} minutes{memory} on {found.device}; "
        f"{found.trained_parameters:,} numbers learned from {found.texts:,} texts of before "
        f"{found.trained_before}",
        found.reason.partition(": ")[2],
    ]
    if not found.is_whole:
        lines.append(f"the minutes were over; go on with: {shop.command('finetune --resume')}")
    if found.is_deployed:
        return "\n".join([*lines, *_read_anew(found.texts_to_read, found.former, shop)])
    deploying = shop.command(f"finetune --deploy {found.key}")
    lines.append(f"kept as a candidate in {found.folder}; to let it read all the same: {deploying}")
    return "\n".join(lines)


def describe_deployed(found: Deployed, shop: ResolvedShop) -> str:
    """Which encoder reads from now on."""
    if found.key == found.former:
        return f"encoder {found.key} reads already; nothing was changed"
    return "\n".join(
        [f"encoder {found.key} reads", *_read_anew(found.texts_to_read, found.former, shop)]
    )


def _read_anew(texts: int, former: str, shop: ResolvedShop) -> list[str]:
    """What a change of the encoder means, and the way back."""
    return [
        f"DEPLOYED: ALL TEXTS ARE READ ANEW, once ({texts:,} were read by the former encoder); the "
        f"value model learned from vectors of that one, so train first: {shop.command('train')}",
        f"the way back: {shop.command(f'finetune --deploy {former}')}, or --deploy {PACKAGED} for "
        "the encoder that cva comes with",
    ]
