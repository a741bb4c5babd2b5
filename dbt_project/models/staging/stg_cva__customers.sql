-- One row per raw customer row; a customer may have several, told apart by valid_from.
{{ cva.staged('customers') }}
