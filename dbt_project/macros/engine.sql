{#- The few things that DuckDB and Spark say differently. -#}

{% macro days_between(from_date, to_date) %}
{{- return(adapter.dispatch('days_between', 'cva')(from_date, to_date)) -}}
{% endmacro %}

{% macro default__days_between(from_date, to_date) %}({{ to_date }} - {{ from_date }}){% endmacro %}

{% macro spark__days_between(from_date, to_date) %}datediff({{ to_date }}, {{ from_date }}){% endmacro %}


{% macro add_days(date, days) %}
{{- return(adapter.dispatch('add_days', 'cva')(date, days)) -}}
{% endmacro %}

{% macro default__add_days(date, days) %}({{ date }} + cast({{ days }} as integer)){% endmacro %}

{% macro spark__add_days(date, days) %}date_add({{ date }}, cast({{ days }} as int)){% endmacro %}


{#- The seconds from one time to another, to the microsecond. -#}
{% macro seconds_between(from_time, to_time) %}
{{- return(adapter.dispatch('seconds_between', 'cva')(from_time, to_time)) -}}
{% endmacro %}

{% macro default__seconds_between(from_time, to_time) -%}
((epoch_us({{ to_time }}) - epoch_us({{ from_time }})) / 1e6)
{%- endmacro %}

{% macro spark__seconds_between(from_time, to_time) -%}
((unix_micros({{ to_time }}) - unix_micros({{ from_time }})) / 1e6)
{%- endmacro %}


{#- A number in [0, 1) that depends on the text alone: samples stay the same from run to run. -#}
{% macro hash_fraction(text) %}
{{- return(adapter.dispatch('hash_fraction', 'cva')(text)) -}}
{% endmacro %}

{% macro default__hash_fraction(text) -%}
(cast(md5_number_lower({{ text }}) % 1000000 as integer) / 1000000.0)
{%- endmacro %}

{% macro spark__hash_fraction(text) -%}
(cast(conv(substr(md5({{ text }}), 1, 8), 16, 10) as bigint) % 1000000 / 1000000.0)
{%- endmacro %}


{#- A whole number of 64 bits for a text: two texts rarely share one, so it finds candidates only. -#}
{% macro hash_key(text) %}
{{- return(adapter.dispatch('hash_key', 'cva')(text)) -}}
{% endmacro %}

{% macro default__hash_key(text) %}hash({{ text }}){% endmacro %}

{% macro spark__hash_key(text) %}xxhash64({{ text }}){% endmacro %}


{#- `hashed_key`: the hash keys that more than one row of a relation has for a column. Next to all rows differ,
    and DuckDB sorts so many numbers in three quarters of the time that it groups them in. -#}
{% macro repeated_keys(relation, column) %}
{{- return(adapter.dispatch('repeated_keys', 'cva')(relation, column)) -}}
{% endmacro %}

{% macro default__repeated_keys(relation, column) -%}
select distinct hashed_key
    from (select {{ cva.hash_key(column) }} as hashed_key from {{ relation }})
    qualify hashed_key = lag(hashed_key) over (order by hashed_key)
{%- endmacro %}

{#- Without partitions a window is a single task in Spark. -#}
{% macro spark__repeated_keys(relation, column) -%}
select {{ cva.hash_key(column) }} as hashed_key
    from {{ relation }}
    group by {{ cva.hash_key(column) }}
    having count(*) > 1
{%- endmacro %}


{#- The name of a text: sha256 in hex, so that texts are told apart without their letters. -#}
{% macro text_hash(text) %}
{{- return(adapter.dispatch('text_hash', 'cva')(text)) -}}
{% endmacro %}

{% macro default__text_hash(text) %}sha256({{ text }}){% endmacro %}

{% macro spark__text_hash(text) %}sha2({{ text }}, 256){% endmacro %}


{#- The type of a text's vector. -#}
{% macro vector_type() %}
{{- return(adapter.dispatch('vector_type', 'cva')()) -}}
{% endmacro %}

{% macro default__vector_type() %}float[384]{% endmacro %}

{% macro spark__vector_type() %}array<float>{% endmacro %}


{#- The type of a list of numbers of any length. -#}
{% macro numbers_type() %}
{{- return(adapter.dispatch('numbers_type', 'cva')()) -}}
{% endmacro %}

{% macro default__numbers_type() %}float[]{% endmacro %}

{% macro spark__numbers_type() %}array<float>{% endmacro %}


{#- How many items a list has. -#}
{% macro list_size(list) %}
{{- return(adapter.dispatch('list_size', 'cva')(list)) -}}
{% endmacro %}

{% macro default__list_size(list) %}len({{ list }}){% endmacro %}

{% macro spark__list_size(list) %}size({{ list }}){% endmacro %}


{#- What two lists of numbers as long as each other give, multiplied item by item and added up. -#}
{% macro inner_product(one, other) %}
{{- return(adapter.dispatch('inner_product', 'cva')(one, other)) -}}
{% endmacro %}

{% macro default__inner_product(one, other) %}list_inner_product({{ one }}, {{ other }}){% endmacro %}

{% macro spark__inner_product(one, other) -%}
aggregate(zip_with({{ one }}, {{ other }}, (x, y) -> x * y), cast(0 as double), (total, x) -> total + x)
{%- endmacro %}


{#- The length of a vector, as a DOUBLE: squares of large FLOATs are none. -#}
{% macro vector_length(list) %}
{{- return(adapter.dispatch('vector_length', 'cva')(list)) -}}
{% endmacro %}

{% macro default__vector_length(list) -%}
sqrt(list_inner_product(cast({{ list }} as double[]), cast({{ list }} as double[])))
{%- endmacro %}

{% macro spark__vector_length(list) -%}
sqrt({{ cva.inner_product('cast(' ~ list ~ ' as array<double>)', 'cast(' ~ list ~ ' as array<double>)') }})
{%- endmacro %}


{#- A list of numbers with each divided by a number. -#}
{% macro divided(list, by) %}
{{- return(adapter.dispatch('divided', 'cva')(list, by)) -}}
{% endmacro %}

{% macro default__divided(list, by) %}[cast(item / {{ by }} as float) for item in {{ list }}]{% endmacro %}

{% macro spark__divided(list, by) %}transform({{ list }}, item -> cast(item / {{ by }} as float)){% endmacro %}


{#- The n-th item of a list, counted from 1; NULL where it has fewer. -#}
{% macro list_item(list, n) %}
{{- return(adapter.dispatch('list_item', 'cva')(list, n)) -}}
{% endmacro %}

{% macro default__list_item(list, n) %}{{ list }}[{{ n }}]{% endmacro %}

{% macro spark__list_item(list, n) %}get({{ list }}, {{ n - 1 if n is number else 'cast(' ~ n ~ ' - 1 as int)' }}){% endmacro %}


{#- All values of a group as a list, by the order of whole numbers. -#}
{% macro ordered_list(value, by) %}
{{- return(adapter.dispatch('ordered_list', 'cva')(value, by)) -}}
{% endmacro %}

{% macro default__ordered_list(value, by) %}list({{ value }} order by {{ by }}){% endmacro %}

{% macro spark__ordered_list(value, by) -%}
transform(
            array_sort(collect_list(named_struct('place', {{ by }}, 'value', {{ value }}))),
            item -> item.value
        )
{%- endmacro %}


{#- One row for each item of a list; in the select list, and none for an empty list. -#}
{% macro exploded(list) %}
{{- return(adapter.dispatch('exploded', 'cva')(list)) -}}
{% endmacro %}

{% macro default__exploded(list) %}unnest({{ list }}){% endmacro %}

{% macro spark__exploded(list) %}explode({{ list }}){% endmacro %}


{#- A list of texts as a list of `place`, counted from 1, and `piece`. -#}
{% macro numbered(list) %}
{{- return(adapter.dispatch('numbered', 'cva')(list)) -}}
{% endmacro %}

{% macro default__numbered(list) -%}
list_transform({{ list }}, lambda piece, place: {'place': place, 'piece': piece})
{%- endmacro %}

{% macro spark__numbered(list) -%}
transform({{ list }}, (piece, place) -> named_struct('place', place + 1, 'piece', piece))
{%- endmacro %}


{#- The n largest values of a group as a list, the largest first. -#}
{% macro largest(value, n) %}
{{- return(adapter.dispatch('largest', 'cva')(value, n)) -}}
{% endmacro %}

{% macro default__largest(value, n) %}max({{ value }}, {{ n }}){% endmacro %}

{% macro spark__largest(value, n) %}slice(sort_array(collect_list({{ value }}), false), 1, {{ n }}){% endmacro %}


{#- The list of all days from one to another, both within. -#}
{% macro days_of(first, last) %}
{{- return(adapter.dispatch('days_of', 'cva')(first, last)) -}}
{% endmacro %}

{% macro default__days_of(first, last) %}generate_series({{ first }}, {{ last }}, interval 1 day){% endmacro %}

{% macro spark__days_of(first, last) %}sequence({{ first }}, {{ last }}, interval 1 day){% endmacro %}


{#- A number as people write it: 1,234.50 with two places. -#}
{% macro number_text(number, places) %}
{{- return(adapter.dispatch('number_text', 'cva')(number, places)) -}}
{% endmacro %}

{% macro default__number_text(number, places) %}format('{:,.{{ places }}f}', {{ number }}){% endmacro %}

{% macro spark__number_text(number, places) %}format_number({{ number }}, {{ places }}){% endmacro %}


{#- The sum of a DOUBLE term, each rounded to so many places first, so that neither threads nor row order
    show. DuckDB rounds to DECIMAL at twice the price of whole numbers, so it adds up those. -#}
{% macro rounded_sum(term, places) %}
{{- return(adapter.dispatch('rounded_sum', 'cva')(term, places)) -}}
{% endmacro %}

{% macro default__rounded_sum(term, places) -%}
cast(sum(cast(({{ term }}) * 1e{{ places }} as bigint)) / 1e{{ places }} as decimal(28, {{ places }}))
{%- endmacro %}

{% macro spark__rounded_sum(term, places) -%}
sum(cast({{ term }} as decimal(18, {{ places }})))
{%- endmacro %}


{#- The middle of a column's values. -#}
{% macro median(value) %}
{{- return(adapter.dispatch('median', 'cva')(value)) -}}
{% endmacro %}

{% macro default__median(value) %}quantile_cont({{ value }}, 0.5){% endmacro %}

{% macro spark__median(value) %}percentile({{ value }}, 0.5){% endmacro %}


{#- From a customer's feature_attributions, a list with each family once: family, attribution. -#}
{% macro families_of(attributions) %}
{{- return(adapter.dispatch('families_of', 'cva')(attributions)) -}}
{% endmacro %}

{% macro default__families_of(attributions) -%}
list_sort(list_distinct([
            {'family': item.family, 'attribution': item.family_attribution}
            for item in {{ attributions }}
        ]))
{%- endmacro %}

{% macro spark__families_of(attributions) -%}
array_sort(array_distinct(transform(
            {{ attributions }},
            item -> named_struct('family', item.family, 'attribution', item.family_attribution)
        )))
{%- endmacro %}


{#- Monday 1 … Sunday 7. -#}
{% macro weekday(date) %}
{{- return(adapter.dispatch('weekday', 'cva')(date)) -}}
{% endmacro %}

{% macro default__weekday(date) %}isodow({{ date }}){% endmacro %}

{% macro spark__weekday(date) %}(weekday({{ date }}) + 1){% endmacro %}


{#- Whether a regular expression finds something in a text. -#}
{% macro matches(text, pattern) %}
{{- return(adapter.dispatch('matches', 'cva')(text, pattern)) -}}
{% endmacro %}

{% macro default__matches(text, pattern) %}regexp_matches({{ text }}, '{{ pattern }}'){% endmacro %}

{% macro spark__matches(text, pattern) %}({{ text }} rlike '{{ pattern }}'){% endmacro %}


{#- A text with what a regular expression finds replaced throughout; `\1` is its first group. -#}
{% macro replaced(text, pattern, by) %}
{{- return(adapter.dispatch('replaced', 'cva')(text, pattern, by)) -}}
{% endmacro %}

{% macro default__replaced(text, pattern, by) %}regexp_replace({{ text }}, '{{ pattern }}', '{{ by }}', 'g'){% endmacro %}

{#- A backslash ends a character in Spark's texts, and Java writes groups with a dollar. -#}
{% macro spark__replaced(text, pattern, by) -%}
regexp_replace({{ text }}, '{{ pattern | replace("\\", "\\\\") }}', '{{ by | replace("\\", "$") }}')
{%- endmacro %}


{#- The lines of a text as a list, the first so many of them. -#}
{% macro first_lines(text, lines) %}
{{- return(adapter.dispatch('first_lines', 'cva')(text, lines)) -}}
{% endmacro %}

{% macro default__first_lines(text, lines) %}string_split({{ text }}, chr(10))[1:{{ lines }}]{% endmacro %}

{% macro spark__first_lines(text, lines) %}slice(split({{ text }}, chr(10)), 1, {{ lines }}){% endmacro %}


{#- Whether a text is among many. DuckDB looks into a map once for each text that a column repeats, and into
    a list for each row: a tenth of the time for a status. -#}
{% macro is_one_of(text, literals) %}
{{- return(adapter.dispatch('is_one_of', 'cva')(text, literals)) -}}
{% endmacro %}

{% macro default__is_one_of(text, literals) -%}
map_contains(map { {{- literals | unique | join(': 1, ') }}: 1}, {{ text }})
{%- endmacro %}

{% macro spark__is_one_of(text, literals) %}({{ text }} in ({{ literals | join(', ') }})){% endmacro %}


{#- A text without the white space around it, NULL where nothing is left; `cva load` trims by it too. To trim
    takes six times as long as to see that there is nothing to trim. -#}
{% macro trimmed(text) %}
{{- return(adapter.dispatch('trimmed', 'cva')(text)) -}}
{% endmacro %}

{% macro default__trimmed(text) -%}
case when {{ cva.is_trimmed(text) }} then {{ text }}
            else nullif(trim({{ text }}, {{ cva.white_space() }}), '') end
{%- endmacro %}

{#- Blank, tab, line ends, and the blanks that do not break or are as wide as a Chinese character. -#}
{% macro white_space() -%}
concat(chr(32), chr(9), chr(10), chr(11), chr(12), chr(13), chr(160), chr(12288))
{%- endmacro %}

{% macro is_trimmed(text) -%}
({{ text }} between '!' and '~' and ({{ text }})[-1] between '!' and '~')
{%- endmacro %}

{% macro spark__trimmed(text) %}nullif(trim({{ text }}), ''){% endmacro %}


{#- The wall clock in the shop's zone; `cva_now` fixes it, so that a run can be repeated. -#}
{% macro now() %}
{{- return(adapter.dispatch('now', 'cva')()) -}}
{% endmacro %}

{% macro default__now() -%}
{%- if cva.setting('cva_now') -%}
cast('{{ cva.setting("cva_now") }}' as timestamp)
{%- else -%}
timezone('{{ cva.setting("cva_timezone") }}', cast('{{ run_started_at.isoformat() }}' as timestamptz))
{%- endif -%}
{%- endmacro %}

{% macro spark__now() -%}
{%- if cva.setting('cva_now') -%}
cast('{{ cva.setting("cva_now") }}' as timestamp)
{%- else -%}
from_utc_timestamp(to_utc_timestamp(current_timestamp(), current_timezone()), '{{ cva.setting("cva_timezone") }}')
{%- endif -%}
{%- endmacro %}


{#- While texts are read: the vectors of a million fill gigabytes, of which DuckDB keeps what it may. They
    are written as they come, so that 700 MB above what is in use are enough. The plugin gives the limit back
    where the model fails and no hook after it runs. -#}
{% macro limit_memory() %}
{{- return(adapter.dispatch('limit_memory', 'cva')()) -}}
{% endmacro %}

{% macro default__limit_memory() -%}
{%- if execute and cva.setting('cva_udfs') and cva.is_text_read() -%}
{%- set row = run_query(
    "select current_setting('memory_limit'), sum(memory_usage_bytes) from duckdb_memory()"
).rows[0] -%}
{%- set number, unit = row[0].split(' ') -%}
{%- set sizes = {'bytes': 1, 'KiB': 2 ** 10, 'MiB': 2 ** 20, 'GiB': 2 ** 30, 'TiB': 2 ** 40} -%}
{%- set wanted = row[1] | int + 700000000 -%}
{%- if wanted < number | float * sizes[unit] -%}
{%- do run_query("select cva_keep_memory_limit('" ~ row[0] ~ "', '" ~ thread_id ~ "')") -%}
set memory_limit = '{{ wanted }}B'
{%- endif -%}
{%- endif -%}
{%- endmacro %}

{% macro spark__limit_memory() %}{% endmacro %}


{% macro restore_memory() %}
{{- return(adapter.dispatch('restore_memory', 'cva')()) -}}
{% endmacro %}

{% macro default__restore_memory() -%}
{%- if execute and cva.setting('cva_udfs') and cva.is_text_read() -%}
{%- set kept = run_query('select cva_kept_memory_limit()').rows[0][0] -%}
{%- if kept -%}
set memory_limit = '{{ kept }}'
{%- endif -%}
{%- endif -%}
{%- endmacro %}

{% macro spark__restore_memory() %}{% endmacro %}


{#- What stands for the attributions where nobody was explained. -#}
{% macro no_attributions() %}
{{- return(adapter.dispatch('no_attributions', 'cva')()) -}}
{% endmacro %}

{% macro default__no_attributions() -%}
cast(null as struct(
        "rank" integer, family varchar, feature varchar, "value" varchar, reference_value varchar,
        attribution double, standard_error double, family_attribution double
    )[])
{%- endmacro %}

{% macro spark__no_attributions() -%}
cast(null as array<struct<
        rank: int, family: string, feature: string, value: string, reference_value: string,
        attribution: double, standard_error: double, family_attribution: double
    >>)
{%- endmacro %}


{#- `node` and `label` of a relation of `pairs` (a, b), each both ways round: nodes that pairs lead from one
    to another have the same label, the least of them. Common table expressions, of which `name` is the last;
    the query starts with `with recursive`. -#}
{% macro least_connected(name, pairs) %}
{{- return(adapter.dispatch('least_connected', 'cva')(name, pairs)) -}}
{% endmacro %}

{% macro default__least_connected(name, pairs) -%}
{{ name }} (node, label) using key (node) as (
    select a as node, min(least(a, b)) as label from {{ pairs }} group by a
    union
    select {{ pairs }}.b as node, min(changed.label) as label
    from {{ name }} as changed
    inner join {{ pairs }} on changed.node = {{ pairs }}.a
    inner join recurring.{{ name }} as known on {{ pairs }}.b = known.node
    where changed.label < known.label
    group by {{ pairs }}.b
)
{%- endmacro %}

{#- Spark has no such table that grows and changes: every label that is reached, and then the least. -#}
{% macro spark__least_connected(name, pairs) -%}
reached (node, label) as (
    select a as node, least(a, b) as label from {{ pairs }}
    union
    select {{ pairs }}.b as node, reached.label
    from reached
    inner join {{ pairs }} on reached.node = {{ pairs }}.a
),

{{ name }} as (select node, min(label) as label from reached group by node)
{%- endmacro %}
