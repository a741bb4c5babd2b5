{#- What the marts of economics share: facts in money by day, months, and totals with an interval. -#}

{#- Whether the shop says what the items of its orders cost. -#}
{% macro has_item_costs() %}
{{ return(
    cva.has_source_column('products', 'unit_cost') and cva.has_source_column('order_items', 'product_id')) }}
{% endmacro %}


{#- Whether the shop says what winning customers costs. -#}
{% macro has_acquisition_costs() %}
{{ return(cva.has_source_column('acquisition_costs', 'cost')) }}
{% endmacro %}


{#- One row per valid order, and per refund, before as_of_date: customer_id, day, revenue, margin, refund_amount,
    orders_count. An order whose items have no known cost keeps the share of the others where those are half
    of revenue, else `cva_margin`; a refund takes that share of itself off the margin. -#}
{% macro economic_facts() %}
{%- set money = 'decimal(18, 4)' -%}
with orders as (
        select * from ({{ cva.at_each_date(ref('cva', 'int_cva__order_margins'), 'order_date') }})
        where {{ cva.is_valid_on('cancelled_at', 'as_of_date') }}
    ),

    rates as (
        {%- if cva.has_item_costs() %}
        select
            case
                when 2 * sum(case when is_cost_known then amount else 0 end) >= sum(amount)
                    then cast(
                        sum(case when is_cost_known then margin end)
                        / nullif(sum(case when is_cost_known then amount end), 0) as double
                    )
                else cast({{ cva.setting('cva_margin') }} as double)
            end as margin_rate
        from orders
        {%- else %}
        select cast({{ cva.setting('cva_margin') }} as double) as margin_rate
        {%- endif %}
    )

    select
        orders.customer_id,
        orders.order_date as day,
        orders.amount as revenue,
        case
            when orders.is_cost_known then orders.margin
            else cast(orders.amount * rates.margin_rate as {{ money }})
        end as margin,
        cast(0 as {{ money }}) as refund_amount,
        1 as orders_count
    from orders
    cross join rates
    union all
    select
        refunds.customer_id,
        refunds.return_date as day,
        cast(0 as {{ money }}) as revenue,
        cast(-refunds.refund_amount * rates.margin_rate as {{ money }}) as margin,
        refunds.refund_amount,
        0 as orders_count
    from ({{ cva.at_each_date(ref('cva', 'int_cva__refunds'), 'return_date') }}) as refunds
    cross join rates
{%- endmacro %}


{#- The first day of a date's month. -#}
{% macro month_of(date) -%}
cast({{ dbt.date_trunc('month', date) }} as date)
{%- endmacro %}


{#- Calendar months from one date to a later one; 0 within a month. -#}
{% macro months_between(from_date, to_date) -%}
cast((year({{ to_date }}) - year({{ from_date }})) * 12 + month({{ to_date }}) - month({{ from_date }}) as integer)
{%- endmacro %}


{#- The first day of the month that is so many after a month's first day: the mean length of a month leads to
    the middle of it, give or take two days. -#}
{% macro month_after(first_day, months) -%}
{{ cva.month_of(cva.add_days(first_day, 'floor(30.436875 * ' ~ months ~ ') + 15')) }}
{%- endmacro %}


{#- The whole numbers from 0 to 999, as a query: months since 1970, for longer than anyone plans. -#}
{% macro thousand_numbers() -%}
{%- for place in ['ones', 'tens', 'hundreds'] -%}
{%- if loop.first %}select ones.digit + 10 * tens.digit + 100 * hundreds.digit as number
    from{% else %}
    cross join{% endif %} (
        {%- for digit in range(10) %}
        select {{ digit }} as digit{{ ' union all' if not loop.last }}
        {%- endfor %}
    ) as {{ place }}
{%- endfor -%}
{%- endmacro %}


{#- A quantile of a total, as `cva_totals` has it, over `predicted_value`, `spread` (the sum of the customers'
    mean^1.5), `dispersion` and `deviation`; `z` is the standard normal's. 0 of nothing; NULL without the
    deployed model's spread. -#}
{% macro total_quantile(z) -%}
{%- set variance = cva.total_log_variance() -%}
case
            when predicted_value = 0 then predicted_value
            else predicted_value * exp({{ z }} * sqrt({{ variance }}) - ({{ variance }}) / 2)
        end
{%- endmacro %}


{#- CTEs `channels` and `monthly_costs`: per month and channel what winning customers cost before as_of_date.
    A cost without a channel, and each in a shop that knows no customer's channel, is the month's: its
    channel is NULL. Over `customers` with acquisition_channel and first_month, and the CTE `costs`. -#}
{% macro monthly_acquisition_costs(customers) -%}
channels as (
    select count(acquisition_channel) > 0 as are_known
    from {{ customers }}
    where first_month is not null
),

monthly_costs as (
    select
        {{ cva.month_of('costs.cost_date') }} as month,
        case when channels.are_known then lower(costs.channel) end as channel,
        sum(cast(costs.cost as decimal(28, 4))) as cost
    from costs
    cross join {{ ref('cva', 'int_cva__as_of_dates') }} as dates
    cross join channels
    where costs.cost_date < dates.as_of_date
    group by 1, 2
)
{%- endmacro %}


{#- The share of the n-th of so many customers in a cost: what the first n cost less what those before did, so
    that shares add up to the cost, whatever the rounding. -#}
{% macro cost_share(cost, place, customers) -%}
case
                when {{ place }} = {{ customers }} then {{ cost }}
                else cast({{ cost }} * ({{ place }} / cast({{ customers }} as double)) as decimal(28, 4))
            end - cast({{ cost }} * (({{ place }} - 1) / cast({{ customers }} as double)) as decimal(28, 4))
{%- endmacro %}
