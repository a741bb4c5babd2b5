"""Superset for the tests alone: whoever reaches it on loopback may do all."""

import os

SECRET_KEY = os.environ["CVA_BI_SECRET"]
PREVENT_UNSAFE_DB_CONNECTIONS = False  # a DuckDB file counts as unsafe
AUTH_ROLE_PUBLIC = "Admin"
TALISMAN_ENABLED = False
WTF_CSRF_ENABLED = False
