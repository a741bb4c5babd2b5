-- One row per day, as MetricFlow wants them, from the first order to the last day that clv looks at.
{{ config(enabled=var('cva_semantic_models'), schema='cva', materialized='table') }}

with dates as (select max(as_of_date) as as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

orders as (
    select min(order_date) as first_date from {{ ref('cva', 'int_cva__orders_valid') }}
),

bounds as (
    select
        coalesce(orders.first_date, dates.as_of_date) as first_date,
        {{ cva.add_days('dates.as_of_date', cva.setting('cva_clv_days')) }} as last_date
    from dates
    cross join orders
),

days as (
    select {{ cva.exploded(cva.days_of('first_date', 'last_date')) }} as date_day from bounds
),

final as (select cast(date_day as date) as date_day from days)

select * from final
