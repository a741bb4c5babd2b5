-- One row per customer seen in any source before as_of_date, and as_of_date. A customer without any
-- date is taken as known when scoring; for a past date nobody can tell, so training leaves them out.
{{ config(materialized='table') }}

with dates as (
    select distinct as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}
),

sightings as (
    select customer_id, min(order_date) as seen_date, false as is_undated
    from {{ ref('cva', 'stg_cva__orders') }}
    where customer_id is not null and ordered_at <= {{ cva.now() }}
    group by customer_id
    {%- for table in cva.sighting_tables() %}
    {%- set line = cva.raw_tables()[table] %}
    union all
    {%- if line.role == 'people' %}
    select
        customer_id,
        -- The latest of them: a version that starts later was not there to be seen.
        cast(greatest({{ line.since | join(', ') }}) as date) as seen_date,
        {{ line.since | join(' is null and ') }} is null as is_undated
    from {{ ref('cva', 'stg_cva__' ~ table) }}
    where reject_reason is null
    {%- elif line.daily %}
    select person_id as customer_id, min(event_date) as seen_date, false as is_undated
    from {{ cva.days_of_persons(table) }} as days
    where person_id is not null and reject_reason is null
    group by person_id
    {%- else %}
    {#- A customer whom the row does not name is found after staging; else staging is enough, and a row
        that is there twice is seen as early once. #}
    {%- set is_named = line.columns.customer_id[1] or 'valid' not in line %}
    select customer_id, cast(min({{ line.date }}) as date) as seen_date, false as is_undated
    from {{ ref('cva', 'stg_cva__' ~ table if is_named else line.valid[0]) }}
    where customer_id is not null{{ ' and reject_reason is null' if is_named else '' }}
    group by customer_id
    {%- endif %}
    {%- endfor %}
),

customers as (
    select
        customer_id,
        min(seen_date) as first_seen_date,
        max(case when is_undated then 1 else 0 end) as is_undated
    from sightings
    group by customer_id
),

candidates as (
    select
        customers.customer_id,
        dates.as_of_date,
        case
            when customers.first_seen_date < dates.as_of_date then customers.first_seen_date
        end as first_seen_date
    from customers
    cross join dates
    where
        customers.first_seen_date < dates.as_of_date
        {%- if cva.setting('cva_spine') == 'scoring' %}
        or customers.is_undated = 1
        {%- endif %}
),

{%- if cva.setting('cva_spine') == 'training' %}

size as (select count(*) as candidate_rows from candidates),

opted_out as (
    {{ cva.opted_out() }}
),

final as (
    select candidates.*
    from candidates
    cross join size
    left join opted_out on candidates.customer_id = opted_out.customer_id
    where
        opted_out.customer_id is null
        and {{ cva.hash_fraction('candidates.customer_id') }}
        < {{ cva.setting('cva_training_max_rows') }} / cast(size.candidate_rows as double)
)
{%- else %}

final as (select * from candidates)
{%- endif %}

select * from final
