{#- Years in a text, where they are those of a person. -#}
{% macro age_in_years(age) -%}
case when try_cast({{ age }} as double) between 0 and 120 then try_cast({{ age }} as double) end
{%- endmacro %}


{#- The band of an age: as the shop gives it, in either of two columns, else by years. -#}
{% macro age_band(age, band) -%}
coalesce(
            {{ band }},
            case
                {%- for limit, name in [
                    (18, 'under 18'), (25, '18-24'), (35, '25-34'), (45, '35-44'), (55, '45-54'), (65, '55-64'),
                    (121, '65+')
                ] %}
                when {{ cva.age_in_years(age) }} < {{ limit }} then '{{ name }}'
                {%- endfor %}
                when {{ cva.matches(age, cva.band_pattern()) }} then {{ age }}
            end
        )
{%- endmacro %}


{#- How a band is written: 19-24, 65+, <18, under 18, over 65. -#}
{% macro band_pattern() %}
{{- return('(?i)^[0-9]{1,3} *(-|–|—|to|bis) *[0-9]{1,3}$|^[0-9]{1,3} *[+]$|^[<>]=? *[0-9]{1,3}$|^(under|over) *[0-9]{1,3}$') -}}
{% endmacro %}


{#- Says how many ages are neither: a hook of staged customers. -#}
{% macro say_odd_ages(customers) %}
{% if execute and cva.setting('cva_spine') == 'scoring' and cva.has_source_column('customers', 'age') %}
    {% set row = run_query('select count(*), min(customer_id) from ' ~ customers
        ~ ' where is_age_odd and reject_reason is null').rows[0] %}
    {% if row[0] %}
        {% do log('cva: customers: {:,} of the ages, such as '.format(row[0] | int) ~ row[1]
            ~ "'s, neither years from 0 to 120 nor a band like 19-24: taken as not known", info=true) %}
    {% endif %}
{% endif %}
{% endmacro %}
