-- One row per table that `cva run` publishes: those whose yml says `meta: {cva: {published: true}}`.
{{ config(schema='cva') }}

with final as (
    {%- for mart in cva.published_marts() %}
    select
        cast('{{ mart.schema | replace("'", "''") }}' as string) as schema_name,
        cast('{{ mart.name | replace("'", "''") }}' as string) as table_name,
        cast({{ 'true' if mart.is_own else 'false' }} as boolean) as is_own,
        cast({{ 'true' if mart.only_with_rows else 'false' }} as boolean) as only_with_rows,
        cast('{{ mart.question | replace("'", "''") }}' as string) as question
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select * from final
