-- One row per text: its vector in the few directions that the deployed value model reads, those of reviews and
-- those of `words`; and for a review without a rating what it would have been rated, by each fold of customers. It
-- holds the only calls of the projections; with `cva_udfs: false` it is what `cva embed` wrote before.
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
    {%- for k in range(1, 6) %},
    cast(null as double) as rating_{{ k }}
    {%- endfor %}
from (select 1) as nothing
where 1 = 0
{%- elif not cva.setting('cva_udfs') %}
{{- cva.require_filled(this, 'cva embed', 'rating_1') }}
select * from {{ this }}
{%- else %}
with vectors as (select text_hash, embedding, sentiment from {{ cva.text_vectors() }}),

unrated as (
    select text_hash, min(body) as body
    from {{ ref('cva', 'int_cva__reviews_valid') }}
    where rating is null and text_hash is not null
    group by text_hash
),

projected as (
    select
        vectors.text_hash,
        cva_project(vectors.embedding) as components,
        cva_project_words(vectors.embedding) as words,
        {{ cva.rated_text() }} as ratings
    from vectors
    left join unrated on vectors.text_hash = unrated.text_hash
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
        {%- for k in range(1, 6) %},
        cast({{ cva.list_item('ratings', k) }} as double) as rating_{{ k }}
        {%- endfor %}
    from projected
)

select * from final
{%- endif %}
