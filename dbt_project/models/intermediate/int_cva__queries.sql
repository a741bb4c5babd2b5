-- One row per text that at least two people searched for, from the day on which the second did: what only one
-- ever typed may say more of them than of the shop, and most of what is typed is typed once. Bots are left out.
{{ config(materialized='table') }}
{%- if not cva.reads_searches() %}
select
    cast(null as string) as text_hash,
    cast(null as string) as query,
    cast(null as date) as known_date
from (select 1) as nothing
where 1 = 0
{%- else %}
with searches as (select * from {{ ref('cva', 'int_cva__searches') }}),

people as (
    select
        query,
        case when customer_id is null then visitor_id else concat('customer ', customer_id) end as searcher,
        min(event_date) as first_date
    from searches
    group by 1, 2
),

ranked as (
    select
        *,
        row_number() over (partition by query order by first_date, searcher) as place
    from people
),

final as (
    select
        {{ cva.text_hash('query') }} as text_hash,
        query,
        first_date as known_date
    from ranked
    where place = 2
)

select * from final
{%- endif %}
