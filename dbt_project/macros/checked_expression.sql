{#- A var that holds SQL, as it may be put in brackets of its own: one expression over the columns of a
    row. A comment may end it, so what follows it starts a new line. -#}
{% macro checked_expression(text, name) %}
{{- return(adapter.dispatch('checked_expression', 'cva')(text, name)) -}}
{% endmacro %}

{% macro default__checked_expression(text, name) %}
{% set sql = text | string %}
{% if execute %}
    {% set problem = cva.rows_once(cva.expression_problem('' if text is none else sql))[0][0] %}
    {% if problem %}
        {% do exceptions.raise_compiler_error(
            name ~ ' is not one expression over the columns of a row: \'' ~ cva.shortened(sql) ~ '\': '
            ~ problem ~ '; write e.g. quantity * "Unit Price"') %}
    {% endif %}
{% endif %}
{{ return(sql ~ ('\n' if '--' in sql else '')) }}
{% endmacro %}

{#- Only DuckDB gives its parse tree as a value. -#}
{% macro spark__checked_expression(text, name) %}{{ return(text | string) }}{% endmacro %}


{#- The columns that a checked expression names, in lower case and each once. -#}
{% macro expression_columns(text) %}
{{- return(adapter.dispatch('expression_columns', 'cva')(text)) -}}
{% endmacro %}

{% macro default__expression_columns(text) %}
{% set rows = cva.rows_once(
    "select distinct lower(parts.atom ->> '$[#-1]') as name from ("
    ~ "select json_extract(items.value, '$.column_names') as atom from json_tree(json_serialize_sql('select ('"
    ~ " || chr(10) || '" ~ text | replace("'", "''") ~ "' || chr(10) || ')')) as items"
    ~ " where items.type = 'OBJECT' and items.value ->> 'class' = 'COLUMN_REF') as parts order by 1"
) %}
{{ return(rows | map(attribute=0) | list) }}
{% endmacro %}

{#- Taken for one over every table. -#}
{% macro spark__expression_columns(text) %}{{ return(['customer_id']) }}{% endmacro %}


{#- For a message: in one line, 60 characters at most. -#}
{% macro shortened(text) %}
{% set line = text | string | trim | replace('\n', ' ') | replace('\r', ' ') %}
{{ return(line if line | length <= 60 else line[:59] ~ '…') }}
{% endmacro %}


{#- A DuckDB query that returns what is wrong with an expression, NULL where nothing is. `cva load` asks it
    too. The text is parsed bare and in brackets, on lines of their own: what fits both can neither leave
    the brackets that it is put in nor comment out what follows them. Allowed are the parts of an
    expression that stay within a row, or a window over rows; no subquery, star or parameter. Denied are
    functions that reach outside the row's table, change the session, parse SQL themselves, or give
    another number of rows; and our own, whose models may be called in their own places only. -#}
{% macro expression_problem(text) %}
{%- if '\x00' in text -%}
select 'it holds a NUL, at which DuckDB stops reading' as problem
{%- else -%}
{%- set classes = [
    'BETWEEN', 'CASE', 'CAST', 'COLLATE', 'COLUMN_REF', 'COMPARISON', 'CONJUNCTION', 'CONSTANT',
    'FUNCTION', 'LAMBDA', 'LAMBDA_REF', 'OPERATOR', 'TYPE', 'WINDOW'
] -%}
{%- set denied = [
    'current_connection_id', 'current_query', 'current_query_id', 'current_setting',
    'current_transaction_id', 'currval', 'format_type', 'generate_subscripts', 'geomean',
    'geometric_mean', 'get_block_size', 'getenv', 'getvariable', 'json_deserialize_sql',
    'json_group_array', 'json_group_object', 'json_group_structure', 'json_serialize_plan',
    'json_serialize_sql', 'nextval', 'parse_duckdb_log_message', 'pg_get_constraintdef',
    'pg_get_viewdef', 'pg_sleep', 'regexp_split_to_table', 'setseed', 'setval', 'sleep_ms', 'stats',
    'unnest', 'variant_group_array', 'wavg', 'weighted_avg', 'write_log'
] -%}
with given as (select '{{ text | replace("'", "''") }}' as expression),

parsed as (
    select json_serialize_sql('select ' || expression || chr(10)) as tree from given
    union all
    select json_serialize_sql('select (' || chr(10) || expression || chr(10) || ')') from given
),

-- Around the one value there is nothing else than around the 1 of `select 1`.
shaped as (
    select
        tree ->> 'error_message' as error_message,
        json_remove(tree, '$.statements[0].node.select_list')
        = json_remove(json_serialize_sql('select 1'), '$.statements[0].node.select_list')
        and json_array_length(tree, '$.statements[0].node.select_list') = 1
        and tree ->> '$.statements[0].node.select_list[0].alias' = '' as is_value
    from parsed
),

parts as (
    select
        max(items.atom ->> '$') filter (where items.key = 'class') as class,
        max(items.atom ->> '$') filter (where items.key = 'type') as type,
        max(lower(items.atom ->> '$')) filter (where items.key = 'function_name') as function_name,
        max(items.atom ->> '$') filter (where items.key in ('schema', 'catalog')) as qualifier
    from parsed, json_tree(parsed.tree) as items
    where items.key in ('class', 'type', 'function_name', 'schema', 'catalog')
    group by items.parent, items.path
    having class is not null
),

functions as (
    select
        lower(function_name) as function_name,
        bool_or(function_type in ('scalar', 'macro')) as is_per_row,
        bool_or(function_type in ('aggregate', 'window')) as is_windowed
    from duckdb_functions()
    where
        lower(function_name) not in ('{{ denied | join("', '") }}')
        and not regexp_matches(lower(function_name), '^(cva_|__internal)')
    group by 1
),

part_problems as (
    select
        case
            when
                parts.class not in ('{{ classes | join("', '") }}')
                or parts.type = 'GROUPING_FUNCTION'
                then 'it holds a ' || lower(replace(parts.class, '_', ' '))
            when parts.class not in ('FUNCTION', 'WINDOW') then null
            when parts.qualifier <> ''
                then 'write ' || parts.function_name || '() without a name before it'
            when functions.is_per_row
                or functions.is_windowed and parts.class = 'WINDOW' then null
            when functions.is_windowed or parts.function_name = 'count_star'
                then parts.function_name || '() needs over (…) to give one value per row'
            else parts.function_name || '() is not a function that may be used here'
        end as problem
    from parts
    left join functions on parts.function_name = functions.function_name
)

select
    coalesce(
        (select min(split_part(error_message, chr(10), 1)) from shaped),
        (
            select 'expected a single value, without from, where, order or as'
            from shaped where is_value is not true limit 1
        ),
        (
            select problem from part_problems where problem is not null
            order by problem not like 'it holds %', problem limit 1
        )
    ) as problem
{%- endif -%}
{%- endmacro %}
