-- One row per spine row, every feature of the catalogue: numbers as DOUBLE, categories as VARCHAR.
{{ config(schema=none) }}

{{ cva.join_features() }}
