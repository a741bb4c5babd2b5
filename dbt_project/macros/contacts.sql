{#- Writes who may be reached how, for `cva audience`, into a file: customer_id, email, phone, name, has_consent,
    has_objected. Of several values the newest, those of customers before those of orders. A person consents where
    the newest row of each account that says anything does; NULL where none does. Who objects to being profiled is
    there without contacts too, and as of the raw rows, as consent is. The one place that reads contact columns but
    `cva_customer_key`. -#}
{% macro write_contacts(path) %}
{% set parts, known = [], [] %}
{% for table, line in cva.raw_tables().items() if line.get('contact') and execute %}
    {% set relation = cva.source_relation(table) %}
    {% set there = cva.raw_expressions(table, relation) if relation is not none else {} %}
    {% do known.extend(there | select('in', line.contact + ['marketing_consent'])) %}
    {% if relation is not none and there | select('in', line.contact) | list %}
        {% do parts.append(cva.contacts_of(table, line)) %}
    {% endif %}
{% endfor %}
{% if 'email' not in known and 'phone' not in known %}
    {% do exceptions.raise_compiler_error(
        'cva asks: no email or phone in customers or orders; load one, e.g. cva load customers FILE --replace'
        ~ ' --column email=…') %}
{% endif %}
{% do run_query(
    "copy (with objecting as (" ~ cva.opted_out_by_now() ~ "), known as (" ~ parts | join(' union all ')
    ~ "), consents as (select customer_id, bool_and(consent) as has_consent from (select customer_id, person_id, arg_max(consent, known_at) as consent from known where"
    ~ " consent is not null group by customer_id, person_id) as accounts group by customer_id),"
    ~ " reached as (select known.customer_id, arg_max(email, (place, known_at, email)) as email, arg_max(phone, (place, known_at, phone))"
    ~ " as phone, arg_max(name, (place, known_at, name)) as name, min(has_consent) as has_consent from known left join"
    ~ " consents on known.customer_id = consents.customer_id where known.customer_id is not null"
    ~ " group by known.customer_id) select coalesce(reached.customer_id, objecting.customer_id) as"
    ~ " customer_id, email, phone, name, has_consent, objecting.customer_id is not null as has_objected from reached"
    ~ " full join objecting on reached.customer_id = objecting.customer_id) to '"
    ~ path | replace("'", "''") ~ "' (format parquet)") %}
{% endmacro %}


{#- The rows of a table that say how to reach somebody. -#}
{% macro contacts_of(table, line) %}
{%- set consent = 'marketing_consent' if 'marketing_consent' in line.columns else 'cast(null as boolean)' -%}
{%- set at = line.get('date') or 'greatest(' ~ line.since | join(', ') ~ ')' -%}
select
    coalesce(persons.customer_id, given.person_id) as customer_id,
    given.person_id,
    {%- for name in ['email', 'phone', 'name'] %}
    {{ name if name in line.contact else 'cast(null as varchar)' }} as {{ name }},
    {%- endfor %}
    {{ consent }} as consent,
    coalesce({{ at }}, timestamp '1970-01-01') as known_at,
    {{ 1 if line.role == 'people' else 0 }} as place
from ({{ cva.rows_with_keys(table, line.contact) }}) as given
left join {{ ref('cva', 'int_cva__customer_ids') }} as persons on given.person_id = persons.raw_id
{%- endmacro %}
