-- One row per month of first orders and month of age, up to as_of_date: a month in which nobody of the cohort
-- ordered has its row too. Revenue adds up to that of all valid orders.
with months as (
    select
        customer_months.customer_id,
        customer_months.month,
        customer_months.orders_count,
        customer_months.revenue,
        dates.as_of_date
    from {{ ref('cva', 'int_cva__customer_months') }} as customer_months
    cross join {{ ref('cva', 'int_cva__as_of_dates') }} as dates
    where customer_months.orders_count > 0
),

customers as (
    select
        customer_id,
        as_of_date,
        min(month) as first_month
    from months
    group by customer_id, as_of_date
),

cohorts as (
    select first_month, as_of_date, count(*) as customers_count
    from customers
    group by first_month, as_of_date
),

numbers as (
    {{ cva.thousand_numbers() }}
),

ages as (
    select
        cohorts.*,
        cast(numbers.number as integer) as age_month
    from cohorts
    inner join numbers
        on
            numbers.number <= {{ cva.months_between(
                'cohorts.first_month', cva.add_days('cohorts.as_of_date', -1)) }}
),

bought as (
    select
        customers.first_month,
        {{ cva.months_between('customers.first_month', 'months.month') }} as age_month,
        count(*) as buyers_count,
        cast(sum(months.orders_count) as bigint) as orders_count,
        sum(months.revenue) as revenue
    from months
    inner join customers on months.customer_id = customers.customer_id
    group by 1, 2
),

filled as (
    select
        ages.first_month,
        ages.as_of_date,
        ages.age_month,
        {{ cva.month_after('ages.first_month', 'ages.age_month') }} as month,
        {{ cva.month_after('ages.first_month', '(ages.age_month + 1)') }} <= ages.as_of_date as is_complete,
        ages.customers_count,
        coalesce(bought.buyers_count, 0) as buyers_count,
        coalesce(bought.orders_count, 0) as orders_count,
        coalesce(bought.revenue, 0) as revenue,
        sum(coalesce(bought.revenue, 0)) over (
            partition by ages.first_month order by ages.age_month
        ) as cumulative_revenue
    from ages
    left join bought
        on
            ages.first_month = bought.first_month
            and ages.age_month = bought.age_month
),

final as (
    select
        first_month,
        age_month,
        month,
        as_of_date,
        is_complete,
        customers_count,
        buyers_count,
        buyers_count / cast(customers_count as double) as retention_rate,
        orders_count,
        cast(revenue as decimal(28, 4)) as revenue,
        cast(cumulative_revenue as decimal(28, 4)) as cumulative_revenue,
        cast(cumulative_revenue / nullif(customers_count, 0) as decimal(28, 4))
            as cumulative_revenue_per_customer
    from filled
)

select * from final
