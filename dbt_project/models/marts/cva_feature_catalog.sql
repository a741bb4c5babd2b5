-- One row per feature: the catalogue macro as a table.
{{ config(schema='cva') }}

with final as (
    {%- for feature in cva.features_on() %}
    select
        cast('{{ feature.name }}' as varchar) as feature,
        cast('{{ feature.family }}' as varchar) as family,
        cast('{{ feature.reason_family }}' as varchar) as reason_family,
        cast('{{ feature.kind }}' as varchar) as kind,
        cast('{{ feature.unit }}' as varchar) as unit,
        cast({{ feature.direction }} as integer) as direction,
        cast('{{ feature.label | replace("'", "''") }}' as varchar) as label,
        cast({{ 'true' if feature.is_model_input else 'false' }} as boolean) as is_model_input
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select * from final
