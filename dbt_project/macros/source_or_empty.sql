{#- The user's relation for a raw table, or none; one of a family that is off is not looked at. -#}
{% macro source_relation(table) %}
{% if cva.raw_tables()[table].get('family') in cva.setting('cva_families_off') %}
    {{ return(none) }}
{% endif %}
{% set schema, identifier = cva.source_name(table) %}
{{ return(adapter.get_relation(
    database=cva.setting('cva_raw_database') or target.database, schema=schema, identifier=identifier
)) }}
{% endmacro %}


{#- Schema and name of the user's table, as the vars say. -#}
{% macro source_name(table) %}
{% set identifier = 'cva_' ~ table ~ '_identifier' %}
{% set schema = cva.checked_name(var('cva_raw_schema'), 'cva_raw_schema') %}
{% set name = cva.checked_name(var(identifier, table), identifier) %}
{{ return((schema, name)) }}
{% endmacro %}


{#- Canonical column -> expression over the raw table, of those that are there. -#}
{% macro raw_expressions(table, relation) %}
{% set mapped = var('cva_' ~ table ~ '_columns', {}) %}
{% set line, present, expressions = cva.raw_tables()[table], cva.present_columns(relation), {} %}
{% for name in line.columns %}
    {% if name in mapped %}
        {% do expressions.update({name: cva.checked_expression(
            mapped[name], 'cva_' ~ table ~ '_columns.' ~ name)}) %}
    {% elif name in present %}
        {% do expressions.update({name: present[name]}) %}
    {% elif line.get('aliases', {}).get(name) in present %}
        {% do expressions.update({name: present[line.aliases[name]]}) %}
    {% endif %}
{% endfor %}
{{ return(expressions) }}
{% endmacro %}


{#- A canonical column of a raw table, in its type and the shop's zone. -#}
{% macro raw_value(table, relation, name) %}
{% set expression = '(' ~ cva.raw_expressions(table, relation)[name] ~ ')' %}
{% set type = cva.query_columns('select ' ~ expression ~ ' as value from ' ~ relation)['value'] %}
{{ return('(' ~ cva.cast_kind(expression, cva.raw_tables()[table].columns[name][0], type) ~ ')') }}
{% endmacro %}


{#- Orders as `in_shop_currency` gives them, their amount being what `cva_spend` says. Parts that a row has
    not count as 0 in it; an order without an amount stays without. -#}
{% macro orders_with_spend() %}
{%- set spend = cva.checked_expression(var('cva_spend'), 'cva_spend') -%}
{%- if spend | trim == 'amount' -%}
{{ cva.in_shop_currency('orders') }}
{%- else -%}
{%- set columns = cva.staged_columns('orders') -%}
select
    {%- for name, spec in columns.items() %}
    {%- if name != 'amount' %}
    {{ name }},
    {%- endif %}
    {%- if spec[1] %}
    {{ cva.flag_of(name, spec) }},
    {%- endif %}
    {%- endfor %}
    {{ 'is_forgotten,' if cva.has_forgotten('orders') }}
    {{ 'exchange_rate,' if cva.is_exchanged('orders') }}
    cast((
        {{ spend }}
    ) as decimal(18, 4)) as amount
from (
    select
        {%- for name, spec in columns.items() %}
        {{ 'coalesce(' ~ name ~ ', 0) as ' ~ name if spec[0] == 'money' and not spec[1] else name }},
        {%- if spec[1] %}
        {{ cva.flag_of(name, spec) }},
        {%- endif %}
        {%- endfor %}
        {{ 'is_forgotten,' if cva.has_forgotten('orders') }}
        {{ 'exchange_rate' if cva.is_exchanged('orders') else '1 as one' }}
    from ({{ cva.in_shop_currency('orders') }}) as given
) as counted
{%- endif -%}
{% endmacro %}


{#- Whether the customer 0 is nobody, see `is_zero_nobody_query`. -#}
{% macro is_zero_nobody() %}
{% set relation = cva.source_relation('orders') if execute else none %}
{% if relation is none or 'customer_id' not in cva.raw_expressions('orders', relation) %}
    {{ return(false) }}
{% endif %}
{% set ids = '(select ' ~ cva.raw_value('orders', relation, 'customer_id') ~ ' as id from ' ~ relation ~ ')' %}
{#- Most shops have no customer 0: only then all of them are counted. -#}
{% if cva.rows_once('select count(*) from ' ~ ids ~ " as ids where id = '0'")[0][0] < 2 %}
    {{ return(false) }}
{% endif %}
{{ return(cva.rows_once(cva.is_zero_nobody_query(ids ~ ' as ids'))[0][0]) }}
{% endmacro %}


{#- Whether the user's table has a canonical column; taken as yes where nobody can be asked. -#}
{% macro has_source_column(table, name) %}
{% if not execute %}{{ return(true) }}{% endif %}
{% set relation = cva.source_relation(table) %}
{% if relation is none %}{{ return(false) }}{% endif %}
{{ return(name in cva.raw_expressions(table, relation)) }}
{% endmacro %}


{#- Whether an id is NULL or blank, from the raw text where there is one: its cast is not needed for that. -#}
{% macro is_id_missing(expression, from_type) -%}
{%- if from_type | upper in ('VARCHAR', 'STRING') -%}
({{ cva.trimmed(expression) }}) is null
{%- else -%}
({{ cva.cast_kind(expression, 'id', from_type) }}) is null
{%- endif -%}
{%- endmacro %}


{#- The column beside a required one that says what is wrong with it: an id is missing, others unreadable. -#}
{% macro flag_of(name, spec) -%}
is_{{ name }}_{{ 'missing' if spec[0] in ('id', 'person') else 'unreadable' }}
{%- endmacro %}


{#- A canonical table as a query: every canonical column in its type, and for each required one
    `is_<id>_missing` or, where it is cast, `is_<column>_unreadable`. An absent table is an empty relation,
    an absent column a NULL. Ids of persons are those of macros/identity.sql. -#}
{% macro source_or_empty(table) %}
{%- if 'customer_id' in cva.raw_tables()[table].columns -%}
    {#- For dbt, which looks for what a model reads before any question can be asked. -#}
    {%- set ids = ref('cva', 'int_cva__customer_ids') -%}
    {%- if cva.is_identified() and cva.source_relation(table) is not none -%}
        {{- return(cva.rows_of_persons(table)) -}}
    {%- endif -%}
{%- endif -%}
{{- return(cva.canonical_rows(table)) -}}
{% endmacro %}


{#- A build without orders would be tables without rows, and look like one that is fine. -#}
{% macro refuse_without_orders(table) %}
{% if execute and table == 'orders' and not flags.EMPTY and flags.WHICH in ('run', 'build') %}
    {% do exceptions.raise_compiler_error(
        'there is no table ' ~ cva.source_name(table) | join('.') ~ ' in ' ~ (target.path or target.database) ~ ', so no customer could be scored; load it with cva load orders,'
        ~ ' or name yours: vars: {cva_raw_schema: …, cva_orders_identifier: …}') %}
{% endif %}
{% endmacro %}


{#- Undoes a customer_value that has nobody, where readers would take it for a shop without customers. -#}
{% macro refuse_no_customers(table) %}
{% if execute and not flags.EMPTY and not cva.setting('cva_allow_empty')
    and not run_query('select 1 from ' ~ table ~ ' limit 1').rows | length %}
    {% set as_of = cva.setting('cva_as_of') %}
    {% do exceptions.raise_compiler_error(
        'customer_value' ~ (' as of ' ~ as_of if as_of else '') ~ ' would have no customer: no usable order, sign-up or review is older;'
        ~ ' see main_cva.cva_rejects for rows that are not used, or insist with the var cva_allow_empty: true'
        ~ ' (cva run --allow-empty)') %}
{% endif %}
{% endmacro %}


{#- The same with ids as they are in the table, but for those of whoever is forgotten. Columns `also` are given too
    where the table has them. -#}
{% macro canonical_rows(table, also=()) %}
{%- set rows = cva.rows_as_they_are(table, also) -%}
{{- return(cva.without_forgotten(table, rows) if cva.has_forgotten(table) else rows) -}}
{% endmacro %}


{% macro rows_as_they_are(table, also=()) %}
{% set line, columns = cva.raw_tables()[table], cva.staged_columns(table) %}
{% for name, spec in line.columns.items() if name in also %}
    {% do columns.update({name: spec}) %}
{% endfor %}
{% set mapped = var('cva_' ~ table ~ '_columns', {}) %}
{% if mapped is not mapping %}
    {% do cva.refuse_setting(
        'cva_' ~ table ~ '_columns', mapped, 'columns with expressions, e.g. {channel: shop}') %}
{% endif %}
{% for name in mapped if name not in line.columns %}
    {% do exceptions.raise_compiler_error(
        'cva_' ~ table ~ '_columns maps `' ~ name ~ '`, which is not a column of ' ~ table
        ~ '; it has: ' ~ line.columns | join(', ')) %}
{% endfor %}
{% set relation = cva.source_relation(table) if execute else none %}
{% if relation is none %}
{% do cva.refuse_without_orders(table) %}
select
    {%- for name, spec in columns.items() %}
    cast(null as {{ cva.kind_type(spec[0]) }}) as {{ name }},
    {%- if spec[1] %}
    false as {{ cva.flag_of(name, spec) }},
    {%- endif %}
    {%- endfor %}
    '{{ table }}' as table_name
from (select 1) as nothing
where 1 = 0
{% else %}
{% set present = cva.present_columns(relation) %}
{% set expressions = cva.raw_expressions(table, relation) %}
{% set typed = [] %}
{% for name, spec in columns.items() %}
    {% if name in expressions %}
        {% do typed.append('(' ~ expressions[name] ~ ') as ' ~ name) %}
    {% elif spec[1] and (name != 'customer_id' or cva.customer_key_of(table) is none) %}
        {% do exceptions.raise_compiler_error(
            relation ~ ' has no column `' ~ name ~ '` (it has: ' ~ present | join(', ')
            ~ '); map it with vars: {cva_' ~ table ~ '_columns: {' ~ name ~ ': "<expression>"}}'
            ~ (', or, if that is another table, name yours: {cva_' ~ table ~ '_identifier: <name>}'
                if table != 'orders' else '')) %}
    {% endif %}
{% endfor %}
{% set types = cva.query_columns('select ' ~ typed | join(', ') ~ ' from ' ~ relation) %}
select
    {%- for name, spec in columns.items() %}
    {%- if name in expressions %}
    {%- set value = cva.cast_kind('(' ~ expressions[name] ~ ')', spec[0], types[name]) %}
    {%- if spec[0] == 'person' and cva.is_zero_nobody() %}
    {%- set value = 'nullif(' ~ value ~ ", '0')" %}
    {%- endif %}
    {{ value }} as {{ name }},
    {%- if spec[1] and spec[0] == 'person' %}
    ({{ value }}) is null as {{ cva.flag_of(name, spec) }},
    {%- elif spec[1] and spec[0] == 'id' %}
    {{ cva.is_id_missing('(' ~ expressions[name] ~ ')', types[name]) }} as {{ cva.flag_of(name, spec) }},
    {%- elif spec[1] %}
    ({{ expressions[name] }}) is not null and ({{ value }}) is null as {{ cva.flag_of(name, spec) }},
    {%- endif %}
    {%- else %}
    cast(null as {{ cva.kind_type(spec[0]) }}) as {{ name }},
    {%- if spec[1] %}
    true as {{ cva.flag_of(name, spec) }},
    {%- endif %}
    {%- endif %}
    {%- endfor %}
    {%- for name in also if name not in columns and name in present %}
    {{ present[name] }} as {{ adapter.quote(name) }},
    {%- endfor %}
    '{{ table }}' as table_name
from {{ relation }}
{% endif %}
{% endmacro %}
