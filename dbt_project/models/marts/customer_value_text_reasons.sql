-- One row per text or sentence of a customer's last five reviews that moves their prediction: by how much, found by
-- leaving it out and predicting again. Who is not profiled has none.
{%- if not cva.is_text_reasoned() %}
select
    cast(null as string) as customer_id,
    cast(null as date) as as_of_date,
    cast(null as string) as level,
    cast(null as integer) as reason_rank,
    cast(null as string) as review_id,
    cast(null as date) as review_date,
    cast(null as integer) as sentence_number,
    cast(null as string) as sentence,
    cast(null as double) as predicted_value,
    cast(null as double) as predicted_value_without,
    cast(null as double) as value_change,
    cast(null as double) as family_attribution,
    cast(null as double) as family_rest
from (select 1) as nothing
where 1 = 0
{%- else %}
with others as (select * from {{ ref('cva', 'int_cva__text_reason_scores') }}),

reviews as (
    select *, {{ cva.text_place() }} as text_place
    from ({{ cva.at_each_date(ref('cva', 'int_cva__review_scores'), 'review_date') }})
),

sentences as (select * from {{ ref('cva', 'int_cva__review_sentences') }}),

customer_values as (select * from {{ ref('cva', 'customer_value') }}),

families as (
    select customer_id, as_of_date, max(family_attribution) as family_attribution
    from {{ ref('cva', 'customer_value_explain') }}
    where family = 'reviews'
    group by customer_id, as_of_date
),

changes as (
    select
        others.customer_id,
        others.as_of_date,
        others.text_place,
        others.sentence_number,
        case when others.sentence_number = 0 then 'review' else 'sentence' end as level,
        customer_values.predicted_value,
        others.predicted_value as predicted_value_without,
        customer_values.predicted_value - others.predicted_value as value_change
    from others
    inner join customer_values
        on
            others.customer_id = customer_values.customer_id
            and others.as_of_date = customer_values.as_of_date
    where {{ cva.is_profiled('customer_values.') }}
),

told as (
    select
        customer_id,
        as_of_date,
        cast({{ cva.rounded_sum('value_change', 6) }} as double) as told_change
    from changes
    where level = 'review'
    group by customer_id, as_of_date
),

placed as (
    select
        *,
        row_number() over (
            partition by customer_id, as_of_date, level
            order by abs(value_change) desc, text_place, sentence_number
        ) as reason_rank
    from changes
    where round(value_change, 6) <> 0
),

final as (
    select
        placed.customer_id,
        placed.as_of_date,
        placed.level,
        cast(placed.reason_rank as integer) as reason_rank,
        reviews.review_id,
        reviews.review_date,
        nullif(placed.sentence_number, 0) as sentence_number,
        {{ cva.shortened_sentence('sentences.sentence') }} as sentence,
        placed.predicted_value,
        placed.predicted_value_without,
        placed.value_change,
        families.family_attribution,
        families.family_attribution - told.told_change as family_rest
    from placed
    inner join reviews
        on
            placed.customer_id = reviews.customer_id
            and placed.as_of_date = reviews.as_of_date
            and placed.text_place = reviews.text_place
    inner join told
        on
            placed.customer_id = told.customer_id
            and placed.as_of_date = told.as_of_date
    left join sentences
        on
            reviews.text_hash = sentences.text_hash
            and placed.sentence_number = sentences.sentence_number
    left join families
        on
            placed.customer_id = families.customer_id
            and placed.as_of_date = families.as_of_date
)

select * from final
{%- endif %}
