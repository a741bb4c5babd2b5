-- One row per acquisition channel: what its customers cost, brought and are expected to bring. Its acquisition
-- costs add up to all that were paid, those of months in which it won nobody among them.
{%- set has_costs = cva.has_acquisition_costs() %}

with customers as (select * from {{ ref('cva', 'customer_economics') }} where first_month is not null),

cohorts as (
    select * from {{ ref('cva', 'cohort_economics') }} where not is_forecast
),

value as (select * from {{ ref('cva', 'customer_value') }}),

growth as (
    select max(dispersion) as dispersion, max(total_deviation) as deviation
    from {{ ref('cva', 'int_cva__value_growth') }}
),

costs as (select * from {{ ref('cva', 'stg_cva__acquisition_costs') }} where reject_reason is null),

sums as (
    select
        customers.acquisition_channel,
        count(*) as customers_count,
        count(customers.acquisition_cost) as costed_customers_count,
        sum(customers.acquisition_cost) as customers_cost,
        sum(customers.revenue) as revenue,
        sum(customers.refund_amount) as refund_amount,
        sum(customers.contribution) as margin,
        cast(sum(cast(value.predicted_value as decimal(28, 6))) as double) as predicted_value,
        {{ cva.total_spread('value.predicted_value') }} as spread,
        cast(sum(cast(value.clv as decimal(28, 6))) as double) as clv
    from customers
    inner join value on customers.customer_id = value.customer_id
    group by customers.acquisition_channel
),

{%- if has_costs %}

{{ cva.monthly_acquisition_costs('customers') }},

-- What no customer has a share of.
unshared as (
    select monthly_costs.channel as acquisition_channel, sum(monthly_costs.cost) as cost
    from monthly_costs
    left join (
        select first_month, acquisition_channel from customers
        group by first_month, acquisition_channel
    ) as won
        on
            monthly_costs.month = won.first_month
            and (
                monthly_costs.channel is null
                or monthly_costs.channel = won.acquisition_channel
            )
    where won.first_month is null
    group by monthly_costs.channel
),
{%- else %}

unshared as (
    select cast(null as string) as acquisition_channel, cast(null as decimal(28, 4)) as cost
    from (select 1) as nothing
    where 1 = 0
),
{%- endif %}

together as (
    select * from sums
    union all
    select
        acquisition_channel,
        0 as customers_count,
        0 as costed_customers_count,
        cost as customers_cost,
        0 as revenue,
        0 as refund_amount,
        0 as margin,
        0 as predicted_value,
        0 as spread,
        0 as clv
    from unshared
),

channel as (
    select
        acquisition_channel,
        sum(customers_count) as customers_count,
        sum(costed_customers_count) as costed_customers_count,
        sum(customers_cost) as acquisition_cost,
        sum(revenue) as revenue,
        sum(refund_amount) as refund_amount,
        sum(margin) as margin,
        max(predicted_value) as predicted_value,
        max(spread) as spread,
        max(clv) as clv
    from together
    group by acquisition_channel
),

costed as (
    select
        *,
        cast(acquisition_cost / nullif(costed_customers_count, 0) as decimal(28, 4)) as cac
    from channel
),

-- What the cohorts that have lived a month of age through earned in it.
earned as (
    select
        acquisition_channel,
        age_month,
        customers_count,
        margin - coalesce(
            lag(margin) over (
                partition by first_month, acquisition_channel, first_category order by age_month
            ),
            0
        ) as margin,
        is_complete
    from cohorts
),

months as (
    select
        acquisition_channel,
        age_month,
        cast(sum(margin) / nullif(sum(customers_count), 0) as decimal(28, 8)) as margin_per_customer
    from earned
    where is_complete
    group by acquisition_channel, age_month
),

curves as (
    select
        acquisition_channel,
        age_month,
        sum(margin_per_customer) over (
            partition by acquisition_channel order by age_month
        ) as ltv
    from months
),

aged as (
    select
        costed.acquisition_channel,
        max(case when curves.age_month = 2 then curves.ltv end) as ltv_3_months,
        max(case when curves.age_month = 5 then curves.ltv end) as ltv_6_months,
        max(case when curves.age_month = 11 then curves.ltv end) as ltv_12_months,
        max(case when curves.age_month = 23 then curves.ltv end) as ltv_24_months,
        min(case when curves.ltv >= costed.cac then curves.age_month end) as payback_month
    from costed
    inner join curves
        on costed.acquisition_channel is not distinct from curves.acquisition_channel
    group by costed.acquisition_channel
),

dates as (select max(as_of_date) as as_of_date from value),

final as (
    select
        costed.acquisition_channel,
        dates.as_of_date,
        cast(costed.customers_count as bigint) as customers_count,
        cast(costed.acquisition_cost as decimal(28, 4)) as acquisition_cost,
        costed.cac,
        cast(costed.revenue as decimal(28, 4)) as revenue,
        cast(costed.refund_amount as decimal(28, 4)) as refund_amount,
        cast(costed.margin as decimal(28, 4)) as margin,
        cast(costed.margin - costed.acquisition_cost as decimal(28, 4)) as profit,
        cast(costed.margin / nullif(costed.customers_count, 0) as decimal(28, 4)) as ltv,
        cast(aged.ltv_3_months as decimal(28, 4)) as ltv_3_months,
        cast(aged.ltv_6_months as decimal(28, 4)) as ltv_6_months,
        cast(aged.ltv_12_months as decimal(28, 4)) as ltv_12_months,
        cast(aged.ltv_24_months as decimal(28, 4)) as ltv_24_months,
        cast(aged.payback_month as integer) as payback_month,
        costed.predicted_value,
        {{ cva.total_quantile(-1.281552) }} as predicted_value_p10,
        {{ cva.total_quantile(1.281552) }} as predicted_value_p90,
        costed.clv,
        cast(costed.clv / nullif(costed.customers_count, 0) as double) as clv_per_customer
    from costed
    cross join growth
    cross join dates
    left join aged
        on costed.acquisition_channel is not distinct from aged.acquisition_channel
)

select * from final
