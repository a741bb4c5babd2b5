-- One row per sentence among the first twenty of a distinct review text. E-mail addresses and numbers are masked before
-- it is taken apart, so that no row holds one.
{{ config(materialized='ephemeral') }}
with texts as (
    select distinct text_hash, body
    from {{ ref('cva', 'int_cva__reviews_valid') }}
    where text_hash is not null
),

pieces as (
    select text_hash, {{ cva.exploded(cva.numbered(cva.review_sentences('body'))) }} as item
    from texts
),

sentences as (
    select
        text_hash,
        cast(item.place as integer) as sentence_number,
        {{ cva.review_sentence('item.piece') }} as sentence
    from pieces
),

final as (
    select
        text_hash,
        sentence_number,
        sentence,
        {{ cva.text_hash('sentence') }} as sentence_hash
    from sentences
    where {{ cva.matches('sentence', '[\\p{L}\\p{N}]') }}
)

select * from final
