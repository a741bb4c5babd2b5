{#- Money in other currencies than the shop's: converted by the rate of its day where `exchange_rates` has one,
    else of no use. A shop of one currency gets the SQL that it would get without all this. -#}

{#- Whether rows of a raw table name another currency than the shop's. -#}
{% macro has_other_currency(table) %}
{% if not execute or not cva.has_source_column(table, 'currency') %}{{ return(false) }}{% endif %}
{% set relation = cva.source_relation(table) %}
{% set value = cva.raw_value(table, relation, 'currency') %}
{% set least, most = cva.rows_once('select min(' ~ value ~ '), max(' ~ value ~ ') from ' ~ relation)[0] %}
{#- Most shops name one currency, or none: only else all rows are looked at again. -#}
{% if least is none or table == 'orders' and least == most and not cva.setting('cva_currency') %}
    {{ return(false) }}
{% endif %}
{% set shop = cva.shop_currency() %}
{% if shop is none %}{{ return(false) }}{% endif %}
{{ return(cva.rows_once(
    'select count(*) from ' ~ relation ~ ' where upper(' ~ value ~ ') <> ' ~ cva.upper_literal(shop)
)[0][0] > 0) }}
{% endmacro %}


{% macro upper_literal(text) %}{{ return("upper('" ~ text | replace("'", "''") ~ "')") }}{% endmacro %}


{#- Whether money of a table is converted, or has no rate to be converted by. Orders without rates are judged
    by their currency alone, and items go as their order does. -#}
{% macro is_exchanged(table) %}
{% set has_rates = execute and cva.source_relation('exchange_rates') is not none %}
{% set of_orders = table != 'order_items' or has_rates %}
{{ return(
    (has_rates or table != 'orders')
    and execute and cva.source_relation(table) is not none
    and (cva.has_other_currency(table) or of_orders and cva.has_other_currency('orders'))) }}
{% endmacro %}


{#- Why money that could not be converted is of no use. -#}
{% macro no_rate_reason() -%}
{{- 'exchange_rate_missing' if cva.source_relation('exchange_rates') is not none else 'other_currency' -}}
{% endmacro %}


{#- The case of a row of `in_shop_currency` whose money could not be converted; nothing where none has to be. -#}
{% macro exchange_case(table) -%}
{% if cva.is_exchanged(table) %}when exchange_rate is null then '{{ cva.no_rate_reason() }}'{% endif %}
{%- endmacro %}


{#- One row per currency and day: the last rate on or before the day, at most seven days old. -#}
{% macro daily_rates() -%}
select
        spans.currency,
        {{ cva.add_days('spans.rate_date', 'ages.age') }} as rate_date,
        spans.rate
    from (
        select
            currency,
            rate_date,
            rate,
            lead(rate_date) over (partition by currency order by rate_date) as next_date
        from {{ ref('cva', 'stg_cva__exchange_rates') }}
        where reject_reason is null
    ) as spans
    cross join (
        {%- for age in range(8) %}
        select {{ age }} as age
        {{- ' union all' if not loop.last }}
        {%- endfor %}
    ) as ages
    where
        spans.next_date is null
        or {{ cva.add_days('spans.rate_date', 'ages.age') }} < spans.next_date
{%- endmacro %}


{#- `source_or_empty`, its money in the shop's currency by the rate of the row's day, and `exchange_rate`: NULL
    where there is none. A row without a currency has that of its order, an order without one the shop's; an item
    has the day of its order. -#}
{% macro in_shop_currency(table) %}
{%- set line = cva.raw_tables()[table] -%}
{%- set of_orders = table != 'orders' and 'order_id' in line.columns -%}
{#- dbt has to see these whether or not they are needed. -#}
{%- set rates = cva.daily_rates() -%}
{%- set orders = ref('cva', 'stg_cva__orders') if of_orders -%}
{%- if not cva.is_exchanged(table) -%}
{{ cva.source_or_empty(table) }}
{%- else -%}
select
    {%- for name, spec in cva.staged_columns(table).items() %}
    {%- if spec[0] == 'money' %}
    case
        when known.is_shops or rates.rate is null then known.{{ name }}
        else try_cast(known.{{ name }} * rates.rate as {{ cva.kind_type('money') }})
    end as {{ name }},
    {%- else %}
    known.{{ name }},
    {%- endif %}
    {%- if spec[1] %}
    known.{{ cva.flag_of(name, spec) }},
    {%- endif %}
    {%- endfor %}
    {{ 'known.is_forgotten,' if cva.has_forgotten(table) }}
    case when known.is_shops then 1.0 else rates.rate end as exchange_rate
from (
    select
        paid.*,
        coalesce(upper(paid.paid_currency) = {{ cva.upper_literal(cva.shop_currency()) }}, true) as is_shops
    from (
        {%- if of_orders %}
        {{ cva.with_order_currency(table, orders) }}
        {%- else %}
        select given.*, given.currency as paid_currency, cast(given.{{ line.date }} as date) as paid_date
        from ({{ cva.source_or_empty(table) }}) as given
        {%- endif %}
    ) as paid
) as known
left join (
    {{ rates }}
) as rates
    on upper(known.paid_currency) = rates.currency and known.paid_date = rates.rate_date
{%- endif -%}
{% endmacro %}


{#- Rows that name an order, with the currency they were paid in and the day whose rate counts. Orders of one
    order_id in two currencies give a currency that has no rate. Without rates only orders in another currency
    matter, which are few. -#}
{% macro with_order_currency(table, orders) -%}
{%- set line = cva.raw_tables()[table] -%}
{%- set theirs = "case when min(currency) = max(currency) then min(currency)
                else concat(min(currency), ' or ', max(currency)) end as currency, min(order_date) as order_date" -%}
{%- set condition = 'true' if cva.source_relation('exchange_rates') is not none
    else 'upper(currency) <> ' ~ cva.upper_literal(cva.shop_currency()) -%}
select
            given.*,
            coalesce(given.currency, of_store.currency, of_id.currency) as paid_currency,
            {%- if 'date' in line %}
            cast(given.{{ line.date }} as date) as paid_date
            {%- else %}
            coalesce(of_store.order_date, of_id.order_date) as paid_date
            {%- endif %}
        from ({{ cva.source_or_empty(table) }}) as given
        left join (
            select order_id, store, {{ theirs }}
            from {{ orders }}
            where store is not null and {{ condition }}
            group by order_id, store
        ) as of_store
            on given.order_id = of_store.order_id and given.store = of_store.store
        left join (
            select order_id, {{ theirs }}
            from {{ orders }}
            where {{ condition }}
            group by order_id
        ) as of_id
            on given.order_id = of_id.order_id
{%- endmacro %}


{#- The unit cost of `products` on the day of `orders`, where one of them has its cost in another currency; it
    needs `join_cost_rates` in the same query. Without a rate it is not known. -#}
{% macro unit_cost() %}
{%- if not cva.has_other_currency('products') -%}
products.unit_cost
{%- else -%}
case
            when coalesce(
                upper(products.currency) = {{ cva.upper_literal(cva.shop_currency()) }}, true
            ) then products.unit_cost
            else try_cast(products.unit_cost * cost_rates.rate as {{ cva.kind_type('money') }})
        end as unit_cost
{%- endif -%}
{% endmacro %}


{% macro join_cost_rates() %}
{%- set rates = cva.daily_rates() -%}
{%- if cva.has_other_currency('products') -%}
left join (
        {{ rates }}
    ) as cost_rates
        on upper(products.currency) = cost_rates.currency and orders.order_date = cost_rates.rate_date
{%- endif -%}
{% endmacro %}


{#- One row per customer with an order in another currency that has no rate, and the day of the first. -#}
{% macro paid_otherwise() %}
{%- set orders = ref('cva', 'stg_cva__orders') -%}
{%- if cva.has_other_currency('orders') -%}
select customer_id, min(order_date) as first_order_date
    from {{ orders }}
    where reject_reason in ('other_currency', 'exchange_rate_missing')
    group by customer_id
{%- else -%}
select cast(null as string) as customer_id, cast(null as date) as first_order_date
    from (select 1) as nothing
    where 1 = 0
{%- endif -%}
{% endmacro %}


{#- Refuses rates that are of another currency than the shop's, as far as they tell: a hook of staged rates. -#}
{% macro check_rates(rates) %}
{% if execute and cva.source_relation('exchange_rates') is not none and cva.setting('cva_questions') %}
    {% set shop = cva.shop_currency() %}
    {% set own = run_query(
        'select rate from ' ~ rates ~ ' where reject_reason is null and currency = '
        ~ cva.upper_literal(shop) ~ ' and abs(rate - 1) > 0.001 order by date desc limit 1'
    ).rows if shop is not none else [] %}
    {% if own | length %}
        {% set ones = run_query(
            'select currency from ' ~ rates ~ ' where reject_reason is null group by currency '
            ~ 'having max(abs(rate - 1)) <= 0.001 order by currency limit 1').rows %}
        {% do exceptions.raise_compiler_error(
            'cva asks: exchange_rates has 1 ' ~ shop ~ ' as ' ~ own[0][0] ~ ', and ' ~ shop
            ~ " is the shop's currency; another? --vars '{cva_currency: "
            ~ (ones[0][0] if ones | length else '…') ~ "}', else load the rates as "
            ~ shop ~ ' per unit') %}
    {% endif %}
{% endif %}
{% endmacro %}
