-- One row per customer who bought, searched or asked before as_of_date, and as_of_date: the texts of that as decayed
-- means of their components, those of products weighted by spend. A mean is the same when all is as much older, so
-- ages count from the newest. Sums are over rounded terms: the same bytes in any row order and thread count.
{{ config(materialized='ephemeral') }}
{%- set kinds = ['bought', 'searched', 'asked'] %}
{%- set parts = range(1, 9) %}
{%- if not cva.reads_words() %}
select
    cast(null as string) as customer_id,
    cast(null as date) as as_of_date,
    {%- for kind in kinds %}
    {%- for k in parts %}
    cast(null as double) as {{ kind }}_{{ k }},
    {%- endfor %}
    {%- endfor %}
    cast(null as bigint) as searches_count,
    cast(null as bigint) as tickets_count
from (select 1) as nothing
where 1 = 0
{%- else %}
{%- set is_priced = cva.has_source_column('order_items', 'unit_price') %}

with components as (select * from {{ ref('cva', 'int_cva__text_components') }}),
{%- if cva.has_product_texts() %}

products as (select * from {{ ref('cva', 'int_cva__product_texts') }}),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

items as (
    select * from {{ ref('cva', 'stg_cva__order_items') }} where reject_reason is null
),

{#- Without prices each piece weighs the same. The bound keeps hostile numbers out of the sums. #}
lines as (
    select
        orders.customer_id,
        orders.order_date,
        orders.cancelled_at,
        products.text_hash,
        least(1e9, greatest(0,
            cast(coalesce(items.quantity, 1) as double)
            * {{ 'cast(coalesce(items.unit_price, 0) as double)' if is_priced else '1' }}
        )) as weight
    from orders
    inner join items on {{ cva.is_of_order('items') }}
    inner join products on items.product_id = products.product_id
),

day_sums as (
    select
        lines.customer_id,
        lines.order_date as happened_date,
        lines.cancelled_at,
        cast({{ cva.rounded_sum('lines.weight', 6) }} as double) as weight
        {%- for k in parts %},
        cast({{ cva.rounded_sum('lines.weight * components.word_' ~ k, 6) }} as double) as part_{{ k }}
        {%- endfor %}
    from lines
    inner join components on lines.text_hash = components.text_hash
    where components.word_1 is not null
    group by lines.customer_id, lines.order_date, lines.cancelled_at
),

bought_days as (
    select
        customer_id,
        happened_date,
        cancelled_at,
        least(1e9, weight) as weight
        {%- for k in parts %},
        part_{{ k }} / nullif(weight, 0) * least(1e9, weight) as part_{{ k }}
        {%- endfor %}
    from day_sums
),
{%- endif %}
{%- if cva.has_ticket_texts() %}

tickets as (
    select
        customer_id,
        opened_date as happened_date,
        {{ cva.text_hash(cva.ticket_text()) }} as text_hash
    from {{ ref('cva', 'stg_cva__tickets') }}
    where reject_reason is null
),
{%- endif %}
{%- if cva.has_searches() %}

days as (
    select * from {{ cva.days_of_persons('events') }} as days where reject_reason is null
),

dates as (select distinct as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

queries as (select * from {{ ref('cva', 'int_cva__queries') }}),

searches as (
    select * from {{ cva.days_of_persons('events', ref('cva', 'int_cva__searches')) }} as searches
),

named as (
    {{ cva.named_visitors() }}
),

owned as (
    select
        of_customers.owner_id as customer_id,
        of_customers.as_of_date,
        of_customers.event_date as happened_date,
        case when queries.known_date < of_customers.as_of_date then queries.text_hash end as text_hash
    from ({{ cva.owned_by_customers('searches') }}) as of_customers
    left join queries on of_customers.query = queries.query
),
{%- endif %}
{%- if cva.has_ticket_texts() or cva.has_searches() %}

said as (
    {%- if cva.has_ticket_texts() %}
    select 'asked' as kind, customer_id, as_of_date, happened_date, text_hash
    from ({{ cva.at_each_date('tickets', 'happened_date') }}) as asked
    {%- endif %}
    {%- if cva.has_searches() %}
    {{ 'union all' if cva.has_ticket_texts() }}
    select 'searched' as kind, customer_id, as_of_date, happened_date, text_hash from owned
    {%- endif %}
),
{%- endif %}

happened as (
    {%- if cva.has_product_texts() %}
    select
        'bought' as kind,
        customer_id,
        as_of_date,
        happened_date,
        weight
        {%- for k in parts %},
        part_{{ k }}
        {%- endfor %}
    from ({{ cva.at_each_date('bought_days', 'happened_date') }}) as bought
    where {{ cva.is_valid_on('cancelled_at', 'as_of_date') }}
    {%- endif %}
    {%- if cva.has_ticket_texts() or cva.has_searches() %}
    {{ 'union all' if cva.has_product_texts() }}
    select
        said.kind,
        said.customer_id,
        said.as_of_date,
        said.happened_date,
        case when components.word_1 is not null then 1e0 end as weight
        {%- for k in parts %},
        components.word_{{ k }} as part_{{ k }}
        {%- endfor %}
    from said
    left join components on said.text_hash = components.text_hash
    {%- endif %}
),

aged as (
    select
        *,
        exp(-{{ cva.days_between(
            'happened_date',
            'max(happened_date) over (partition by customer_id, as_of_date, kind)'
        ) }} / 180e0) as decay
    from happened
),

sums as (
    select
        customer_id,
        as_of_date
        {%- for kind in kinds %},
        sum(case when kind = '{{ kind }}' then 1 else 0 end) as {{ kind }}_count,
        cast({{ cva.rounded_sum("case when kind = '" ~ kind ~ "' then decay * weight end", 6) }} as double)
            as {{ kind }}_weight
        {%- for k in parts %},
        cast({{ cva.rounded_sum("case when kind = '" ~ kind ~ "' then decay * part_" ~ k ~ ' end', 6) }} as double)
            as {{ kind }}_{{ k }}
        {%- endfor %}
        {%- endfor %}
    from aged
    group by customer_id, as_of_date
),

final as (
    select
        customer_id,
        as_of_date,
        {%- for kind in kinds %}
        {%- for k in parts %}
        {{ kind }}_{{ k }} / nullif({{ kind }}_weight, 0) as {{ kind }}_{{ k }},
        {%- endfor %}
        {%- endfor %}
        searched_count as searches_count,
        asked_count as tickets_count
    from sums
)

select * from final
{%- endif %}
