{#- The rows of a relation with a customer_id that lie before as_of_date, once per as_of_date. In training
    the customers are a sample and differ by date, so the spine is joined; scoring has one date. -#}
{% macro at_each_date(relation, date_column) %}
{%- if cva.setting('cva_spine') == 'training' -%}
select facts.*, spine.as_of_date
    from {{ relation }} as facts
    inner join {{ ref('cva', 'int_cva__spine') }} as spine
        on facts.customer_id = spine.customer_id and facts.{{ date_column }} < spine.as_of_date
{%- else -%}
select facts.*, dates.as_of_date
    from {{ relation }} as facts
    cross join {{ ref('cva', 'int_cva__as_of_dates') }} as dates
    where facts.{{ date_column }} < dates.as_of_date
{%- endif -%}
{% endmacro %}
