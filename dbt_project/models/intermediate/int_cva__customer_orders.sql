-- One row per spine customer, as_of_date and order valid on that date. Orders of one day are one
-- purchase occasion: `gap_days` is 0 for the second and later ones, NULL on the first day's first;
-- `day_number` counts the days with an order.
with orders as (
    select * from ({{ cva.at_each_date(ref('cva', 'int_cva__orders_valid'), 'order_date') }})
    where {{ cva.is_valid_on('cancelled_at', 'as_of_date') }}
),

aged as (
    select
        customer_id,
        {{ cva.hash_key('customer_id') }} as hashed_id,
        as_of_date,
        order_date,
        cast({{ cva.days_between('order_date', 'as_of_date') }} as integer) as age_days,
        amount,
        discount_amount
    from orders
),

shared_hashes as (
    select {{ cva.hash_key('customer_id') }} as hashed_id
    from {{ ref('cva', 'int_cva__spine') }}
    group by {{ cva.hash_key('customer_id') }}
    having min(customer_id) <> max(customer_id)
),

-- DuckDB sorts a number in two thirds of the time that an id takes, so a hash tells customers apart,
-- and where two share it, another hash.
keyed as (
    select
        *,
        case
            when hashed_id in (select hashed_id from shared_hashes)
                then {{ cva.hash_key("concat(customer_id, '#')") }}
            else hashed_id
        end as customer_key
    from aged
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
        dense_rank() over customer as day_number
    from keyed
    window customer as (partition by customer_key, as_of_date order by order_date)
)

select * from final
