"""`cva alerts`: lists, notes, and hands each alert on once, signed, with consent."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cva_sql.cli.alerts import destinations
from cva_sql.cli.alerts.api import State, ack_alerts, list_alerts, resolve_alerts
from cva_sql.cli.alerts.destinations import parse_destination
from cva_sql.cli.alerts.sending import idempotency_key
from cva_sql.cli.app import app
from cva_sql.cli.shop.resolver import Need, open_shop
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.udfs.errors import CvaError, UsageError

SECRET = "of-the-receiver"
# a and b may be sent: with consent, and no marketing. c and d have not consented, e is over.
ALERTS = """
create table churn_alerts as
select id || '@2024-05-01' as alert_id, id as customer_id, date '2024-05-01' as last_order_date,
    state, date '2024-06-01' as raised_on, 90 as horizon_days, 500.0 as usual_value,
    100.0 as predicted_value, 0.8 as churn_probability, stake as money_at_stake,
    31 as days_since_last_order, 9.5 as gap_mean_days, 'orders every 10 days, 客户' as reason,
    'offer' as action, is_marketing, consent as has_marketing_consent, null::varchar as owner,
    state = 'resolved' as has_bought
from (values ('a', 'new', 300.0, true, true), ('b', 'open', 400.0, false, null),
    ('c', 'open', 200.0, true, null), ('d', 'new', 100.0, true, false),
    ('e', 'resolved', 900.0, true, true)) as t(id, state, stake, is_marketing, consent)
"""


@pytest.fixture
def shop(tmp_path: Path) -> ResolvedShop:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute(ALERTS)
    return open_shop(tmp_path / "shop.duckdb", need=Need.NOTHING)


def call(shop: ResolvedShop, *arguments: str) -> None:
    app(["alerts", *arguments, "--db", str(shop.db)], standalone_mode=False)


def listed(shop: ResolvedShop, *states: State) -> dict[str, str]:
    found = list_alerts(shop, states) if states else list_alerts(shop)
    return {alert["customer_id"]: alert["state"] for alert in found}


def notes(shop: ResolvedShop, columns: str = "alert_id, event") -> list[Any]:
    with duckdb.connect(str(shop.db), read_only=True) as con:
        return con.execute(f"select {columns} from cva_alert_acks order by all").fetchall()


class Receiver:
    """A webhook of this machine that answers as it is told, and keeps what came."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                status = outer.answers.pop(0) if outer.answers else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/token"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keys(self) -> list[str]:
        return [json.loads(body)["alert_id"][0] for _, body in self.got]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv(destinations.SECRET, SECRET)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(destinations, "WAITS", (0.0, 0.0, 0.0))
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


def test_the_list_has_what_is_live_most_at_stake_first(shop: ResolvedShop, capsys: Any) -> None:
    assert list(listed(shop)) == ["b", "a", "c", "d"]
    assert listed(shop, State.RESOLVED) == {"e": "resolved"}
    call(shop, "list", "--json", "--state", "new")
    found = json.loads(capsys.readouterr().out)
    assert [(one["customer_id"], one["last_order_date"]) for one in found] == [
        ("a", "2024-05-01"), ("d", "2024-05-01"),
    ]  # fmt: skip
    call(shop, "list")
    shown = capsys.readouterr()
    assert "400.00  b@2024-05-01  offer\n" in shown.out
    assert shown.err == "4 alerts\n"


def test_what_is_noted_is_appended_and_seen_at_once(shop: ResolvedShop, capsys: Any) -> None:
    call(shop, "ack", "a", "b@2024-05-01", "a", "--by", "Ann", "--note", "called")
    assert capsys.readouterr().out == "acted: a@2024-05-01\nacted: b@2024-05-01\n"
    call(shop, "ack", "a")
    assert capsys.readouterr().out == "acted already: a@2024-05-01\n"
    call(shop, "resolve", "a")
    assert listed(shop, *State) == {
        "a": "resolved", "b": "acted", "c": "open", "d": "new", "e": "resolved",
    }  # fmt: skip
    assert notes(shop) == [
        ("a@2024-05-01", "acted"), ("a@2024-05-01", "resolved"), ("b@2024-05-01", "acted"),
    ]  # fmt: skip
    assert notes(shop, "distinct noted_by, note") == [("Ann", "called"), (None, None)]


@pytest.mark.parametrize(("name", "why"), [("x", "there is no alert 'x'"), ("e", "is resolved")])
def test_of_several_that_are_named_one_wrong_notes_none(
    shop: ResolvedShop, name: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        ack_alerts(shop, ["a", name])
    with pytest.raises(UsageError, match=why):
        resolve_alerts(shop, [name])
    with duckdb.connect(str(shop.db), read_only=True) as con:
        assert (
            con.execute("select 1 from duckdb_tables() where table_name like '%acks'").fetchall()
            == []
        )


def test_a_webhook_gets_each_allowed_alert_once_and_can_check_it(
    shop: ResolvedShop, receiver: Receiver, capsys: Any
) -> None:
    call(shop, "send", "--to", receiver.url)
    assert receiver.keys() == ["b", "a"]
    for headers, body in receiver.got:
        signed = headers["Cva-Timestamp"].encode() + b"." + body
        expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["Cva-Signature"] == f"sha256={expected}"
        assert headers["Idempotency-Key"] == json.loads(body)["idempotency_key"]
    shown = capsys.readouterr().out
    assert "sent 2 alerts to http://127.0.0.1:" in shown
    assert "withheld: 2, whose action is marketing without consent to it\n" in shown
    assert "token" not in shown
    assert "token" not in str(notes(shop, "*"))
    call(shop, "send", "--to", receiver.url)
    assert receiver.keys() == ["b", "a"]
    assert "not again: 2 that went there before\n" in capsys.readouterr().out


def test_one_that_is_busy_is_asked_again_with_the_same_key_and_body(
    shop: ResolvedShop, receiver: Receiver
) -> None:
    receiver.answers = [503, 429, 200]
    call(shop, "send", "--to", receiver.url)
    assert receiver.keys() == ["b", "b", "b", "a"]
    assert len({body for _, body in receiver.got[:3]}) == 1


@pytest.mark.parametrize(("answers", "tries"), [([400], 1), ([302], 1), ([500] * 4, 4)])
def test_one_that_refuses_ends_it_and_the_next_call_goes_on_there(
    shop: ResolvedShop, receiver: Receiver, answers: list[int], tries: int
) -> None:
    receiver.answers = [200, *answers]
    with pytest.raises(CvaError, match=rf"it answered {answers[0]}; what was taken") as error:
        call(shop, "send", "--to", receiver.url)
    assert error.value.exit_code == 1
    assert "token" not in str(error.value)
    assert receiver.keys() == ["b", *["a"] * tries]
    assert notes(shop) == [("b@2024-05-01", "sent")]
    call(shop, "send", "--to", receiver.url)
    assert receiver.keys()[1 + tries :] == ["a"]


def test_nobody_there_is_one_line(shop: ResolvedShop, receiver: Receiver) -> None:
    receiver.server.server_close()
    with pytest.raises(CvaError, match=r"did not take the alert .*refused"):
        call(shop, "send", "--to", receiver.url)


def test_what_is_acted_on_is_not_sent(shop: ResolvedShop, receiver: Receiver) -> None:
    ack_alerts(shop, ["b"])
    call(shop, "send", "--to", receiver.url)
    assert receiver.keys() == ["a"]


@pytest.mark.parametrize(
    "to", ["http://example.com/x", "ftp://example.com", "https://u:p@example.com", "https://[", "https://h:x/"]
)  # fmt: skip
def test_a_url_that_would_tell_others_is_misuse(to: str, receiver: Receiver) -> None:
    with pytest.raises(UsageError, match="--to ") as error:
        parse_destination(to)
    assert error.value.exit_code == 2


def test_without_a_secret_nothing_is_sent(shop: ResolvedShop, monkeypatch: Any) -> None:
    monkeypatch.delenv(destinations.SECRET, raising=False)
    with pytest.raises(UsageError, match="CVA_WEBHOOK_SECRET is not set"):
        call(shop, "send", "--to", "https://example.com/x")


def lines(path: Path) -> list[str]:
    return [json.loads(line)["customer_id"] for line in path.read_text().splitlines()]


def test_a_file_gets_each_alert_once_also_after_a_kill(shop: ResolvedShop, tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    call(shop, "send", "--to", str(file))
    assert lines(file) == ["b", "a"]
    whole = file.read_bytes()
    with duckdb.connect(str(shop.db)) as con:  # killed before it was noted, and within a line
        con.execute("delete from cva_alert_acks where alert_id like 'a%'")
    for left in (whole, whole[:-9]):
        file.write_bytes(left)
        with duckdb.connect(str(shop.db)) as con:
            con.execute("delete from cva_alert_acks where alert_id like 'a%'")
        call(shop, "send", "--to", str(file))
        assert file.read_bytes() == whole


@pytest.mark.parametrize("text", ["mine\n", "mine", '{"a": 1}\n', "[]\n"])
def test_a_file_of_something_else_is_left_as_it_is(
    shop: ResolvedShop, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(text)
    with pytest.raises(CvaError, match="holds something else than alerts"):
        call(shop, "send", "--to", str(file))
    assert file.read_text() == text
    with pytest.raises(UsageError, match="a folder that is there"):
        parse_destination(str(tmp_path / "none" / "x"))


def test_stdout_has_alerts_alone(
    shop: ResolvedShop, capsys: Any, recorded: Callable[[ResolvedShop], list[Any]]
) -> None:
    call(shop, "send", "--to", "stdout")
    shown = capsys.readouterr()
    found = [json.loads(line) for line in shown.out.splitlines()]
    assert [one["idempotency_key"] for one in found] == [
        idempotency_key(f"{customer}@2024-05-01") for customer in "ba"
    ]
    assert "sent 2 alerts to stdout" in shown.err
    assert recorded(shop) == [("alerts send", "ok", 2)]


@pytest.fixture
def recorded() -> Callable[[ResolvedShop], list[Any]]:
    def read(shop: ResolvedShop) -> list[Any]:
        with duckdb.connect(str(shop.db), read_only=True) as con:
            return con.execute("select command, outcome, row_count from cva_runs").fetchall()

    return read
