-- One row per raw campaign; of several with one id the one that starts first is used.
{{ cva.staged('campaigns') }}
