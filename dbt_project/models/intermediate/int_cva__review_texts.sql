-- One row per distinct text of a usable review.
with reviews as (select * from {{ ref('cva', 'int_cva__reviews_valid') }}),

final as (
    select text_hash, min(body) as body
    from reviews
    where text_hash is not null
    group by text_hash
)

select * from final
