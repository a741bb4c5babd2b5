-- One row per text that was ever read, while the encoder stays the same; a text that is there is not
-- read again, with --full-refresh neither, and one whose review is gone stays. It holds the only
-- reading of texts; with `cva_udfs: false` it is what `cva embed` wrote before.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    full_refresh=false,
    pre_hook=["{{ cva.limit_memory() }}", "{{ cva.forget_other_encoders() }}"],
    post_hook=[
        {"sql": "{{ cva.restore_memory() }}", "transaction": false},
        {"sql": "{{ cva.forget_the_journal() }}", "transaction": false}
    ]
) }}

{%- if not cva.is_text_read() %}
select
    cast(null as string) as text_hash,
    cast(null as string) as encoder_key,
    cast(null as {{ cva.vector_type() }}) as embedding,
    cast(null as double) as sentiment,
    cast(null as string) as status,
    cast(null as integer) as token_count
from (select 1) as nothing
where 1 = 0
{%- elif not cva.setting('cva_udfs') %}
{{- cva.require_filled(this, 'cva embed') }}
select * from {{ this }} {% if is_incremental() %}where 1 = 0{% endif %}
{%- else %}
with texts as (
    select * from {{ ref('cva', 'int_cva__review_texts') }} as texts
    {%- if is_incremental() %}
    where
        not exists (
            select 1 from {{ this }} as stored where stored.text_hash = texts.text_hash
        )
    {%- endif %}
),

size as (select count(*) as text_count from texts),

readings as (
    select texts.text_hash, cva_read_text(texts.body, size.text_count) as reading
    from texts
    cross join size
),

final as (
    select
        text_hash,
        cva_encoder_key() as encoder_key,
        reading.embedding as embedding,
        reading.sentiment as sentiment,
        reading.status as status,
        reading.token_count as token_count
    from readings
)

select * from final
{%- endif %}
