-- One row per raw product row; of several with one id the first by content is used.
{{ cva.staged('products') }}
