-- One row per distinct text that is to be read: of usable reviews, and each sentence of what waits for service.
with reviews as (select * from {{ ref('cva', 'int_cva__reviews_valid') }}),

{%- if cva.is_queue_read() %}

sentences as (select * from {{ ref('cva', 'int_cva__service_sentences') }}),
{%- endif %}

final as (
    select text_hash, min(body) as body
    from reviews
    where text_hash is not null
    group by text_hash
    {%- if cva.is_queue_read() %}
    union
    select sentence_hash as text_hash, sentence as body from sentences
    {%- endif %}
)

select * from final
