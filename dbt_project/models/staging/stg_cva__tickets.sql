-- One row per raw ticket row; of several rows of a ticket the one changed last is used. Its texts are
-- never published whole.
{{ cva.staged('tickets') }}
