-- One row per distinct sentence of a text of int_cva__service_queue, of the first that it has. E-mail addresses
-- and numbers are masked before it is taken apart, so that no row holds one.
{{ config(materialized='ephemeral') }}
with texts as (
    select distinct text from {{ ref('cva', 'int_cva__service_queue') }} where text is not null
),

pieces as (
    select
        {{ cva.text_hash('text') }} as text_hash,
        {{ cva.exploded(cva.service_sentences('text')) }} as piece
    from texts
),

final as (
    select distinct
        text_hash,
        {{ cva.trimmed('piece') }} as sentence,
        {{ cva.text_hash(cva.trimmed('piece')) }} as sentence_hash
    from pieces
    where {{ cva.matches('piece', '[\\p{L}\\p{N}]') }}
)

select * from final
