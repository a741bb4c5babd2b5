-- One row per text: its vector in the few directions that the deployed value model reads, those of reviews and
-- those of `words`. It holds the only calls of the projection; with `cva_udfs: false` it is what `cva embed` wrote
-- before.
{{ config(materialized='table') }}

{%- if not cva.is_text_read() %}
select
    cast(null as string) as text_hash
    {%- for k in range(1, 17) %},
    cast(null as double) as text_{{ k }}
    {%- endfor %}
    {%- for k in range(1, 9) %},
    cast(null as double) as word_{{ k }}
    {%- endfor %}
from (select 1) as nothing
where 1 = 0
{%- elif not cva.setting('cva_udfs') %}
{{- cva.require_filled(this, 'cva embed', 'word_1') }}
select * from {{ this }}
{%- else %}
with vectors as (select text_hash, embedding from {{ cva.text_vectors() }}),

projected as (
    select
        text_hash,
        cva_project(embedding) as components,
        cva_project_words(embedding) as words
    from vectors
),

final as (
    select
        text_hash
        {%- for k in range(1, 17) %},
        cast({{ cva.list_item('components', k) }} as double) as text_{{ k }}
        {%- endfor %}
        {%- for k in range(1, 9) %},
        cast({{ cva.list_item('words', k) }} as double) as word_{{ k }}
        {%- endfor %}
    from projected
)

select * from final
{%- endif %}
