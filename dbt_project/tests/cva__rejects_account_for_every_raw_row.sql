-- Per raw table: what was counted as raw is what the user's table holds, and raw = used + not used.
{{ config(enabled=var('cva_spine') == 'scoring') }}

with rejects as (select * from {{ ref('cva', 'cva_rejects') }}),

counted as (
    select
        table_name,
        sum(row_count) as rejected_row_count,
        min(raw_row_count) as raw_row_count,
        max(raw_row_count) as largest_raw_row_count,
        min(valid_row_count) as valid_row_count,
        max(valid_row_count) as largest_valid_row_count
    from rejects
    group by table_name
),

held as (
    {%- for table in cva.raw_tables() %}
    {%- set relation = cva.source_relation(table) if execute else none %}
    select
        '{{ table }}' as table_name,
        {% if relation is none %}0{% else %}(select count(*) from {{ relation }}){% endif %}
            as held_row_count
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select held.table_name, held.held_row_count, counted.*
from held
left join counted on held.table_name = counted.table_name
where
    not coalesce(
        counted.raw_row_count = held.held_row_count
        and counted.largest_raw_row_count = counted.raw_row_count
        and counted.largest_valid_row_count = counted.valid_row_count
        and counted.raw_row_count = counted.valid_row_count + counted.rejected_row_count
        and counted.valid_row_count >= 0,
        false
    )
