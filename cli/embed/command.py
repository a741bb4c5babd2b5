"""`cva embed`: reads the texts that were not read yet, without dbt calling Python."""

from __future__ import annotations

import json
from dataclasses import asdict

from cva_sql.cli.embed.reading import embed_shop
from cva_sql.cli.shop.options import Json, ModelsDir, ProjectDir, ShopDb, Vars, WorkDir
from cva_sql.cli.shop.resolver import open_shop


def embed(
    db: ShopDb = None,
    project: ProjectDir = None,
    variables: Vars = None,
    models_dir: ModelsDir = None,
    work_dir: WorkDir = None,
    as_json: Json = False,
) -> None:
    """Read the texts that were not read yet, for dbt without Python.

    Fills the same table as the dbt model that calls cva_read_text, a batch at a time, so that a
    killed call goes on where it stopped; build the rest with `dbt run --vars '{cva_udfs: false}'`.
    """
    from cva_sql.cli.shop.lock import exclusive

    shop = open_shop(
        db, variables=variables, models_dir=models_dir, work_dir=work_dir, project=project
    )
    with exclusive(shop):
        result = embed_shop(shop)
    if as_json:
        print(json.dumps(asdict(result), indent=2))
        return
    print(
        f"{result.table}: {result.texts:,} texts, {result.encoded:,} of them read now "
        f"in {result.seconds:.1f} s by encoder {result.encoder_key}"
    )
    if result.sentiment is not None:
        found = result.sentiment
        print(
            f"sentiment tells ratings of 4 and 5 from 1 and 2 with AUC {found.auc:.3f} "
            f"({found.lower:.3f} .. {found.upper:.3f}; {found.positive_texts:,} and "
            f"{found.negative_texts:,} texts)"
        )
