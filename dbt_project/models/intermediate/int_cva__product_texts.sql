-- One row per product that was ever bought, or looked at, and says in words what it is: a shop may list a million
-- that nobody ever saw. The description comes last, as the encoder cuts long texts.
{{ config(materialized='ephemeral') }}
{%- set columns = cva.product_text_columns() %}
{%- if not cva.has_product_texts() %}
select
    cast(null as string) as product_id,
    cast(null as string) as text,
    cast(null as string) as text_hash
from (select 1) as nothing
where 1 = 0
{%- else %}
with bought as (
    select distinct product_id from {{ ref('cva', 'stg_cva__order_items') }} where reject_reason is null
),

viewed as (
    select distinct product_key
    from {{ ref('cva', 'int_cva__browse_days') }}
    where reject_reason is null and product_key is not null
),

products as (
    select *
    from {{ ref('cva', 'stg_cva__products') }}
    where
        reject_reason is null
        {#- One that comes with a vector of the user's own has nothing to be read. #}
        {%- if cva.has_source_column('products', 'text_vector') %}
        and text_vector is null
        {%- endif %}
        and coalesce({{ columns | join(', ') }}) is not null
        and (
            product_id in (select product_id from bought)
            or {{ cva.hash_key('product_id') }} in (select product_key from viewed)
        )
),

worded as (
    select
        product_id,
        concat_ws(
            '. '{% for name in columns %}, substring({{ name }}, 1, 20000){% endfor %}
        ) as text
    from products
),

final as (
    select
        product_id,
        text,
        {{ cva.text_hash('text') }} as text_hash
    from worded
)

select * from final
{%- endif %}
