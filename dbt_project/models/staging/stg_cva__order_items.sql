-- One row per raw order item row.
with source as ({{ cva.in_shop_currency('order_items') }}),

final as (
    select
        order_id,
        product_id,
        quantity,
        unit_price,
        line_id,
        store,
        case
            {{ cva.reject_cases('order_items') }}
            {{ cva.exchange_case('order_items') }}
            when coalesce(quantity, 1) <= 0 then 'quantity_not_positive'
            when quantity > 1e9 then 'quantity_too_large'
        end as reject_reason
    from source
)

select * from final
