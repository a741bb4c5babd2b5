-- One row per usable review, with what its text was read as. No text is read here.
{{ config(materialized='table') }}

with reviews as (select * from {{ ref('cva', 'int_cva__reviews_valid') }}),

vectors as (select * from {{ cva.text_vectors() }}),

final as (
    select
        reviews.review_id,
        reviews.customer_id,
        reviews.product_id,
        reviews.order_id,
        reviews.review_date,
        reviews.rating,
        reviews.text_hash,
        vectors.sentiment,
        case
            when reviews.text_hash is null then 'empty'
            else coalesce(vectors.status, 'not_read')
        end as text_status,
        vectors.token_count
    from reviews
    left join vectors on reviews.text_hash = vectors.text_hash
)

select * from final
