-- One row per spine row with an order: its last eight days with an order, the newest first. It is read
-- where `cva_use_sequences` is on.
{{ config(materialized='ephemeral') }}

with days as (
    select
        customer_id,
        as_of_date,
        age_days,
        sum(amount) as amount
    from {{ ref('cva', 'int_cva__customer_orders') }}
    group by customer_id, as_of_date, age_days
),

placed as (
    select
        *,
        row_number() over (partition by customer_id, as_of_date order by age_days) as place
    from days
),

final as (
    select
        customer_id,
        as_of_date
        {%- for k in range(1, 9) %},
        max(case when place = {{ k }} then age_days end) as order_day_{{ k }}_age,
        max(case when place = {{ k }} then amount end) as order_day_{{ k }}_amount
        {%- endfor %}
    from placed
    where place <= 8
    group by customer_id, as_of_date
)

select * from final
