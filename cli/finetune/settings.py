"""What `cva finetune` is asked for, and its --params."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cva_sql.cli.shop.expressions import shortened
from cva_sql.udfs.errors import UsageError

SHOW = "show"  # in place of settings: the defaults are printed


@dataclass(frozen=True)
class Request:
    """The options of a fine-tuning as they were given; None is the default."""

    method: str | None = None
    objective: str | None = None
    steps: int | None = None
    minutes: float | None = None
    params: str | None = None
    tensorboard: Path | None = None
    resume: bool = False
    deploy: bool = True

    def refuse_beside_resume(self) -> None:
        """Raises UsageError for what a training that goes on cannot be asked for."""
        for name in ("method", "objective", "steps", "params"):
            if getattr(self, name) is not None:
                raise UsageError(f"--resume goes on as it began; leave out --{name}")

    def refuse_beside_deploy(self, **dates: object) -> None:
        """Raises UsageError for what has no meaning where nothing is taught.

        `dates` are the options of the dates to learn from by their names, None where not given.
        """
        given = [n for n in Request.__dataclass_fields__ if getattr(self, n) != getattr(ASKED, n)]
        given += [name for name, value in dates.items() if value is not None]
        if given:
            option = "no-deploy" if given[0] == "deploy" else given[0].replace("_", "-")
            raise UsageError(f"--deploy KEY takes one that is there; leave out --{option}")


ASKED = Request()


def read_params(text: str | None) -> dict[str, Any]:
    """Settings as `rank=16,seed=3`, or of a YAML file; raises UsageError where they are neither."""
    from cva_sql.cli.shop.yaml_text import parse_yaml

    if text is None:
        return {}
    wanted = "expected rank=16,seed=3 or a YAML file of settings; all: cva finetune --params show"
    if "=" in text and not Path(text).is_file():
        pairs = [part.partition("=") for part in text.split(",")]
        if not all(name.strip() and value.strip() for name, _, value in pairs):
            raise UsageError(f"--params {shortened(text)}: {wanted}")
        return {name.strip(): value.strip() for name, _, value in pairs}
    try:
        found = parse_yaml(Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # not UTF-8 is a ValueError too
        why = " ".join(str(error).split())
        raise UsageError(f"--params {shortened(text)}: {why}; {wanted}") from None
    if not isinstance(found, dict):
        raise UsageError(f"--params {shortened(text)}: {wanted}")
    return {str(name): value for name, value in found.items()}


def quiet_libraries() -> None:
    """Before torch is loaded: threads that wait do not spin, and nothing is looked for elsewhere.

    Where cores are shared, threads that spin while they wait make a step many times as slow.
    """
    for name, value in (
        ("OMP_WAIT_POLICY", "PASSIVE"),
        ("HF_HUB_OFFLINE", "1"),
        ("TRANSFORMERS_OFFLINE", "1"),
        ("TRANSFORMERS_VERBOSITY", "error"),
        ("TOKENIZERS_PARALLELISM", "false"),
    ):
        os.environ.setdefault(name, value)
