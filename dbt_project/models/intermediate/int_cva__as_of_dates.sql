-- One row per date to look from and length of what is looked at: the scoring date alone, or the past
-- dates that `cva train` asks for, with the label each needs.
{{ config(materialized='table', post_hook="{{ cva.say_doubted_date() }}") }}

with newest as (select newest_date from {{ ref('cva', 'int_cva__newest_order_day') }}),

final as (
    {%- if cva.setting('cva_spine') == 'training' %}
    {%- for date, label_days in cva.setting('cva_training_dates') %}
    select
        cast('{{ date }}' as date) as as_of_date,
        cast({{ label_days }} as integer) as label_days
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
    {%- elif cva.setting('cva_as_of') %}
    select
        cast('{{ cva.setting("cva_as_of") }}' as date) as as_of_date,
        cast({{ cva.setting('cva_horizon_days') }} as integer) as label_days
    {%- else %}
    select
        coalesce(
            {{ cva.add_days('newest_date', 1) }}, cast({{ cva.now() }} as date)
        ) as as_of_date,
        cast({{ cva.setting('cva_horizon_days') }} as integer) as label_days
    from newest
    {%- endif %}
)

select * from final
