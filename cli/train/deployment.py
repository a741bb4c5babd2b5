"""What becomes of the deployed model once another one was trained: nothing good goes unasked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cva_sql.udfs.errors import ModelError, UsageError

if TYPE_CHECKING:
    from cva_sql.udfs.manifest import Manifest


@dataclass(frozen=True)
class Wish:
    """What the caller wants: to deploy what won or the `candidate` that is named, or nothing.

    `withdraw`: where nothing won, what is deployed scores no more.
    """

    deploy: bool = True
    withdraw: bool = False
    candidate: str | None = None

    def __post_init__(self) -> None:
        if self.deploy:
            return
        for option, is_given in (("--withdraw", self.withdraw), ("--deploy", self.candidate)):
            if is_given:
                raise UsageError(f"{option} and --no-deploy exclude each other; give one of them")


UNASKED = Wish()


@dataclass(frozen=True)
class Settled:
    """Whether the trained model scores, why or why not, and which trained one does."""

    is_deployed: bool
    reason: str
    scoring: str | None


def settle(
    models_dir: Path,
    manifest: Manifest | None,
    *,
    is_better: bool,
    reason: str,
    wish: Wish = UNASKED,
    kind: str = "value",
) -> Settled:
    """Deploys a trained model that won, or leaves what is deployed.

    `manifest` is None where nothing could be fitted. One that looks from an earlier date than what
    is deployed is not deployed either; `cva models deploy` is for that.
    """
    from cva_sql.cli.shop.model_store import deploy, deployed_version, withdraw

    before = deployed_version(models_dir, kind)
    if manifest is None or not is_better:
        if before is not None and wish.withdraw:
            withdraw(models_dir, kind)
            return Settled(False, f"{reason}; {before} was withdrawn, as asked", None)
        return Settled(False, reason, before)
    later = _later_as_of(models_dir, kind, before, manifest)
    if later or not wish.deploy:
        why = f"it looks from before {before}, trained as of {later}" if later else "as asked"
        how = f"deploy it with: cva models deploy {manifest.version}"
        return Settled(False, f"{reason}, and not deployed: {why}; {how}", before)
    deploy(models_dir, manifest.version, kind)
    return Settled(True, reason, manifest.version)


def _later_as_of(models_dir: Path, kind: str, before: str | None, manifest: Manifest) -> str | None:
    """The date of what is deployed where it is later than the trained model's."""
    from cva_sql.udfs.manifest import read_manifest
    from cva_sql.udfs.sessions import deployed_folder

    if before is None:
        return None
    try:
        deployed = read_manifest(deployed_folder(models_dir, kind))
    except ModelError:  # nothing that could be kept
        return None
    then, now = deployed.training.get("as_of"), manifest.training.get("as_of")
    return str(then) if then and now and str(then) > str(now) else None
