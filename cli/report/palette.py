"""The colours of a page: what figures are drawn with, and what CSS makes of them."""

from __future__ import annotations

# A figure is drawn in these stand-ins; each becomes var(--name), so that one SVG serves a light
# page, a dark one and paper. None is a colour that Matplotlib uses by itself.
INK, MUTED, GRID, CARD = "#0a0001", "#0a0002", "#0a0003", "#0a0004"
ACCENT, SOFT, UP, DOWN, UNKNOWN = "#0a0005", "#0a0006", "#0a0007", "#0a0008", "#0a0009"
STEPS = tuple(f"#0a01{k:02x}" for k in range(7))  # a feature's value from low to high

VARIABLES = {
    INK: "--ink", MUTED: "--muted", GRID: "--grid", CARD: "--card", ACCENT: "--accent",
    SOFT: "--soft", UP: "--up", DOWN: "--down", UNKNOWN: "--unknown",
    **{step: f"--step-{k}" for k, step in enumerate(STEPS)},
}  # fmt: skip

# The steps go from blue to amber as `plasma` does: their lightness rises, so they can be told
# apart in grey and by colour-blind readers. On dark ground they start lighter.
LIGHT = {
    "--page": "#f6f6f3", "--card": "#ffffff", "--ink": "#1b2330", "--muted": "#596273",
    "--grid": "#e3e5e9", "--edge": "#dfe1e5", "--accent": "#1f5fa8", "--soft": "#b9d0ea",
    "--up": "#2a7f9e", "--down": "#c05a2b", "--unknown": "#a3a9b3",
    "--step-0": "#2a3a96", "--step-1": "#5a3aa6", "--step-2": "#8a3d9f", "--step-3": "#b34788",
    "--step-4": "#d2606c", "--step-5": "#e57f4c", "--step-6": "#eda62f",
}  # fmt: skip
DARK = {
    "--page": "#12161c", "--card": "#1a2028", "--ink": "#e6e9ee", "--muted": "#a0a9b7",
    "--grid": "#2d3540", "--edge": "#2d3540", "--accent": "#74aef0", "--soft": "#3a659b",
    "--up": "#55b3d1", "--down": "#e8905f", "--unknown": "#6d7683",
    "--step-0": "#5f74ea", "--step-1": "#8370e6", "--step-2": "#a96fd8", "--step-3": "#ce74bd",
    "--step-4": "#ea869a", "--step-5": "#f5a479", "--step-6": "#fbcb62",
}  # fmt: skip
