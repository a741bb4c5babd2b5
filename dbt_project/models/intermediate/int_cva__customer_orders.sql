-- One row per spine customer, as_of_date and order valid on that date. Orders of one day are one
-- purchase occasion: `gap_days` is 0 for the second and later ones, NULL on the first day's first.
with orders as (
    select * from ({{ cva.at_each_date(ref('cva', 'int_cva__orders_valid'), 'order_date') }})
    where cancelled_at is null or cancelled_at >= cast(as_of_date as timestamp)
),

aged as (
    select
        customer_id,
        as_of_date,
        order_date,
        {{ cva.days_between('order_date', 'as_of_date') }} as age_days,
        amount,
        discount_amount
    from orders
),

final as (
    select
        customer_id,
        as_of_date,
        order_date,
        age_days,
        amount,
        discount_amount,
        lag(age_days) over customer - age_days as gap_days,
        first_value(age_days) over customer as t_days
    from aged
    window customer as (partition by customer_id, as_of_date order by order_date)
)

select * from final
