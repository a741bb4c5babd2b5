-- One row per customer who bought something with a vector before as_of_date, and as_of_date: how broad their taste
-- is, where it goes, whether they look around where they bought. Lengths and angles of means of vectors come from
-- the cosines of pairs of products, each worked out once: vectors of a thousand numbers are never added up. Of each
-- part the 10 products of last are looked at, so that no customer has more than 30.
{{ config(materialized='ephemeral') }}
{%- set kinds, parts, most = cva.taste_kinds(), ['recent', 'earlier', 'browsed'], 10 %}
{%- set is_browsed = cva.has_source_column('events', 'product_id') %}
{%- set products = ['recent_recent', 'earlier_earlier', 'recent_earlier', 'browsed_browsed', 'browsed_recent',
    'browsed_earlier'] %}
{%- if not kinds %}

select
    cast(null as string) as customer_id,
    cast(null as date) as as_of_date
    {%- for kind in ['text', 'image'] %},
    cast(null as double) as {{ kind }}_taste_breadth,
    cast(null as double) as {{ kind }}_taste_drift,
    cast(null as double) as {{ kind }}_browsed_similarity
    {%- endfor %}
from (select 1) as nothing
where 1 = 0
{%- else %}

with orders as (
    select * from ({{ cva.at_each_date(ref('cva', 'int_cva__orders_valid'), 'order_date') }}) as orders
    where {{ cva.is_valid_on('cancelled_at', 'as_of_date') }}
),

items as (
    select * from {{ ref('cva', 'stg_cva__order_items') }} where reject_reason is null
),

{#- Without the vectors: what is read twice is written out. #}
kinds as (
    {%- for kind in kinds %}
    {{ 'union all' if not loop.first }}
    select
        product_id,
        '{{ kind }}' as kind,
        vector_key
    from ({{ cva.product_vectors(kind)['keys'] }}) as given
    {%- endfor %}
),

products as (
    select product_id, {{ cva.hash_key('product_id') }} as product_key
    from (select distinct product_id from kinds) as ids
),

bought as (
    select
        orders.customer_id,
        orders.as_of_date,
        products.product_id,
        case
            when orders.order_date >= {{ cva.add_days('orders.as_of_date', -180) }} then 'recent'
            else 'earlier'
        end as part,
        count(distinct orders.order_date) as days_count,
        max(orders.order_date) as last_date
    from orders
    inner join items on {{ cva.is_of_order('items') }}
    inner join products on items.product_id = products.product_id
    group by 1, 2, 3, 4
),
{%- if is_browsed %}

days as (
    select *
    from {{ cva.days_of_persons('events') }} as days
    where reject_reason is null
),

dates as (select distinct as_of_date from {{ ref('cva', 'int_cva__as_of_dates') }}),

named as (
    {{ cva.named_visitors() }}
),

buyers as (select distinct customer_id, as_of_date from bought),

browsed as (
    select
        buyers.customer_id,
        buyers.as_of_date,
        products.product_id,
        'browsed' as part,
        count(*) as days_count,
        max(owned.event_date) as last_date
    from ({{ cva.owned_by_customers('days') }}) as owned
    inner join products on owned.product_key = products.product_key
    inner join buyers
        on owned.owner_id = buyers.customer_id and owned.as_of_date = buyers.as_of_date
    group by 1, 2, 3
),
{%- endif %}

seen as (
    select * from bought
    {%- if is_browsed %}
    union all
    select * from browsed
    {%- endif %}
),

ranked as (
    select
        seen.customer_id,
        seen.as_of_date,
        seen.product_id,
        seen.part,
        seen.days_count,
        kinds.kind,
        kinds.vector_key,
        row_number() over (
            partition by seen.customer_id, seen.as_of_date, kinds.kind, seen.part
            order by seen.last_date desc, seen.product_id
        ) as place
    from seen
    inner join kinds on seen.product_id = kinds.product_id
),

kept as (select * from ranked where place <= {{ most }}),

-- Numbers from 1 on stand for products, in the order of their ids.
used as (
    select
        kind,
        product_id,
        vector_key,
        row_number() over (partition by kind order by product_id) as product
    from (select distinct kind, product_id, vector_key from kept) as ids
),

-- A product counts with the days on which it was bought, or looked at.
weights as (
    select
        kept.customer_id,
        kept.as_of_date,
        kept.kind,
        used.product
        {%- for part in parts %},
        cast(sum(case when kept.part = '{{ part }}' then kept.days_count else 0 end) as double)
            as {{ part }}
        {%- endfor %}
    from kept
    inner join used on kept.kind = used.kind and kept.product_id = used.product_id
    group by kept.customer_id, kept.as_of_date, kept.kind, used.product
),

pairs as (
    select
        one.customer_id,
        one.as_of_date,
        one.kind,
        one.product,
        other.product as other_product
        {%- for name in products %}
        {%- set part, with_part = name.split('_') %},
        case
            when one.product = other.product then one.{{ part }} * one.{{ with_part }}
            else one.{{ part }} * other.{{ with_part }} + one.{{ with_part }} * other.{{ part }}
        end as {{ name }}
        {%- endfor %}
    from weights as one
    inner join weights as other
        on
            one.customer_id = other.customer_id
            and one.as_of_date = other.as_of_date
            and one.kind = other.kind
            and one.product <= other.product
),

distinct_pairs as (
    select distinct kind, product, other_product from pairs where product < other_product
),

{#- All directions in one value, which is not copied for each pair, as a join does. #}
cosines as (
    {%- for kind in kinds %}
    {{ 'union all' if not loop.first }}
    select
        distinct_pairs.kind,
        distinct_pairs.product,
        distinct_pairs.other_product,
        {{ cva.inner_product(
            cva.list_item('every.direction', 'distinct_pairs.product'),
            cva.list_item('every.direction', 'distinct_pairs.other_product')) }} as cosine
    from distinct_pairs
    cross join (
        select {{ cva.ordered_list(cva.divided('vector', 'length'), 'product') }} as direction
        from (
            select
                used.product,
                given.vector,
                {{ cva.vector_length('given.vector') }} as length
            from ({{ cva.product_vectors(kind)['vectors'] }}) as given
            inner join used on given.vector_key = used.vector_key and used.kind = '{{ kind }}'
        ) as lengths
    ) as every
    where distinct_pairs.kind = '{{ kind }}'
    {%- endfor %}
),

-- Inner products of the sums of directions of two parts.
sums as (
    select
        pairs.customer_id,
        pairs.as_of_date,
        pairs.kind
        {%- for name in products %}
        {%- set term = 'pairs.' ~ name ~ ' * coalesce(cosines.cosine, 1)' %},
        cast({{ cva.rounded_sum(term, 5) }} as double) as {{ name }}
        {%- endfor %}
    from pairs
    left join cosines
        on
            pairs.kind = cosines.kind
            and pairs.product = cosines.product
            and pairs.other_product = cosines.other_product
    group by pairs.customer_id, pairs.as_of_date, pairs.kind
),

counts as (
    select customer_id, as_of_date, kind, sum(recent + earlier) as bought_count
    from weights
    group by customer_id, as_of_date, kind
    having sum(recent + earlier) > 0
),

measured as (
    select
        sums.customer_id,
        sums.as_of_date,
        sums.kind,
        counts.bought_count,
        sums.recent_recent,
        sums.recent_earlier,
        sums.earlier_earlier,
        sums.browsed_browsed,
        sums.browsed_recent + sums.browsed_earlier as browsed_bought,
        greatest(0, sums.recent_recent + 2 * sums.recent_earlier + sums.earlier_earlier)
            as bought_bought
    from sums
    inner join counts
        on
            sums.customer_id = counts.customer_id
            and sums.as_of_date = counts.as_of_date
            and sums.kind = counts.kind
),

tastes as (
    select
        customer_id,
        as_of_date,
        kind,
        1 - least(1, sqrt(bought_bought) / nullif(bought_count, 0)) as taste_breadth,
        1 - {{ cva.cosine_of('recent_earlier', 'recent_recent', 'earlier_earlier') }} as taste_drift,
        {{ cva.cosine_of('browsed_bought', 'browsed_browsed', 'bought_bought') }}
            as browsed_similarity
    from measured
),

final as (
    select
        customer_id,
        as_of_date
        {%- for kind in ['text', 'image'] %}
        {%- for name in ['taste_breadth', 'taste_drift', 'browsed_similarity'] %},
        round(max(case when kind = '{{ kind }}' then {{ name }} end), 5) as {{ kind }}_{{ name }}
        {%- endfor %}
        {%- endfor %}
    from tastes
    group by customer_id, as_of_date
)

select * from final
{%- endif %}
