"""Which vendor wrote a file, by the names in its header."""

from __future__ import annotations

from collections.abc import Iterable

from cva_sql.cli.presets.preset import Layout, Preset, presets


def recognise(header: Iterable[str]) -> list[tuple[Preset, list[Layout]]]:
    """The packaged presets with a layout that has this header, each with these layouts."""
    names = list(header)
    found = ((preset, layouts_of(preset, names)) for preset in presets().values())
    return [(preset, layouts) for preset, layouts in found if layouts]


def layouts_of(preset: Preset, header: Iterable[str]) -> list[Layout]:
    """The layouts of the preset that have this header."""
    names = {plain_name(name) for name in header}
    return [
        layout
        for layout in preset.layouts.values()
        if {plain_name(name) for name in layout.tells} <= names
        and not {plain_name(name) for name in layout.unless} & names
    ]


def plain_name(name: str) -> str:
    """A column's name without regard to case and to the blanks that some exports have around it."""
    return " ".join(name.split()).lower()
