"""Files as people have them: each loads to the right rows, or one line names what settles it."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from cva_sql.cli.load.files import read_files
from cva_sql.cli.load.formats import layout
from cva_sql.cli.load.formats.source import ReadOptions
from cva_sql.cli.load.table import load_table
from cva_sql.udfs.errors import CvaError, UsageError

HEADER = ("order_id", "customer_id", "ordered_at", "amount")
ROWS = [("1", "ann", "2024-01-02", "10.50"), ("2", "bob", "2024-02-03", "20")]
PLAIN = "order_id,customer_id,ordered_at,amount\n1,ann,2024-01-02,10.50\n2,bob,2024-02-03,20\n"


def write(folder: Path, name: str, data: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


def read(
    *files: Path, **options: str
) -> tuple[list[tuple[Any, ...]], tuple[str, ...], tuple[str, ...]]:
    """The rows as the files write them, the names of the columns, and what was said."""
    with duckdb.connect() as con:
        said = read_files(con, files, ReadOptions(**options))
        found = con.execute("from temp.cva_text order by rowid")
        names = tuple(column[0] for column in found.description or ())
        return found.fetchall(), names, said


def delimited(
    rows: list[tuple[str, ...]], delimiter: str, header: tuple[str, ...] = HEADER, **options: Any
) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", **options)
    writer.writerows([header, *rows])
    return text.getvalue()


# --- delimiters and quotes --------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["o.txt", "o.csv", "o.tsv", "o", "o.data"])
def test_the_delimiter_is_that_of_the_header_whatever_the_extension(
    tmp_path: Path, delimiter: str, name: str
) -> None:
    rows = [("1", "Ann de Vries", "2024-01-02 10:00", "10,50"), ("2", "bob", "2024-02-03", "20")]
    file = write(tmp_path, name, delimited(rows, delimiter))
    assert read(file) == (rows, HEADER, ())


def test_white_space_parts_columns_only_where_no_delimiter_is_in_the_header(
    tmp_path: Path,
) -> None:
    text = " order_id  customer_id ordered_at\t amount\n 1 ann  2024-01-02 10,50\n 2 bob 3 20,1\n"
    rows = [("1", "ann", "2024-01-02", "10,50"), ("2", "bob", "3", "20,1")]
    assert read(write(tmp_path, "o.csv", text)) == (rows, HEADER, ())


def test_a_comma_in_every_value_does_not_part_a_file_with_tabs(tmp_path: Path) -> None:
    rows = [("1", "Smith, Ann", "2024-01-02", "10"), ("2", "Jones, Bob", "2024-02-03", "20")]
    text = "\n".join("\t".join(row) for row in [HEADER, *rows])
    assert read(write(tmp_path, "o.csv", text))[0] == rows


def test_the_header_alone_does_not_decide_between_delimiters(tmp_path: Path) -> None:
    text = "order_id;customer_id;amount, EUR\n1;ann;10,50\n2;bob;20\n"
    rows, names, _ = read(write(tmp_path, "o.csv", text))
    assert names == ("order_id", "customer_id", "amount, EUR")
    assert rows == [("1", "ann", "10,50"), ("2", "bob", "20")]


def test_two_delimiters_that_fit_every_line_are_asked_about(tmp_path: Path) -> None:
    file = write(tmp_path, "o.csv", "order_id;name, first\n1;Smith, Ann\n2;Jones, Bob\n")
    with pytest.raises(UsageError, match=r"settle it with --delimiter ',' or --delimiter ';'"):
        read(file)
    assert read(file, delimiter=";")[0] == [("1", "Smith, Ann"), ("2", "Jones, Bob")]
    assert read(file, delimiter="comma")[0] == [("1;Smith", " Ann"), ("2;Jones", " Bob")]


@pytest.mark.parametrize(("delimiter", "given"), [("~", "~"), ("\x01", "\x01"), ("\t", "tab")])
def test_a_delimiter_can_be_given(tmp_path: Path, delimiter: str, given: str) -> None:
    text = "\n".join(delimiter.join(row) for row in [HEADER, *ROWS]) + "\n"
    assert read(write(tmp_path, "o.csv", text), delimiter=given) == (ROWS, HEADER, ())
    with pytest.raises(UsageError, match="--delimiter xy: expected one character, tab or space"):
        read(write(tmp_path, "o.csv", text), delimiter="xy")


@pytest.mark.parametrize("first", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\ufeffsep=;\r\n"])
def test_a_first_line_sep_names_the_delimiter(tmp_path: Path, first: str) -> None:
    text = first + "order_id;name, first\n1;Smith, Ann\n2;Jones, Bob\n"
    rows, names, said = read(write(tmp_path, "o.csv", text))
    assert (names, said) == (("order_id", "name, first"), ())
    assert rows == [("1", "Smith, Ann"), ("2", "Jones, Bob")]


@pytest.mark.parametrize("quoted", ['"b ""c"", d\ne"', '"b \\"c\\", d\ne"'])
def test_a_first_quote_far_below_is_a_quote(tmp_path: Path, quoted: str) -> None:
    lines = [f"{i},c{i % 7},2024-01-02,1" for i in range(30_000)]
    lines[25_000] = f'25000,{quoted},2024-01-02,"1"'
    rows, _, _ = read(write(tmp_path, "o.csv", "\n".join([",".join(HEADER), *lines])))
    assert len(rows) == 30_000
    assert rows[25_000] == ("25000", 'b "c", d\ne', "2024-01-02", "1")
    assert rows[25_001][0] == "25001"


def test_single_quotes_around_all_names_are_quotes(tmp_path: Path) -> None:
    text = "'order_id','customer_id'\n'1','Smith, Ann'\n'2','bob'\n"
    assert read(write(tmp_path, "o.csv", text))[0] == [("1", "Smith, Ann"), ("2", "bob")]
    text = "order_id,customer_id\n1,O'Neil\n2,'s Gravenhage\n"
    assert read(write(tmp_path, "o.csv", text))[0] == [("1", "O'Neil"), ("2", "'s Gravenhage")]


@pytest.mark.parametrize("ends", [("\r\n", "\n"), ("\n", "\r\n"), ("\r", "\r"), ("\r\n", "\r\n")])
def test_line_ends_may_be_mixed(tmp_path: Path, ends: tuple[str, str]) -> None:
    header, first, second = PLAIN.splitlines()
    text = header + ends[0] + first + ends[1] + second + ends[0]
    assert read(write(tmp_path, "o.csv", text)) == (ROWS, HEADER, ())


def test_rows_may_end_with_a_delimiter_that_the_header_has_not(tmp_path: Path) -> None:
    header, *rows = PLAIN.splitlines()
    text = "\n".join([header, *(f"{row}," for row in rows)])
    assert read(write(tmp_path, "o.csv", text)) == (ROWS, HEADER, ())
    text += "\n3,cid,2024-01-02,10,50\n"
    with pytest.raises(CvaError, match=r"line 4 has 5 fields, the header has 4"):
        read(write(tmp_path, "o.csv", text))


# --- header and preamble ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ("Sales report\n", "1 line above the header left out"),
        ("Sales report, May\n\nfrom 2024-01-01, to 2024-05-31\n", "2 lines above"),
        ('"All amounts in EUR, VAT included"\n"Definitions:\nnone"\n\n', "2 lines above"),
        ("Sales report,,,\nShop,Acme,,\nfrom,2024-01-01,,\n,,,\n", "3 lines above"),
    ],
)
def test_lines_above_the_header_are_left_out_and_said(
    tmp_path: Path, above: str, said: str
) -> None:
    rows, names, lines = read(write(tmp_path, "o.csv", above + PLAIN))
    assert (rows, names) == (ROWS, HEADER)
    assert lines[0].startswith(f"o.csv: {said}")


def test_names_that_are_numbers_and_blanks_stay_the_header(tmp_path: Path) -> None:
    text = ",product,2023,2024\n0,hat,5,6\n1,cap,7,8\n"
    rows, names, said = read(write(tmp_path, "o.csv", text))
    assert names == ("column0", "product", "2023", "2024")
    assert (rows, said) == ([("0", "hat", "5", "6"), ("1", "cap", "7", "8")], ())
    assert read(write(tmp_path, "o.csv", "Report\n" + text))[1] == names


def test_a_header_in_the_middle_is_left_out_and_said(tmp_path: Path) -> None:
    rows, _, said = read(write(tmp_path, "o.csv", PLAIN + PLAIN + PLAIN))
    assert rows == ROWS * 3
    assert said == ("o.csv: 2 lines repeating the header left out",)


def test_names_are_trimmed_and_told_apart(tmp_path: Path) -> None:
    assert read(write(tmp_path, "o.csv", "\ufeff id , ID,,id\n1,2,3,4\n"))[1] == (
        "id", "ID_1", "column2", "id_2",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3,cid,2024-03-04", "line 4 has 3 fields, the header has 4 .*: '3,cid,2024-03-04'"),
        ("3,cid,2024-03-04,10,50", "line 4 has 5 fields, the header has 4"),
        ("3,cid,2024-03-04,1,2,3,4", "line 4 has 7 fields, the header has 4"),
        ('3,"Gold" ring,2024-03-04,1', "line 4 has a quote that does not end its field"),
        ('3,"cid,2024-03-04,1', "line 4 has a quote that does not end its field"),
    ],
)
def test_a_row_that_does_not_fit_is_named_by_number_and_text(
    tmp_path: Path, line: str, message: str
) -> None:
    file = write(tmp_path, "o.csv", f"{PLAIN}{line}\n4,dot,2024-01-01,5\n")
    with pytest.raises(CvaError, match=message) as caught:
        read(file)
    assert "\n" not in str(caught.value)


def test_the_line_number_counts_the_lines_of_quoted_values_and_of_a_preamble(
    tmp_path: Path,
) -> None:
    text = 'Report\n\norder_id,note,amount\n1,"a ""b""\nc",5\n2,x,6\n3,4\n'
    with pytest.raises(CvaError, match=r"line 7 has 2 fields, the header has 3 .*: '3,4'"):
        read(write(tmp_path, "o.csv", text))


# --- encodings --------------------------------------------------------------------------------

TEXTS = {
    "gb18030": ["北京", "上海", "张三丰", "交易成功"],
    "big5": ["臺北", "高雄", "王小明", "陳大文"],
    "shift_jis": ["山田太郎", "コーヒー", "東京都", "鈴木さん"],
    "cp949": ["김철수", "서울", "부산광역시", "주문번호"],
    "cp1250": ["Łukasz", "Święty", "Żółć", "Plzeň"],
    "cp1251": ["Москва", "Иванов", "Петербург", "город"],
    "cp1252": ["Renée", "Müller", "Jürgen Groß", "Köln"],
    "cp1253": ["Αθήνα", "Θεσσαλονίκη", "Πάτρα", "Γιώργος"],
    "cp1254": ["İstanbul", "Şişli", "Beyoğlu", "Çağrı"],
}


def named_rows(names: list[str], count: int = 40) -> list[tuple[str, ...]]:
    return [(str(i), names[i % len(names)], "2024-01-02", "5") for i in range(count)]


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("packed", [False, True])
def test_an_encoding_is_recognised_and_said(tmp_path: Path, encoding: str, packed: bool) -> None:
    rows = named_rows(TEXTS[encoding])
    data = delimited(rows, ",").encode(encoding)
    found, _, said = read(
        write(tmp_path, "o.csv", gzip.compress(data, mtime=0) if packed else data)
    )
    assert found == rows
    assert said[0].startswith("o.csv: read as ")


@pytest.mark.parametrize("encoding", ["gb18030", "cp1252", "cp1250", "cp1251"])
def test_an_encoding_is_recognised_by_a_single_name_far_below(
    tmp_path: Path, encoding: str
) -> None:
    rows = named_rows(["ann", "bob"], 60_000)
    rows[50_000] = ("50000", " ".join(TEXTS[encoding][:2]), "2024-01-02", "5")
    data = delimited(rows, ",").encode(encoding)
    assert len(data) > 1 << 20  # more than one chunk
    assert read(write(tmp_path, "o.csv", data))[0] == rows


@pytest.mark.parametrize(
    "encoding",
    ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)
def test_unicode_is_read_with_and_without_its_mark(tmp_path: Path, encoding: str) -> None:
    rows = named_rows(["北京", "Müller", "😀"])
    data = delimited(rows, ";").encode(encoding)
    assert read(write(tmp_path, "o.csv", data))[:2] == (rows, HEADER)


def test_an_encoding_that_is_unclear_is_asked_about(tmp_path: Path) -> None:
    file = write(tmp_path, "o.csv", "order_id,name\n1,Zoë\n2,Renée\n3,Åsa\n".encode("cp1252"))
    with pytest.raises(UsageError, match=r"name it: --encoding Windows-\d+ or --encoding Wind"):
        read(file)
    rows, _, said = read(file, encoding="cp1252")
    assert rows[0] == ("1", "Zoë")
    assert said == ("o.csv: read as cp1252",)
    with pytest.raises(UsageError, match="--encoding latin-99 is unknown"):
        read(file, encoding="latin-99")


def test_utf_8_with_a_broken_line_is_no_other_encoding(tmp_path: Path) -> None:
    rows = named_rows(["Müller", "Renée"])
    data = delimited(rows, ",").encode() + b"99,M\xfcller,2024-01-02,5\n"
    file = write(tmp_path, "o.csv", data)
    with pytest.raises(UsageError, match=r"line 42 is not: '99,M.*--encoding utf-8"):
        read(file)
    found, _, said = read(file, encoding="utf-8")
    assert found[-1][1] == "M\ufffdller"
    assert said == ("o.csv: read as utf-8; 1 characters that are not utf-8 became \ufffd",)


# --- packed files, workbooks, JSON ------------------------------------------------------------


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def parquet(folder: Path) -> bytes:
    file = folder / "made"
    duckdb.execute(
        f"copy (select 1 as order_id, 'ann' as customer_id) to '{file}' (format parquet)"
    )
    return file.read_bytes()


def workbook(sheets: Mapping[str, list[list[Any]]], hidden: tuple[str, ...] = ()) -> bytes:
    book, target = openpyxl.Workbook(), io.BytesIO()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        if name in hidden:
            sheet.sheet_state = "hidden"
    book.save(target)
    return target.getvalue()


@pytest.mark.parametrize("name", ["o.csv", "o.parquet", "o.gz"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_is_known_by_its_content(tmp_path: Path, name: str, pack: Any) -> None:
    assert read(write(tmp_path, name, pack(PLAIN.encode()))) == (ROWS, HEADER, ())
    assert read(write(tmp_path, "o.csv.gz", PLAIN)) == (ROWS, HEADER, ())


def test_parquet_is_known_by_its_content_and_keeps_its_types(tmp_path: Path) -> None:
    plain = write(tmp_path, "o.csv", parquet(tmp_path))
    packed = write(tmp_path, "o.zip", zipped({"x.parquet": parquet(tmp_path)}))
    for file in (plain, packed):
        with duckdb.connect() as con:
            read_files(con, [file])
            assert con.execute("from temp.cva_source").fetchall() == [(1, "ann")]


def test_the_one_file_of_an_archive_is_read_and_said(tmp_path: Path) -> None:
    files = {"a/": "", "__MACOSX/a/._o.csv": "x", "a/.DS_Store": "x", "a/o.csv": PLAIN}
    file = write(tmp_path, "export.csv", zipped(files))
    assert read(file) == (ROWS, HEADER, ("export.csv: file a/o.csv of the archive",))


def test_several_files_of_an_archive_are_asked_about(tmp_path: Path) -> None:
    file = write(tmp_path, "o.zip", zipped({"orders.csv": PLAIN, "items.csv": "a,b\n1,2\n"}))
    with pytest.raises(UsageError, match=r"2 files: orders.csv, items.csv; name one.*--sheet"):
        read(file)
    assert read(file, sheet="orders.csv")[0] == ROWS
    with pytest.raises(UsageError, match=r"--sheet x: .* has the files orders.csv, items.csv"):
        read(file, sheet="x")


def test_a_workbook_is_read_as_it_is_shown(tmp_path: Path) -> None:
    rows = [
        ["Sales report", None, None, None],
        [],
        [None, "order_id", "customer_id", "ordered_at", "amount", "day", "is_new"],
        [None, 1001, "007", datetime(2024, 1, 2, 10, 30), 0.1 + 0.2, date(2024, 1, 2), True],
        [],
        [None, 1002.0, "b\n\"c\", d", datetime(2024, 2, 3), 1041.2, None, False],
    ]  # fmt: skip
    data = workbook({"Orders 2024": rows, "Notes": [["made by hand"], ["twice"]]})
    found, names, said = read(write(tmp_path, "o.csv", data))
    assert names == ("order_id", "customer_id", "ordered_at", "amount", "day", "is_new")
    assert found == [
        ("1001", "007", "2024-01-02 10:30:00", "0.3", "2024-01-02", "true"),
        ("1002", 'b\n"c", d', "2024-02-03", "1041.2", None, "false"),
    ]
    assert said == ("o.csv: sheet Orders 2024; 1 line above the header left out",)


def test_several_sheets_with_data_are_asked_about(tmp_path: Path) -> None:
    table = [list(HEADER), *map(list, ROWS)]
    sheets = {"May": table, "June 2024": table, "codes": table}
    file = write(tmp_path, "o.xlsx", workbook(sheets, hidden=("codes",)))
    with pytest.raises(UsageError, match=r"2 sheets: May, June 2024; name one, e.g. --sheet May"):
        read(file)
    for sheet in ("june 2024", "codes"):
        assert read(file, sheet=sheet)[0] == ROWS


OBJECTS = [dict(zip(HEADER, row, strict=True)) for row in ROWS]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(OBJECTS), ()),
        (json.dumps(OBJECTS, indent=2), ()),
        ("\n".join(map(json.dumps, OBJECTS)), ()),
        ("\n\n".join(json.dumps(o, indent=1) for o in OBJECTS), ()),
        (json.dumps({"orders": OBJECTS, "count": 2}), ("o.csv: rows of orders",)),
        (json.dumps({"data": {"orders": OBJECTS}}, indent=1), ("o.csv: rows of data/orders",)),
        ("\ufeff" + json.dumps({"ids": [1, 2], "rows": OBJECTS}), ("o.csv: rows of rows",)),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_json_of_any_form_gives_its_objects(
    tmp_path: Path, text: str, said: tuple[str, ...], encoding: str
) -> None:
    text = text if encoding == "utf-8" else text.lstrip("\ufeff")
    rows, names, lines = read(write(tmp_path, "o.csv", text.encode(encoding)))
    assert (rows, names) == (ROWS, HEADER)
    if encoding == "utf-8":
        assert lines == said


def test_several_lists_of_a_json_object_are_asked_about(tmp_path: Path) -> None:
    text = json.dumps({"orders": OBJECTS, "refunds": [{"id": 1}]})
    file = write(tmp_path, "o.json", text)
    with pytest.raises(UsageError, match=r"2 lists: orders, refunds; name one, e.g. --sheet"):
        read(file)
    assert read(file, sheet="orders")[0] == ROWS


@pytest.mark.parametrize("form", ["[{0}, {1}]", "{0}\n{1}", '{{"rows": [{0}, {1}]}}'])
def test_numbers_of_json_are_as_they_are_written(tmp_path: Path, form: str) -> None:
    text = form.format('{"id": 1001.1, "x": null}', '{"id": 1001.10, "x": {"y": true}}')
    assert read(write(tmp_path, "o.json", text))[0] == [
        ("1001.1", None),
        ("1001.10", '{"y":true}'),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"%PDF-1.7 ...", "is a PDF; expected CSV, a workbook, JSON or Parquet"),
        (b"SQLite format 3\0", "is an SQLite database"),
        (b"<html><table><tr><td>1</td></tr></table>", "a page of HTML or XML; save it as .xlsx"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "cannot be read as a workbook"),
        (zipped({}) and zipped({"a/": ""}), "holds no file with data"),
        (b'{"orders": [{"a": 1}', "cannot be read"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-9], "cannot be read"),
    ],
)
def test_what_has_no_rows_says_what_it_is(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(CvaError, match=message) as caught:
        read(write(tmp_path, "o.csv", data))
    assert "\n" not in str(caught.value)


def test_files_of_several_kinds_load_together(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "1", PLAIN),
        write(tmp_path, "2", delimited(named_rows(["北京"]), ";").encode("utf-16")),
        write(tmp_path, "3", json.dumps(OBJECTS)),
        write(tmp_path, "4", workbook({"a": [list(HEADER), *map(list, ROWS)]})),
    ]
    rows, _, said = read(*files)
    assert len(rows) == 2 + 40 + 2 + 2
    assert said == ("2: read as UTF-16", "4: sheet a")


@pytest.mark.parametrize(
    "text", ["x" * 2_500_000, '"' + "x\n" * 1_500_000 + '"'], ids=["one line", "many lines"]
)
def test_a_cell_above_two_million_bytes_is_read_whole(text: str, tmp_path: Path) -> None:
    rows = ["review_id,product_id,customer_id,reviewed_at,body", f"1,p,a,2024-01-01,{text}"]
    (tmp_path / "x.csv").write_text("\n".join([*rows, "2,p,b,2024-01-01,y\n"]), encoding="utf-8")
    load_table("reviews", [tmp_path / "x.csv"], db=tmp_path / "shop.duckdb")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        found = con.execute("select body from raw.reviews order by review_id").fetchall()
    assert [body.strip() for (body,) in found] == [text.strip('"').strip(), "y"]


def test_a_row_above_the_limit_is_named_with_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "LONGEST_LINE_BYTES", 3_000_000)
    rows = "order_id,customer_id,ordered_at,amount,note\n1,a,2024-01-01,3," + "x" * 3_100_000
    (tmp_path / "x.csv").write_text(f"{rows}\n2,b,2024-01-01,4,y\n", encoding="utf-8")
    with pytest.raises(CvaError, match=r"x\.csv: line 2 is longer than 64,000,000 bytes") as found:
        load_table("orders", [tmp_path / "x.csv"], db=tmp_path / "shop.duckdb")
    assert len(str(found.value)) < 400
