"""The wheel, built once and installed outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("cli", "udfs", "models_onnx", "dbt_project")


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel; the test environment lends it the dependencies."""

    wheel: Path
    python: Path
    package: Path

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        home = cwd / "home"
        home.mkdir(exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "DBT_"))}
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd,
            env={**kept, "HOME": str(home), "PATH": f"{self.python.parent}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in FOLDERS:  # a copy, so that nothing an earlier build left can slip in
        shutil.copytree(ROOT / name, source / name)
    for file in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / file, source / file)
    (source / "dbt_project" / "target").mkdir(exist_ok=True)
    (source / "dbt_project" / "target" / "compiled.sql").write_text("select 1")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    built = subprocess.run([*build, str(source)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
    )
    site = Path(
        subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    # Searched last, and the .pth files in it (our editable install) are not read.
    lent = [path for path in sys.path if path.endswith("site-packages")]
    (site / "lent.pth").write_text("\n".join(lent), encoding="utf-8")
    return Installed(wheel, python, site / "cva_sql")
