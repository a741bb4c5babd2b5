{#- Who is one person: the raw ids that `cva_customer_key` or the table `customer_merges` join. Staging gives
    the person's id in place of the raw one. Without either nothing of this is read. -#}

{#- Whether ids have to be looked up; the model that has them is then built before staging. -#}
{% macro is_identified() %}
{% set is_keyed = cva.setting('cva_customer_key') is not none %}
{{ return(execute and (is_keyed or cva.source_relation('customer_merges') is not none)) }}
{% endmacro %}

{#- The raw tables that are there and whose rows are of persons. -#}
{% macro tables_of_people() %}
{% set tables = [] %}
{% for table, line in cva.raw_tables().items() if 'customer_id' in line.columns %}
    {% if cva.source_relation(table) is not none %}{% do tables.append(table) %}{% endif %}
{% endfor %}
{{ return(tables) }}
{% endmacro %}


{#- `cva_customer_key`, where it is one over columns of this table, else none: canonical ones, in their
    types, or others that the user's table has. -#}
{% macro customer_key_of(table) %}
{% set relation = cva.source_relation(table) if execute and cva.setting('cva_customer_key') else none %}
{% if relation is none %}{{ return(none) }}{% endif %}
{% set there = cva.raw_expressions(table, relation) | list + cva.present_columns(relation) | list %}
{% set key = cva.checked_expression(cva.setting('cva_customer_key'), 'cva_customer_key') %}
{{ return(none if cva.expression_columns(key) | reject('in', there) | list else key) }}
{% endmacro %}


{#- Refuses a key that is one over no table. -#}
{% macro check_customer_key() %}
{% if execute and cva.setting('cva_customer_key') %}
    {% set tables = cva.tables_of_people() %}
    {% set key = cva.checked_expression(cva.setting('cva_customer_key'), 'cva_customer_key') %}
    {% set columns = cva.expression_columns(key) %}
    {% if not columns %}
        {% do cva.refuse_setting('cva_customer_key', key, 'SQL over columns, e.g. lower(trim(email))') %}
    {% endif %}
    {% set keyed = [] %}
    {% for table in tables if cva.customer_key_of(table) is not none %}{% do keyed.append(table) %}{% endfor %}
    {% if tables and not keyed %}
        {% do exceptions.raise_compiler_error(
            'cva_customer_key is \'' ~ cva.shortened(key) ~ '\'; none of ' ~ tables | join(', ') ~ ' has '
            ~ columns | join(' and ') ~ '; load it, e.g. cva load customers FILE --replace --column '
            ~ columns[0] ~ '=…') %}
    {% endif %}
{% endif %}
{% endmacro %}


{#- The canonical rows of a table with `person_id` beside: the raw id, or one made of the key for who has no
    other, and `key_id`, the latter for all who have a key. `also` are columns of contact. -#}
{% macro rows_with_keys(table, also=[]) %}
{%- set key = cva.customer_key_of(table) -%}
{%- if key is none -%}
select *, customer_id as person_id, cast(null as string) as key_id
from ({{ cva.canonical_rows(table, also) }}) as given
{%- else -%}
{%- set given = cva.canonical_rows(table, cva.expression_columns(key) + also) -%}
{%- set type = cva.query_columns('select (' ~ key ~ ') as value from (' ~ given ~ ') as given')['value'] -%}
{%- set is_left_out = 'keyed.is_forgotten or keyed.customer_id is null and ' ~ cva.is_forgotten("'key-' || md5(customer_key)")
    if cva.has_forgotten(table) -%}
select *, coalesce(customer_id, key_id) as person_id
from (
    {%- if is_left_out %}
    select
        * replace ({{ is_left_out }} as is_forgotten),
        case when not ({{ is_left_out }}) then 'key-' || md5(customer_key) end as key_id
    {%- else %}
    select *, 'key-' || md5(customer_key) as key_id
    {%- endif %}
    from (
        select *, {{ cva.cast_kind('(' ~ key ~ ')', 'person', type) }} as customer_key
        from ({{ given }}) as given
    ) as keyed
) as named
{%- endif -%}
{%- endmacro %}


{#- The canonical rows of a table, each with the id that it names, the one made of the key where it has no
    other: for what is kept from run to run, while who is one person may change. -#}
{% macro rows_of_accounts(table) %}
{%- if not execute or cva.source_relation(table) is none or cva.customer_key_of(table) is none -%}
{{- return(cva.canonical_rows(table)) -}}
{%- endif -%}
select
    {%- for name, spec in cva.staged_columns(table).items() %}
    {{ 'person_id as customer_id' if name == 'customer_id' else name }},
    {%- if spec[1] %}
    {{ cva.flag_of(name, spec) }},
    {%- endif %}
    {%- endfor %}
    {{ 'is_forgotten,' if cva.has_forgotten(table) }}
    table_name
from ({{ cva.rows_with_keys(table) }}) as given
{%- endmacro %}


{#- The canonical rows of a table, each of its person. -#}
{% macro rows_of_persons(table) %}
select
    {%- for name, spec in cva.staged_columns(table).items() %}
    {%- if name == 'customer_id' %}
    coalesce(persons.of_person, given.person_id) as customer_id,
    {%- if spec[1] %}
    given.person_id is null as is_customer_id_missing,
    {%- endif %}
    {%- else %}
    given.{{ name }},
    {%- if spec[1] %}
    given.{{ cva.flag_of(name, spec) }},
    {%- endif %}
    {%- endif %}
    {%- endfor %}
    {{ 'given.is_forgotten,' if cva.has_forgotten(table) }}
    given.table_name
from ({{ cva.rows_with_keys(table) }}) as given
left join (
    select raw_id, customer_id as of_person from {{ ref('cva', 'int_cva__customer_ids') }}
) as persons on given.person_id = persons.raw_id
{%- endmacro %}


{#- Says how many ids are how many people, and who has so many that their key may be a placeholder. -#}
{% macro say_identity(ids) %}
{% if execute and cva.is_identified() and cva.setting('cva_spine') == 'scoring' %}
    {% set row = run_query(
        'select sum(n), count(*), max(n), max_by(customer_id, n) from ('
        ~ 'select customer_id, count(*) as n from ' ~ ids ~ ' group by customer_id having count(*) > 1) as joined'
    ).rows[0] %}
    {% if row[1] %}
        {% set many = '; one of them, ' ~ row[3] ~ ', has ' ~ '{:,}'.format(row[2])
            ~ ' of these: a placeholder? let cva_customer_key be null there' if row[2] > 20 else '' %}
        {% set people = '{:,} people'.format(row[1]) if row[1] > 1 else '1 person' %}
        {% do log('cva: {:,} customer ids are '.format(row[0]) ~ people ~ ', see customer_ids' ~ many, info=true) %}
    {% endif %}
{% endif %}
{% endmacro %}
