-- One row per feature: the catalogue macro as a table.
{{ config(schema='cva', post_hook="{{ cva.say_unlearned() }}") }}

with final as (
    {%- for feature in cva.features_on() %}
    select
        cast('{{ feature.name }}' as string) as feature,
        cast('{{ feature.family | replace("'", "''") }}' as string) as family,
        cast('{{ feature.reason_family | replace("'", "''") }}' as string) as reason_family,
        cast('{{ feature.kind | replace("'", "''") }}' as string) as kind,
        cast('{{ feature.unit | replace("'", "''") }}' as string) as unit,
        cast({{ feature.direction }} as integer) as direction,
        cast({{ "'" ~ feature.by_itself ~ "'" if feature.by_itself else 'null' }} as string) as by_itself,
        cast('{{ feature.label | replace("'", "''") }}' as string) as label,
        cast('{{ feature.label_zh | replace("'", "''") }}' as string) as label_zh,
        cast('{{ feature.description | replace("'", "''") }}' as string) as description,
        {%- for language in cva.reason_words() %}
        {%- for case in cva.reason_cases() %}
        cast('{{ cva.reason_template(feature, language, case) | replace("'", "''") }}' as string)
            as {{ cva.template_column(language, case) }},
        {%- endfor %}
        {%- endfor %}
        cast({{ 'true' if feature.is_model_input else 'false' }} as boolean) as is_model_input,
        cast({{ 'true' if feature.is_reason else 'false' }} as boolean) as is_reason,
        cast({{ 'true' if feature.is_base else 'false' }} as boolean) as is_base
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select * from final
