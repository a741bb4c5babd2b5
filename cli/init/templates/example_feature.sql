-- One row per spine row: an example of a feature of your own. To use it,
--   1. take the line with `enabled` away,
--   2. add this to the vars of `cva` in dbt_project.yml:
--        cva_feature_catalog_extra:
--          - {name: weekend_order_rate, model: example_feature, label: "share of orders at weekends"}
--      (also: kind: category for text, unit, direction: 1 or -1, is_model_input: false),
--   3. see that it does not look past as_of_date: cva check-features,
--   4. cva train
{{ config(enabled=false) }}

with spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

final as (
    select
        spine.customer_id,
        spine.as_of_date,
        avg(case when isodow(orders.order_date) >= 6 then 1 else 0 end) as weekend_order_rate
    from spine
    inner join orders
        on
            spine.customer_id = orders.customer_id
            -- The line that keeps the future out: training looks from many past dates.
            and orders.order_date < spine.as_of_date
    group by spine.customer_id, spine.as_of_date
)

select * from final
