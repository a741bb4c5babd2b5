"""The colours that plots are drawn in: stand-ins for those of the page's style sheet."""

from __future__ import annotations

# Each becomes var(--name), so that one SVG serves a light page, a dark one and paper. None is a
# colour that Matplotlib uses by itself.
INK, MUTED, GRID, CARD = "#0a0001", "#0a0002", "#0a0003", "#0a0004"
ACCENT, SOFT, UP, DOWN, UNKNOWN = "#0a0005", "#0a0006", "#0a0007", "#0a0008", "#0a0009"
STEPS = tuple(f"#0a01{k:02x}" for k in range(7))  # a feature's value from low to high

VARIABLES = {
    INK: "--ink", MUTED: "--muted", GRID: "--grid", CARD: "--card", ACCENT: "--accent",
    SOFT: "--soft", UP: "--up", DOWN: "--down", UNKNOWN: "--unknown",
    **{step: f"--step-{k}" for k, step in enumerate(STEPS)},
}  # fmt: skip
