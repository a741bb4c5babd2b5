-- One row per text among the last five of some customer, and sentence that can be taken out of it.
{{ config(materialized='ephemeral') }}
with reviews as (
    select * from ({{ cva.at_each_date(ref('cva', 'int_cva__reviews_valid'), 'review_date') }})
    where text_hash is not null
),

sentences as (select * from {{ ref('cva', 'int_cva__review_sentences') }}),

placed as (select text_hash, body, {{ cva.text_place() }} as text_place from reviews),

texts as (
    select distinct text_hash, body from placed where text_place <= {{ cva.reasoned_texts() }}
),

removals as (
    select
        texts.text_hash,
        sentences.sentence_number,
        sentences.sentence,
        {{ cva.text_without('texts.body', 'sentences.sentence') }} as rest
    from texts
    inner join sentences on texts.text_hash = sentences.text_hash
    where {{ cva.has_part('texts.body', 'sentences.sentence') }}
),

final as (
    select
        text_hash,
        sentence_number,
        sentence,
        rest,
        {{ cva.text_hash('rest') }} as rest_hash
    from removals
)

select * from final
