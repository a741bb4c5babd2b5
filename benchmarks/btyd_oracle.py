"""Fitted against published parameters on the CDNOW sample; exits 1 where a digit differs.

    .venv/bin/python benchmarks/btyd_oracle.py CDNOW_sample.txt

The file is Fader and Hardie's (https://brucehardie.com/datasets/, CDNOW_sample.zip): master id, id,
date, CDs, dollars. Purchases of one day are one; calibration ends on 1997-09-30; time is in weeks
of days / 7. Published: BG/NBD in Fader, Hardie, Lee (2005); Gamma-Gamma in Fader, Hardie (2013);
MBG/NBD as the R package BTYDplus fits it, quoted by the tests of lifetimes.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

END = date(1997, 9, 30)
PUBLISHED = {
    "BG/NBD": {"r": "0.243", "alpha": "4.414", "a": "0.793", "b": "2.426"},
    "MBG/NBD": {"r": "0.525", "alpha": "6.183", "a": "0.891", "b": "1.614"},
    "Gamma-Gamma": {"p": "6.25", "q": "3.74", "v": "15.44"},
}


def read_purchases(file: Path) -> list[dict[date, float]]:
    """Spend by day of each customer, days up to END in order."""
    customers: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for line in file.read_text(encoding="ascii").splitlines():
        _, customer, day, _, dollars = line.split()
        bought = date(int(day[:4]), int(day[4:6]), int(day[6:]))
        if bought <= END:
            customers[customer][bought] += float(dollars)
    return [dict(sorted(days.items())) for days in customers.values()]


def fit(customers: list[dict[date, float]]) -> dict[str, Any]:
    """The three models, without penalty and bound, time in days / 7, repeat spend only."""
    import numpy as np

    from cva_sql.models_onnx.value.estimators.btyd import fit_dropout
    from cva_sql.models_onnx.value.estimators.gamma_gamma import fit_spend

    first = [min(days) for days in customers]
    x = np.array([len(days) - 1.0 for days in customers])
    t_x = np.array([(max(d) - f).days / 7 for d, f in zip(customers, first, strict=True)])
    age = np.array([(END - f).days / 7 for f in first])
    repeat = [list(days.values())[1:] for days in customers]
    mean = np.array([np.mean(spend) if spend else np.nan for spend in repeat])
    return {
        "BG/NBD": fit_dropout(x, t_x, age, "bgnbd", penalty=0.0),
        "MBG/NBD": fit_dropout(x, t_x, age, "mbgnbd", penalty=0.0),
        "Gamma-Gamma": fit_spend(x, mean, min_q=1.01, penalty=0.0),
    }


def main() -> None:
    """Prints model, parameter, published, fitted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    wrong = 0
    for name, model in fit(read_purchases(parser.parse_args().file)).items():
        for parameter, published in PUBLISHED[name].items():
            digits = len(published.partition(".")[2])
            fitted = f"{getattr(model, parameter):.{digits}f}"
            wrong += fitted != published
            mark = "" if fitted == published else "  differs"
            print(f"{name:12}{parameter:6}{published:>8}{fitted:>8}{mark}")
        print(f"{name:12}{model.report}")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
