-- One row per customer with a review before as_of_date, and as_of_date: what was written about what was
-- bought. Null where nothing was rated or read.
{{ config(materialized='ephemeral') }}
{%- set components = range(1, 17) %}

with reviews as (
    select * from ({{ cva.at_each_date(ref('cva', 'int_cva__review_scores'), 'review_date') }})
),

components as (select * from {{ ref('cva', 'int_cva__text_components') }}),

aged as (
    select
        reviews.customer_id,
        reviews.as_of_date,
        cast({{ cva.days_between('reviews.review_date', 'reviews.as_of_date') }} as integer)
            as age_days,
        reviews.review_date,
        coalesce(reviews.review_id, '') as review_id,
        coalesce(reviews.text_hash, '') as text_hash,
        reviews.rating,
        reviews.sentiment,
        reviews.token_count
        {%- for k in components %},
        components.text_{{ k }}
        {%- endfor %}
    from reviews
    left join components on reviews.text_hash = components.text_hash
),

final as ({{ cva.review_features('aged', ['customer_id', 'as_of_date']) }})

select * from final
