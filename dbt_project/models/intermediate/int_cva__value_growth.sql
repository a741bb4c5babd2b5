-- One row per group of customers and number of days: what becomes of a value within the horizon over
-- those days, by the deployed model; none where it does not say. It holds the only call of the
-- model's growth; with `cva_udfs: false` it is what `cva score` wrote before.
{{ config(materialized='table') }}

{%- if cva.setting('cva_udfs') %}
with growth as (
    select
        cva_value_growth(
            {{ dbt.array_construct(cva.growth_days()) }},
            {{ cva.setting('cva_clv_days') }},
            cast({{ cva.setting('cva_discount_rate') }} as double)
        ) as found
),

items as (select {{ cva.exploded('found') }} as item from growth),

final as (
    select
        item.frequency_from as frequency_from,
        item.frequency_to as frequency_to,
        item.age_from as age_from,
        item.age_to as age_to,
        item.days as days,
        item.value_factor as value_factor,
        item.probability_factor as probability_factor,
        item.clv_factor as clv_factor,
        item.total_deviation as total_deviation,
        item.dispersion as dispersion
    from items
)

select * from final
{%- else %}
{{- cva.require_filled(this, "cva score") }}
select * from {{ this }}
{%- endif %}
