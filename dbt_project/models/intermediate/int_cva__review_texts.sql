-- One row per distinct text that is to be read: of usable reviews, each sentence of what waits for service, each
-- sentence of all reviews and what is left of the last ones without it where these are asked for, and what the family
-- `words` reads, with the day on which that was first there to be known.
with reviews as (select * from {{ ref('cva', 'int_cva__reviews_valid') }}),

{%- if cva.is_queue_read() %}

sentences as (select * from {{ ref('cva', 'int_cva__service_sentences') }}),
{%- endif %}

{%- if cva.is_insight_read() %}

review_sentences as (select * from {{ ref('cva', 'int_cva__review_sentences') }}),

phrases as (select * from {{ ref('cva', 'int_cva__aspect_phrases') }}),
{%- endif %}

{%- if cva.is_text_reasoned() %}

removals as (select * from {{ ref('cva', 'int_cva__text_removals') }}),
{%- endif %}

{%- if cva.reads_products() %}

products as (select * from {{ ref('cva', 'int_cva__product_texts') }}),

orders as (select * from {{ ref('cva', 'int_cva__orders_valid') }}),

items as (
    select * from {{ ref('cva', 'stg_cva__order_items') }} where reject_reason is null
),

bought as (
    select items.product_id, min(orders.order_date) as order_date
    from items
    inner join orders on {{ cva.is_of_order('items') }}
    group by items.product_id
),
{%- endif %}

{%- if cva.reads_searches() %}

queries as (select * from {{ ref('cva', 'int_cva__queries') }}),
{%- endif %}

{%- if cva.reads_tickets() %}

tickets as (
    select opened_date, {{ cva.ticket_text() }} as text
    from {{ ref('cva', 'stg_cva__tickets') }}
    where reject_reason is null
),
{%- endif %}

texts as (
    select text_hash, body, cast(null as date) as words_date
    from reviews
    where text_hash is not null
    {%- if cva.is_queue_read() %}
    union all
    select sentence_hash as text_hash, sentence as body, cast(null as date) as words_date
    from sentences
    {%- endif %}
    {%- if cva.is_insight_read() %}
    union all
    select sentence_hash as text_hash, sentence as body, cast(null as date) as words_date
    from review_sentences
    union all
    select phrase_hash as text_hash, phrase as body, cast(null as date) as words_date
    from phrases
    {%- endif %}
    {%- if cva.is_text_reasoned() %}
    union all
    select rest_hash as text_hash, rest as body, cast(null as date) as words_date
    from removals
    where rest_hash is not null
    {%- endif %}
    {%- if cva.reads_products() %}
    union all
    select products.text_hash, products.text as body, bought.order_date as words_date
    from products
    left join bought on products.product_id = bought.product_id
    {%- endif %}
    {%- if cva.reads_searches() %}
    union all
    select text_hash, query as body, known_date as words_date from queries
    {%- endif %}
    {%- if cva.reads_tickets() %}
    union all
    select {{ cva.text_hash('text') }} as text_hash, text as body, opened_date as words_date
    from tickets
    where text is not null
    {%- endif %}
),

final as (
    select text_hash, min(body) as body, min(words_date) as words_date
    from texts
    group by text_hash
)

select * from final
