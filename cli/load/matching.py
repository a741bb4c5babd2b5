"""Which of the inputs a preset takes for what, and what it says of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cva_sql.cli.load.inputs import Input
from cva_sql.cli.presets.preset import Part, Preset, presets
from cva_sql.cli.presets.recognition import layouts_of, recognise
from cva_sql.cli.shop.expressions import shortened
from cva_sql.udfs.errors import UsageError


def find_layouts(preset: Preset, inputs: Iterable[Input]) -> dict[str, list[Input]]:
    """Layout -> the inputs that have it; several are the same table in parts.

    A database has backups and views with the same columns: there the layout's own name tells,
    where a table has it. Raises UsageError where a schema of two has them, or a layout is refused.
    """
    found: dict[str, list[Input]] = {}
    for one in inputs:
        for layout in layouts_of(preset, one.header):
            if layout.refuse:
                raise UsageError(f"{one.name}: {layout.refuse}")
            found.setdefault(layout.name, []).append(one)
    for name, fitting in found.items():
        tables = [one for one in fitting if not one.relation.startswith("temp.")]
        called = [one for one in tables if one.name.split(".", 1)[1].lower() == name.lower()]
        if called:
            found[name] = called
        if len(found[name]) > 1 and tables:
            schemas = sorted({one.name.split(".", 1)[0] for one in found[name]})
            raise UsageError(
                f"{' and '.join(one.name for one in found[name])} are both {preset.title}'s {name};"
                f" name the schema: --source-schema {schemas[0]}"
            )
    return found


def recognised(inputs: Sequence[Input]) -> Preset:
    """The one vendor whose headers the inputs have."""
    vendors: dict[str, Preset] = {}
    for one in inputs:
        vendors |= {preset.name: preset for preset, _ in recognise(one.header)}
    if len(vendors) == 1:
        return next(iter(vendors.values()))
    first = inputs[0].name if inputs else "it"
    if vendors:
        raise UsageError(
            f"{first} may be of {' or '.join(vendors)}; name it: cva load {next(iter(vendors))}"
            f" {first}"
        )
    raise UsageError(
        f"{first} has the header of no known export; name the table, e.g. cva load orders {first},"
        f" or a preset: {', '.join(presets())}"
    )


def chosen_parts(
    preset: Preset, inputs: Sequence[Input], found: Mapping[str, Sequence[Input]]
) -> list[Part]:
    """The parts that the inputs fill; raises UsageError where one that was named fills none."""
    parts = preset.parts_of(set(found))
    used = {name for part in parts for name in part.layouts}
    idle = {name for name in found if preset.layouts[name].unused}
    for one in inputs:
        of = {name for name, fitting in found.items() if one in fitting}
        if one.is_named and not of:
            raise UsageError(_unknown_header(preset, one))
        if one.is_named and not of & used and not of <= idle:
            missing = _missing(preset, of, set(found))
            raise UsageError(
                f"{one.name} is {preset.title}'s {' and '.join(sorted(of))}; it fills a table only"
                f" together with {missing}: cva load {preset.name} FOLDER"
            )
    if not parts:
        listed = ", ".join(preset.layouts)
        raise UsageError(f"nothing here is an export of {preset.title}; expected {listed}")
    return parts


def _missing(preset: Preset, of: set[str], found: set[str]) -> str:
    """The layouts that the first part of one of `of` needs besides those that are there."""
    part = next(part for part in preset.parts if of & set(part.layouts))
    return " and ".join(name for name in part.layouts if name not in found)


def _unknown_header(preset: Preset, one: Input) -> str:
    """How near the header comes to a layout of the preset."""
    there = {" ".join(name.split()).lower() for name in one.header}
    lacking = min(
        ([n for n in layout.tells if n.lower() not in there] for layout in preset.layouts.values()),
        key=len,
    )
    return (
        f"{one.name} is no export of {preset.title} that is known: it has no column"
        f" {' and '.join(shortened(name) for name in lacking[:5])}; load it with cva load orders"
    )


def left_alone(
    preset: Preset, inputs: Sequence[Input], found: Mapping[str, Sequence[Input]]
) -> list[str]:
    """What of a folder or database was left alone, in a line."""
    taken = [one for name, n in found.items() if not preset.layouts[name].unused for one in n]
    left = [
        Path(one.name).name
        for one in inputs
        if one not in taken and not one.problem and one.relation.startswith("temp.")
    ]
    said = [f"not needed: {', '.join(left)}"] if left else []
    for one in (one for one in inputs if one.problem):
        why = shortened(one.problem.removeprefix(one.name).strip(": "))
        said.append(f"left alone: {Path(one.name).name}: {why}")
    return said
