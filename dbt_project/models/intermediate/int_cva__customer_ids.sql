-- One row per raw customer id, with the id of the person whose it is. Who has the same customer key is one
-- person, and so are the ids that customer_merges joins. A person's id is where merges lead, else the one
-- seen first, so that a later account renames nobody. Empty where neither is given.
{{ config(materialized='table', post_hook="{{ cva.say_identity(this) }}") }}
{{ cva.check_customer_key() }}
{%- set merges = ref('cva', 'stg_cva__customer_merges') %}
{%- if not cva.is_identified() %}

select cast(null as string) as raw_id, cast(null as string) as customer_id
from (select 1) as nothing
where 1 = 0
{%- else %}

with recursive seen as (
    {%- for table in cva.tables_of_people() if cva.raw_tables()[table].role != 'outcomes' %}
    {%- set line = cva.raw_tables()[table] %}
    {{ 'union all' if not loop.first }}
    select person_id, key_id, {{ line.get('date') or 'least(' ~ line.since | join(', ') ~ ')' }} as seen_at
    from ({{ cva.rows_with_keys(table) }}) as rows_of_{{ table }}
    where person_id is not null
    {%- endfor %}
),

merges as (select * from {{ merges }} where reject_reason is null),

people as (
    select person_id, key_id, min(seen_at) as seen_at from seen group by person_id, key_id
),

same as (
    select person_id as a, key_id as b from people where key_id <> person_id
    union
    select from_customer_id as a, to_customer_id as b from merges
),

{#- Both ways, as each end may know the other's label first. -#}
pairs as (
    select a, b from same
    union all
    select b as a, a as b from same
),

{{ cva.least_connected('labels', 'pairs') }},

ids as (
    select ids.id, min(ids.seen_at) as seen_at
    from (
        select person_id as id, seen_at from people
        union all
        select from_customer_id as id, cast(null as timestamp) as seen_at from merges
        union all
        select to_customer_id as id, cast(null as timestamp) as seen_at from merges
    ) as ids
    group by ids.id
),

final as (
    select
        ids.id as raw_id,
        first_value(ids.id) over (
            partition by coalesce(labels.label, ids.id)
            order by
                case
                    when left_behind.from_customer_id is not null then 3
                    when ends.to_customer_id is not null then 0
                    when ids.id like 'key-%' then 2
                    else 1
                end,
                ids.seen_at nulls last,
                ids.id
        ) as customer_id
    from ids
    left join labels on ids.id = labels.node
    left join merges as left_behind on ids.id = left_behind.from_customer_id
    left join (select distinct to_customer_id from merges) as ends
        on ids.id = ends.to_customer_id
)

select * from final
{%- endif %}
