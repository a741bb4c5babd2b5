-- One row per cohort (month of the first order, acquisition channel, first category) and day up to which money
-- is counted: the ends of its months so far, and the days ahead that customer_value_path looks.
{%- set target = cva.setting('cva_target') %}

with economics as (
    select
        *,
        dense_rank() over (order by first_month, acquisition_channel, first_category) as cohort_number
    from {{ ref('cva', 'customer_economics') }}
    where first_month is not null
),

path as (select * from {{ ref('cva', 'customer_value_path') }}),

growth as (
    select max(dispersion) as dispersion, max(total_deviation) as deviation
    from {{ ref('cva', 'int_cva__value_growth') }}
),

cohorts as (
    select
        cohort_number,
        first_month,
        acquisition_channel,
        first_category,
        as_of_date,
        count(*) as customers_count,
        cast(sum(acquisition_cost) as decimal(28, 4)) as acquisition_cost,
        cast(sum(acquisition_cost) / nullif(count(acquisition_cost), 0) as decimal(28, 4)) as cac
    from economics
    group by all
),

numbers as (
    {{ cva.thousand_numbers() }}
),

ages as (
    select
        cohorts.cohort_number,
        cohorts.first_month,
        cohorts.as_of_date,
        cast(numbers.number as integer) as age_month,
        {{ cva.month_after('cohorts.first_month', '(numbers.number + 1)') }} as next_month
    from cohorts
    inner join numbers
        on
            numbers.number <= {{ cva.months_between(
                'cohorts.first_month', cva.add_days('cohorts.as_of_date', -1)) }}
),

-- A refund before the first order counts with it.
came as (
    select
        economics.cohort_number,
        greatest({{ cva.months_between('economics.first_month', 'months.month') }}, 0) as age_month,
        sum(months.revenue) as revenue,
        sum(months.refund_amount) as refund_amount,
        sum(months.contribution) as margin
    from {{ ref('cva', 'int_cva__customer_months') }} as months
    inner join economics on months.customer_id = economics.customer_id
    group by 1, 2
),

seen as (
    select
        ages.cohort_number,
        ages.age_month,
        cast(null as integer) as days_ahead,
        least({{ cva.add_days('ages.next_month', -1) }}, {{ cva.add_days('ages.as_of_date', -1) }})
            as until_date,
        ages.next_month <= ages.as_of_date as is_complete,
        sum(coalesce(came.revenue, 0)) over cohort as revenue,
        sum(coalesce(came.refund_amount, 0)) over cohort as refund_amount,
        sum(coalesce(came.margin, 0)) over cohort as margin
    from ages
    left join came
        on
            ages.cohort_number = came.cohort_number
            and ages.age_month = came.age_month
    window cohort as (partition by ages.cohort_number order by ages.age_month)
),

predicted as (
    select
        economics.cohort_number,
        path.days,
        cast(sum(cast(path.predicted_value as decimal(28, 6))) as double) as predicted_value,
        {{ cva.total_spread('path.predicted_value') }} as spread
    from path
    inner join economics on path.customer_id = economics.customer_id
    {%- if target not in ('spend', 'margin') %}
    where 1 = 0
    {%- endif %}
    group by economics.cohort_number, path.days
),

ranged as (
    select
        predicted.cohort_number,
        predicted.days,
        predicted.predicted_value,
        {{ cva.total_quantile(-1.281552) }} as predicted_value_p10,
        {{ cva.total_quantile(1.281552) }} as predicted_value_p90
    from predicted
    cross join growth
),

-- What a unit of predicted value leaves as margin: as much as so far.
so_far as (
    select
        cohort_number,
        sum(revenue) as revenue,
        sum(refund_amount) as refund_amount,
        sum(margin) as margin,
        {% if target == 'margin' -%}
        cast(1 as double) as margin_rate
        {%- else -%}
        cast(sum(margin) as double)
        / nullif(cast(sum(revenue{{ ' - refund_amount' if cva.setting('cva_value') == 'net' }}) as double), 0)
            as margin_rate
        {%- endif %}
    from came
    group by cohort_number
),

counted as (
    select
        cohort_number,
        age_month,
        days_ahead,
        until_date,
        is_complete,
        false as is_forecast,
        cast(revenue as decimal(28, 4)) as revenue,
        cast(null as decimal(28, 4)) as revenue_p10,
        cast(null as decimal(28, 4)) as revenue_p90,
        cast(refund_amount as decimal(28, 4)) as refund_amount,
        cast(margin as decimal(28, 4)) as margin,
        cast(null as decimal(28, 4)) as margin_p10,
        cast(null as decimal(28, 4)) as margin_p90
    from seen

    union all

    select
        ranged.cohort_number,
        {{ cva.months_between('cohorts.first_month', cva.add_days('cohorts.as_of_date', 'ranged.days - 1')) }}
            as age_month,
        ranged.days as days_ahead,
        {{ cva.add_days('cohorts.as_of_date', 'ranged.days - 1') }} as until_date,
        false as is_complete,
        true as is_forecast,
        {%- for name in ['', '_p10', '_p90'] %}
        {%- if target == 'margin' %}
        cast(null as decimal(28, 4)) as revenue{{ name }},
        {%- else %}
        cast(so_far.revenue + cast(ranged.predicted_value{{ name }} as decimal(28, 4)) as decimal(28, 4))
            as revenue{{ name }},
        {%- endif %}
        {%- endfor %}
        cast(so_far.refund_amount as decimal(28, 4)) as refund_amount,
        {%- for name in ['', '_p10', '_p90'] %}
        cast(
            so_far.margin + cast(ranged.predicted_value{{ name }} * so_far.margin_rate as decimal(28, 4))
            as decimal(28, 4)
        ) as margin{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from ranged
    inner join cohorts on ranged.cohort_number = cohorts.cohort_number
    inner join so_far on ranged.cohort_number = so_far.cohort_number
),

final as (
    select
        cohorts.first_month,
        cohorts.acquisition_channel,
        cohorts.first_category,
        counted.until_date,
        cohorts.as_of_date,
        counted.age_month,
        counted.days_ahead,
        counted.is_forecast,
        counted.is_complete,
        cohorts.customers_count,
        cohorts.acquisition_cost,
        cohorts.cac,
        counted.revenue,
        counted.revenue_p10,
        counted.revenue_p90,
        counted.refund_amount,
        counted.margin,
        counted.margin_p10,
        counted.margin_p90,
        cast(counted.margin / nullif(cohorts.customers_count, 0) as decimal(28, 4)) as ltv,
        cast(counted.margin_p10 / nullif(cohorts.customers_count, 0) as decimal(28, 4)) as ltv_p10,
        cast(counted.margin_p90 / nullif(cohorts.customers_count, 0) as decimal(28, 4)) as ltv_p90,
        min(
            case when not counted.is_forecast and counted.margin >= cohorts.acquisition_cost then counted.age_month end
        ) over (partition by counted.cohort_number) as payback_month,
        min(
            case when counted.margin >= cohorts.acquisition_cost then counted.age_month end
        ) over (partition by counted.cohort_number) as predicted_payback_month
    from counted
    inner join cohorts on counted.cohort_number = cohorts.cohort_number
)

select * from final
