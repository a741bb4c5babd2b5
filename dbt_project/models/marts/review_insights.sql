-- One row per sentence of a review before as_of_date, of its first twenty. What it is about is told once per distinct
-- sentence, by its vector beside those of phrases; ties go to the first aspect by name.
{%- if not cva.is_insight_read() %}
select
    cast(null as string) as review_id,
    cast(null as string) as customer_id,
    cast(null as string) as product_id,
    cast(null as date) as as_of_date,
    cast(null as timestamp) as reviewed_at,
    cast(null as double) as rating,
    cast(null as string) as text_hash,
    cast(null as integer) as sentence_number,
    cast(null as string) as sentence,
    cast(null as double) as sentiment,
    cast(null as string) as aspect,
    cast(null as double) as confidence
from (select 1) as nothing
where 1 = 0
{%- else %}
with reviews as (
    select * from ({{ cva.at_each_date(ref('cva', 'int_cva__reviews_valid'), 'review_date') }})
),

sentences as (select * from {{ ref('cva', 'int_cva__review_sentences') }}),

phrases as (select * from {{ ref('cva', 'int_cva__aspect_phrases') }}),

vectors as (select * from {{ cva.text_vectors() }}),

meanings as (
    select phrases.aspect, phrases.phrase_hash, vectors.embedding
    from phrases
    inner join vectors on phrases.phrase_hash = vectors.text_hash
    where vectors.embedding is not null
),

pairs as (
    select round(cast({{ cva.inner_product('one.embedding', 'other.embedding') }} as double), 6) as cosine
    from meanings as one
    inner join meanings as other on one.phrase_hash < other.phrase_hash
    where one.aspect = '{{ cva.no_aspect() }}' and other.aspect = '{{ cva.no_aspect() }}'
),

moments as (
    select
        count(*) as pairs_count,
        {{ cva.rounded_sum('cosine', 6) }} as cosine_sum,
        {{ cva.rounded_sum('cosine * cosine', 9) }} as square_sum
    from pairs
),

scale as (
    select
        greatest(
            round(sqrt(greatest(
                cast(square_sum as double) / pairs_count
                - power(cast(cosine_sum as double) / pairs_count, 2), 0
            )) / {{ cva.aspect_spread() }}, 2), 0.01
        ) as spread_rate
    from moments
),

spoken as (
    select vectors.text_hash as sentence_hash, said.sentence, vectors.embedding
    from (select distinct sentence_hash, sentence from sentences) as said
    inner join vectors on said.sentence_hash = vectors.text_hash
    where vectors.embedding is not null and vectors.status <> 'unknown_script'
),

similarities as (
    select
        spoken.sentence_hash,
        spoken.sentence,
        meanings.aspect,
        {{ cva.largest(
            'round(cast(' ~ cva.inner_product('spoken.embedding', 'meanings.embedding') ~ ' as double), 6)', 3
        ) }} as nearest
    from spoken
    cross join meanings
    group by spoken.sentence_hash, spoken.sentence, meanings.aspect
),

scored as (
    select
        similarities.sentence_hash,
        similarities.aspect,
        {{ cva.aspect_nearness('scale.spread_rate') }} as nearness
    from similarities
    cross join scale
),

placed as (
    select
        *,
        row_number() over (
            partition by sentence_hash order by nearness desc nulls last, aspect
        ) as place,
        max(nearness) over (partition by sentence_hash) as largest_nearness
    from scored
),

told as (
    select
        sentence_hash,
        max(case when place = 1 and aspect <> '{{ cva.no_aspect() }}' then aspect end) as aspect,
        1 / {{ cva.rounded_sum('exp((nearness - largest_nearness) / ' ~ cva.aspect_width() ~ ')', 9) }}
            as confidence
    from placed
    where nearness is not null
    group by sentence_hash
),

final as (
    select
        reviews.review_id,
        reviews.customer_id,
        reviews.product_id,
        reviews.as_of_date,
        reviews.reviewed_at,
        reviews.rating,
        reviews.text_hash,
        sentences.sentence_number,
        {{ cva.shortened_sentence('sentences.sentence') }} as sentence,
        cast(vectors.sentiment as double) as sentiment,
        told.aspect,
        cast(told.confidence as double) as confidence
    from reviews
    inner join sentences on reviews.text_hash = sentences.text_hash
    left join vectors on sentences.sentence_hash = vectors.text_hash
    left join told on sentences.sentence_hash = told.sentence_hash
)

select * from final
{%- endif %}
