{#- What every staging model needs, from what macros/raw_tables.sql says of its table. -#}

{#- A whole staging model: one row per raw row, with its day beside the date and, in `reject_reason`, why
    it cannot be used. Copies are found by a sort of all rows; a table too large for that finds them in
    a model after staging, as orders do. `also` are cases of the table's own. -#}
{% macro staged(table, also='') %}
{%- set line = cva.raw_tables()[table] -%}
with source as ({{ cva.source_or_empty(table) }}),

judged as (
    select
        *,
        {{ cva.first_case(cva.reject_cases(table) ~ also) }} as problem
    from source
),
{% if line.key %}
-- Usable rows apart: a copy that cannot be used must not push out the one that can.
numbered as (
    select
        *,
        {{ cva.occurrence(table, also='problem is null') }} as occurrence
    from judged
),
{% endif %}
final as (
    select
        {%- for name in cva.staged_columns(table) %}
        {{ name }},
        {%- if name == line.get('date') and name.endswith('_at') %}
        cast({{ name }} as date) as {{ name[:-3] }}_date,
        {%- endif %}
        {%- endfor %}
        case
            when problem is not null then problem
            {%- if line.key %}
            when {{ line.key[0] }} is not null and occurrence > 1 then 'duplicate_{{ line.key[0] }}'
            {%- endif %}
        end as reject_reason
    from {{ 'numbered' if line.key else 'judged' }}
)

select * from final
{%- endmacro %}


{#- The canonical columns of a table that staging has: all but those of contact. -#}
{% macro staged_columns(table) %}
{% set line, columns = cva.raw_tables()[table], {} %}
{% for name, spec in line.columns.items() if name not in line.get('contact', []) %}
    {% do columns.update({name: spec}) %}
{% endfor %}
{{ return(columns) }}
{% endmacro %}


{#- The cases of a raw row that cannot be used, whatever the table: a required column without a value, a
    date that cannot be or is still to come. Over what `source_or_empty` gives, in the columns' order. -#}
{% macro reject_cases(table, oldest='1970-01-01') %}
{%- set line = cva.raw_tables()[table] -%}
{%- set cases = ["when is_forgotten then 'forgotten'"] if cva.has_forgotten(table) else [] -%}
{%- for name, spec in line.columns.items() -%}
    {%- if spec[1] and spec[0] in ('id', 'person') -%}
        {%- set is_customer = name == 'customer_id' and line.role != 'people' -%}
        {%- do cases.append(
            'when ' ~ cva.flag_of(name, spec) ~ " then '"
            ~ ('customer_unknown' if is_customer else name ~ '_missing') ~ "'") -%}
    {%- elif spec[1] -%}
        {%- do cases.append('when ' ~ cva.flag_of(name, spec) ~ " then '" ~ name ~ "_unreadable'") -%}
        {%- do cases.append('when ' ~ name ~ " is null then '" ~ name ~ "_missing'") -%}
    {%- endif -%}
    {%- if spec[0] == 'vector' and cva.has_source_column(table, name) -%}
        {%- do cases.append(cva.vector_cases(table, name)) -%}
    {%- endif -%}
    {%- if name == line.get('date') and oldest -%}
        {%- do cases.append(
            'when ' ~ name ~ " < timestamp '" ~ oldest ~ "' then '" ~ name ~ "_before_1970'") -%}
    {%- endif -%}
    {%- if name == line.get('date') and not line.is_plan or name in line.get('since', []) -%}
        {%- do cases.append('when ' ~ name ~ ' > ' ~ cva.now() ~ " then 'in_the_future'") -%}
    {%- endif -%}
{%- endfor -%}
{{- cases | join('\n            ') -}}
{% endmacro %}


{#- The cases as an expression; NULL without any. -#}
{% macro first_case(cases) -%}
{%- if cases -%}
case
            {{ cases }}
        end
{%- else -%}
cast(null as string)
{%- endif -%}
{%- endmacro %}


{#- The number of a row among its copies, 1 for the one that is used; `instead` names columns that stand for
    some of the key, a day for its time. -#}
{% macro occurrence(table, alias='', also='', instead={}) -%}
{%- set line = cva.raw_tables()[table] -%}
{%- set prefix = alias ~ '.' if alias else '' -%}
{%- set key = [] -%}
{%- for name in line.key -%}
    {%- do key.append(instead.get(name, name)) -%}
{%- endfor -%}
row_number() over (
            partition by {{ prefix }}{{ key | join(', ' ~ prefix) }}{{ ', ' ~ also if also else '' }}
            order by {{ cva.kept_order(line, prefix) }}
        )
{%- endmacro %}


{#- What copies are put in order by; a vector by its hash, as a sort would carry each along. -#}
{% macro kept_order(line, prefix) -%}
{%- for name in line.kept -%}
{%- set is_vector = line.columns.get(name, ['text'])[0] == 'vector' -%}
{{ cva.hash_key(prefix ~ name) if is_vector else prefix ~ name }}{{ ', ' if not loop.last }}
{%- endfor -%}
{%- endmacro %}


{#- Whether a row of another table is of this order. An order_id that stayed twice says so of none, unless
    the store tells them apart; a row or an order without a store goes by its order_id alone. -#}
{% macro is_of_order(rows, orders='orders') -%}
{{ rows }}.order_id = {{ orders }}.order_id
            and (
                (
                    ({{ rows }}.store is null or {{ orders }}.store is null)
                    and {{ orders }}.orders_of_id = 1
                )
                or ({{ rows }}.store = {{ orders }}.store and {{ orders }}.orders_of_store_id = 1)
            )
{%- endmacro %}


{#- Whether a table finds the customer of a row that names none by the row's order. -#}
{% macro is_named_by_order(table) %}
{% set line = cva.raw_tables()[table] %}
{{ return('valid' in line and 'order_id' in line.columns and not line.columns.customer_id[1]) }}
{% endmacro %}


{#- The usable rows of a table, as a relation. -#}
{% macro usable(table) %}
{%- set line = cva.raw_tables()[table] -%}
{%- if 'valid' in line -%}
{{ ref('cva', line.valid[0]) }}
{%- else -%}
(select * from {{ ref('cva', 'stg_cva__' ~ table) }} where reject_reason is null) as {{ table }}
{%- endif -%}
{% endmacro %}


{#- The tables beside orders whose rows show that a customer was there. -#}
{% macro sighting_tables() %}
{% set tables = [] %}
{% for table, line in cva.raw_tables().items() if table != 'orders' %}
    {% if 'customer_id' in line.columns and line.role in ('facts', 'people') %}
        {% do tables.append(table) %}
    {% endif %}
{% endfor %}
{{ return(tables) }}
{% endmacro %}


{#- Says that newest orders are doubted, where `cva_as_of` does not settle it; a hook, as a model's own SQL
    is written before its rows can be asked. -#}
{% macro say_doubted_date() %}
{% if execute and cva.setting('cva_spine') == 'scoring' and not cva.setting('cva_as_of') %}
    {% set rows = run_query('select doubt from ' ~ ref('cva', 'int_cva__newest_order_day')).rows %}
    {% if rows | length and rows[0][0] %}{% do log('cva: ' ~ rows[0][0], info=true) %}{% endif %}
{% endif %}
{% endmacro %}
