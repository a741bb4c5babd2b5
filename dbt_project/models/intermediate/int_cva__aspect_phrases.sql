-- One row per phrase that says what an aspect is, or is about none. It is read like any text.
{{ config(materialized='ephemeral') }}
with phrases as (
    {%- for name, line in cva.aspects().items() %}
    {%- for phrase in line.phrases %}
    select
        '{{ name | replace("'", "''") }}' as aspect,
        '{{ phrase | replace("'", "''") }}' as phrase
    union all
    {%- endfor %}
    {%- endfor %}
    {%- for phrase in cva.no_aspect_phrases() %}
    select
        '{{ cva.no_aspect() }}' as aspect,
        '{{ phrase }}' as phrase
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

final as (
    select distinct
        aspect,
        {{ cva.trimmed('phrase') }} as phrase,
        {{ cva.text_hash(cva.trimmed('phrase')) }} as phrase_hash
    from phrases
)

select * from final
