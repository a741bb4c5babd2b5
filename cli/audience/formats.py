"""What importers of audiences want: their columns, and which are hashed. One line a tool.

Headers are those of the tools' own templates: Klaviyo's and HubSpot's list imports, Mailchimp's
audience import, Google Ads Customer Match, Meta's customer list with a value. Google and Meta take
e-mails and phone numbers as SHA-256 of their normal form.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Row = Mapping[str, Any]
DOTLESS = ("gmail.com", "googlemail.com")  # whose dots Google does not count


@dataclass(frozen=True)
class Format:
    """Header -> what of a row stands below it; `needs` are columns one of which has to be there."""

    columns: Mapping[str, Callable[[Row], Any]]
    needs: tuple[str, ...] = ("email",)
    extras: bool = True  # whether the importer takes columns of one's own: tier, stage, …


def normal_email(text: str | None) -> str | None:
    """An address in lower case without blanks, None for what is none."""
    email = "".join((text or "").split()).lower()
    return email if re.fullmatch(r"[^@]+@[^@.]+(\.[^@.]+)+", email) else None


def normal_phone(text: str | None) -> str | None:
    """A number with its country, as +49301234567; None where it has none or is no number."""
    digits = re.sub(r"[\s().\-/]", "", text or "")
    digits = f"+{digits[2:]}" if digits.startswith("00") else digits
    return digits if re.fullmatch(r"\+[1-9][0-9]{6,14}", digits) else None


def sha256(text: str | None) -> str | None:
    """The hash in hexadecimal, None for nothing."""
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def google_email(row: Row) -> str | None:
    """As Google normalises it: for its own mail without dots and what follows a plus."""
    email = row["email"]
    if email is None:
        return None
    name, _, domain = email.rpartition("@")
    if domain in DOTLESS:
        name = name.partition("+")[0].replace(".", "")
    return sha256(f"{name}@{domain}")


def meta_phone(row: Row) -> str | None:
    """As Meta normalises it: digits alone."""
    return sha256(row["phone"].removeprefix("+")) if row["phone"] else None


def first_name(row: Row) -> str | None:
    """What comes before the first blank of a name."""
    return (row["name"] or "").strip().partition(" ")[0] or None


def last_name(row: Row) -> str | None:
    """What comes after it."""
    return (row["name"] or "").strip().partition(" ")[2].strip() or None


def _of(name: str) -> Callable[[Row], Any]:
    return lambda row: row[name]


def _plain(email: str, phone: str, value: str, first: str, last: str) -> Format:
    return Format(
        {
            email: _of("email"),
            phone: _of("phone"),
            first: first_name,
            last: last_name,
            value: _of("value"),
        }
    )


OWN = Format(
    {name: _of(name) for name in ("customer_id", "email", "phone", "name", "value")}, needs=()
)
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "csv": OWN,
        "xlsx": OWN,
        "klaviyo": _plain("Email", "Phone Number", "CVA Value", "First Name", "Last Name"),
        "hubspot": _plain("Email", "Phone Number", "CVA Value", "First Name", "Last Name"),
        "mailchimp": _plain("Email Address", "Phone Number", "CVAVALUE", "First Name", "Last Name"),
        "google-customer-match": Format(
            {"Email": google_email, "Phone": lambda row: sha256(row["phone"])},
            needs=("email", "phone"),
            extras=False,
        ),
        "meta-value": Format(
            {
                "email": lambda row: sha256(row["email"]),
                "phone": meta_phone,
                "value": _of("value"),
            },
            needs=("email", "phone"),
            extras=False,
        ),
    }
)
EXTRAS = ("value_tier", "lifecycle_stage", "rfm_segment")


@dataclass(frozen=True)
class Sheet:
    """The header and rows of a file, and how many customers were left out by reason."""

    header: tuple[str, ...]
    rows: list[list[Any]]
    left_out: Mapping[str, int] = field(default_factory=dict)
