-- One row per raw product row; of several with one id the first by content is used.
with source as ({{ cva.source_or_empty('products') }}),

numbered as (
    select
        *,
        row_number() over (
            partition by product_id order by category, name, unit_cost
        ) as occurrence
    from source
),

final as (
    select
        product_id,
        category,
        unit_cost,
        case
            when product_id is null then 'product_id_missing'
            when occurrence > 1 then 'duplicate_product_id'
        end as reject_reason
    from numbered
)

select * from final
