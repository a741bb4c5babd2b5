-- One row per usable review, with what its text was read as. No text is read here. Where the shop has no rating,
-- rating_predicted is what customers of the other folds taught; it never stands in for a rating.
{{ config(materialized='table') }}

with reviews as (select * from {{ ref('cva', 'int_cva__reviews_valid') }}),

vectors as (select * from {{ cva.text_vectors() }}),

components as (select * from {{ ref('cva', 'int_cva__text_components') }}),

final as (
    select
        reviews.review_id,
        reviews.customer_id,
        reviews.product_id,
        reviews.order_id,
        reviews.review_date,
        reviews.rating,
        case
            when reviews.rating is null
                then case {{ cva.rating_fold('reviews.customer_id') }}
                    {%- for k in range(1, 6) %}
                    when {{ k }} then components.rating_{{ k }}
                    {%- endfor %}
                end
        end as rating_predicted,
        reviews.text_hash,
        vectors.sentiment,
        case
            when reviews.text_hash is null then 'empty'
            else coalesce(vectors.status, 'not_read')
        end as text_status,
        vectors.token_count
    from reviews
    left join vectors on reviews.text_hash = vectors.text_hash
    left join components on reviews.text_hash = components.text_hash
)

select * from final
