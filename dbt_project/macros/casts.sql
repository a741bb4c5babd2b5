{#- The SQL type of a kind of canonical column. -#}
{% macro kind_type(kind) %}
{{- return({
    'id': 'string', 'person': 'string', 'text': 'string', 'money': 'decimal(18, 4)', 'time': 'timestamp',
    'number': 'double', 'integer': 'bigint', 'flag': 'boolean', 'vector': cva.numbers_type(),
}[kind]) -}}
{% endmacro %}


{#- How times are written in texts, as regular expressions: year first, as other orders are ambiguous. -#}
{% macro time_patterns() %}
{{- return({
    'date': '\\d{4}[-/]\\d{1,2}[-/]\\d{1,2}',
    'clock': '[ Tt]\\d{1,2}:\\d{2}(:\\d{2}([.]\\d{1,9})?)?',
    'zone': '\\s*(Z|UTC|GMT|[+-]\\d{2}(:?\\d{2}(:?\\d{2})?)?|[A-Za-z]+(/[A-Za-z_+-]+)+)',
}) -}}
{% endmacro %}


{#- Casts that give NULL instead of an error, by the kind of canonical column and the type it comes in;
    `cva load` casts by them too. -#}
{% macro cast_kind(expression, kind, from_type) %}
{{- return(adapter.dispatch('cast_kind', 'cva')(expression, kind, from_type | upper)) -}}
{% endmacro %}

{% macro default__cast_kind(expression, kind, from_type) -%}
{%- set is_float = from_type in ('DOUBLE', 'FLOAT') -%}
{%- set is_decimal = from_type.startswith('DECIMAL') -%}
{%- set is_number = is_float or is_decimal or from_type.endswith('INT') or from_type.endswith('INTEGER') -%}
{%- set is_text = from_type == 'VARCHAR' -%}
{%- if kind == 'person' -%}
    {#- Most ids are longer than any word for nobody, and need no cleaning: seen first, that takes half the time;
        and so is what names nobody. -#}
case {% if is_text %}when {{ expression }} is null then null
            when length({{ expression }}) > 4 and {{ cva.is_trimmed(expression) }} and not ends_with({{ expression }}, '.0')
            then {{ expression }}
            {% endif %}when not {{ cva.is_nobody(cva.cast_kind(expression, 'id', from_type)) }}
            then {{ cva.cast_kind(expression, 'id', from_type) }} end
{%- elif kind in ('id', 'text') and is_float -%}
case when {{ expression }} = trunc({{ expression }}) and abs({{ expression }}) < 9e18
            then cast(cast({{ expression }} as bigint) as varchar)
            when isfinite({{ expression }}) then cast({{ expression }} as varchar) end
{%- elif kind in ('id', 'text') and is_decimal -%}
case when {{ expression }} = trunc({{ expression }})
            then cast(trunc({{ expression }}) as varchar)
            else cast({{ expression }} as varchar) end
{%- elif kind == 'id' -%}
    {%- if is_text -%}
case when {{ cva.is_trimmed(expression) }} and not ends_with({{ expression }}, '.0') then {{ expression }}
            else regexp_replace({{ cva.trimmed(expression) }}, '^(-?(?:0|[1-9][0-9]*))[.]0$', '\1') end
    {%- else -%}
cast({{ expression }} as varchar)
    {%- endif -%}
{%- elif kind == 'vector' -%}
{{ cva.read_vector(expression, from_type) }}
{%- elif kind == 'text' -%}
{{ cva.trimmed(expression if is_text else 'cast(' ~ expression ~ ' as varchar)') }}
{%- elif kind == 'money' and from_type == 'DECIMAL(18,4)' or kind == 'time' and from_type == 'TIMESTAMP'
    or kind == 'flag' and from_type == 'BOOLEAN' -%}
{{ expression }}
{%- elif kind == 'time' and from_type == 'TIMESTAMP WITH TIME ZONE' -%}
timezone('{{ cva.setting('cva_timezone') }}', {{ expression }})
{%- elif kind == 'time' and (from_type.startswith('TIMESTAMP') or from_type == 'DATE') -%}
try_cast({{ expression }} as timestamp)
{%- else -%}
    {%- set text = '(' ~ cva.trimmed(expression) ~ ')' if is_text else '(' ~ cva.cast_kind(expression, 'id', from_type) ~ ')' -%}
    {%- set value = expression if is_number else text -%}
    {%- if kind == 'time' -%}
{{ cva.read_time(text) }}
    {%- elif kind == 'money' -%}
try_cast({{ value }} as decimal(18, 4))
    {%- elif kind == 'number' -%}
case when isfinite(try_cast({{ value }} as double)) then try_cast({{ value }} as double) end
    {%- elif kind == 'integer' -%}
case when try_cast({{ value }} as double) = trunc(try_cast({{ value }} as double))
            then try_cast({{ value }} as bigint) end
    {%- else -%}
try_cast({{ text }} as boolean)
    {%- endif -%}
{%- endif -%}
{%- endmacro %}


{#- Whether an id, in its type, says that there is no person. Not for other columns: NA is Namibia. -#}
{% macro is_nobody(id) -%}
(length({{ id }}) <= 4 and lower({{ id }}) in ('null', 'nan', 'none', 'na', 'n/a', '#n/a', '<na>', chr(92) || 'n'))
{%- endmacro %}


{#- A query over a relation of the customer `id` of each order: whether the customer 0 is nobody, as the
    guests of some shops are. Several orders share it, and it is not just the first of ids that count
    people from 0 on. -#}
{% macro is_zero_nobody_query(ids) -%}
select
    coalesce(max(case when id = '0' then n end), 0) > 1
    and not (
        max(try_cast(id as bigint)) = count(*) - 1
        and max(case when id = '0' then n end) <= max(case when id <> '0' then n end)
    ) as is_nobody
from (select id, count(*) as n from {{ ids }} where id is not null group by id) as counted
{%- endmacro %}


{#- A text as a time of the shop's zone. DuckDB's own cast drops an offset without a word. -#}
{% macro read_time(text) -%}
{%- set like = cva.time_patterns() -%}
{%- set zone = cva.setting('cva_timezone') -%}
case when regexp_full_match({{ text }}, ' *{{ like.date }}({{ like.clock }})? *')
            then try_cast({{ text }} as timestamp)
            when regexp_full_match({{ text }}, ' *\d{8} *')
            then try_strptime(trim({{ text }}), '%Y%m%d')
            when regexp_full_match({{ text }}, ' *{{ like.date }}{{ like.clock }}{{ like.zone }} *')
            then timezone('{{ zone }}', try_cast(
                regexp_replace({{ text }}, '\s+([Z+-])', '\1') as timestamptz
            )) end
{%- endmacro %}

{#- A list of numbers: a list, an array, or a text as JSON, Python, numpy and PostgreSQL write it. NULL where there
    is nothing in it; [0], which has no direction, where something is that is none. -#}
{% macro read_vector(expression, from_type) %}
{{- return(adapter.dispatch('read_vector', 'cva')(expression, from_type)) -}}
{% endmacro %}

{% macro default__read_vector(expression, from_type) -%}
{%- set item = from_type.split('[')[0] -%}
{%- if from_type == 'FLOAT[]' -%}
{{ cva.known_vector(expression, expression) }}
{%- elif from_type.count('[') == 1 and (
    item in ('FLOAT', 'DOUBLE', 'VARCHAR') or item.endswith('INT') or item.endswith('INTEGER')
    or item.startswith('DECIMAL')) -%}
{{ cva.known_vector(expression, 'try_cast(' ~ expression ~ ' as float[])') }}
{%- else -%}
    {%- set text = '(' ~ cva.trimmed('cast(' ~ expression ~ ' as varchar)') ~ ')' -%}
    {%- set inner = 'trim(translate(' ~ text ~ ", concat('()[]{}', chr(34), chr(39)), ''), " ~ cva.white_space() ~ ')' -%}
{{ cva.known_vector('case when not ' ~ cva.is_nobody(text) ~ ' then ' ~ text ~ ' end',
    "try_cast(concat('[', case when contains(" ~ text ~ ", ',') then " ~ inner
    ~ ' else regexp_replace(' ~ inner ~ ", '\\s+', ',', 'g') end, ']') as float[])") }}
{%- endif -%}
{%- endmacro %}

{#- The largest and the least number are not finite where one is not. -#}
{% macro known_vector(given, list) -%}
case
            when {{ given }} is null or len({{ list }}) = 0 then null
            when list_count({{ list }}) = len({{ list }})
                and isfinite(list_max({{ list }})) and isfinite(list_min({{ list }}))
                and (list_max({{ list }}) <> 0 or list_min({{ list }}) <> 0)
                then {{ list }}
            else cast([0] as float[])
        end
{%- endmacro %}

{% macro spark__read_vector(expression, from_type) -%}
{%- set list = 'cast(' ~ expression ~ ' as array<float>)' if from_type.endswith(']') else
    'from_json(cast(' ~ expression ~ " as string), 'array<float>')" -%}
case
            when {{ expression }} is null or size({{ list }}) = 0 then null
            when abs(array_max({{ list }})) < 1e38 and abs(array_min({{ list }})) < 1e38
                and size(array_compact({{ list }})) = size({{ list }})
                and (array_max({{ list }}) <> 0 or array_min({{ list }}) <> 0)
                then {{ list }}
            else cast(array(0) as array<float>)
        end
{%- endmacro %}


{% macro spark__cast_kind(expression, kind, from_type) -%}
{%- if kind == 'person' -%}
case when not {{ cva.is_nobody(cva.cast_kind(expression, 'id', from_type)) }}
            then {{ cva.cast_kind(expression, 'id', from_type) }} end
{%- elif kind == 'id' -%}
    {%- if from_type in ('DOUBLE', 'FLOAT') or from_type.startswith('DECIMAL') -%}
case when {{ expression }} = floor({{ expression }}) and abs({{ expression }}) < 9e18
            then cast(cast({{ expression }} as bigint) as string)
            else cast({{ expression }} as string) end
    {%- else -%}
nullif(trim(cast({{ expression }} as string)), '')
    {%- endif -%}
{%- elif kind == 'vector' -%}
{{ cva.read_vector(expression, from_type) }}
{%- elif kind == 'text' -%}
nullif(trim(cast({{ expression }} as string)), '')
{%- else -%}
try_cast({{ expression }} as {{ cva.kind_type(kind) }})
{%- endif -%}
{%- endmacro %}
