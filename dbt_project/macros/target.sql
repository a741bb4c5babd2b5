{#- What is predicted, by `cva_target`: spend, margin, orders, or labels of the shop's own. -#}

{#- Refuses margins of orders most of whose money has no known cost, and says what was taken for a few: a hook
    of the model that has them, where examples are made of it. -#}
{% macro check_margins(margins) %}
{% if execute and cva.setting('cva_spine') == 'training' %}
    {% set orders, known, amount, known_amount, margin = run_query(
        'select count(*), coalesce(sum(case when is_cost_known then 1 else 0 end), 0), coalesce(sum(amount), 0),'
        ~ ' coalesce(sum(case when is_cost_known then amount end), 0),'
        ~ ' coalesce(sum(case when is_cost_known then margin end), 0) from ' ~ margins).rows[0] %}
    {% set share = (100 * known_amount / amount) | round(1) if amount else 0 %}
    {% if orders and share < 50 %}
        {% do exceptions.raise_compiler_error(
            'cva asks: cva_target is margin, and the cost is known of ' ~ share ~ ' % of spend (half is needed);'
            ~ ' load order_items with product_id and quantity, and products with unit_cost: cva load products'
            ~ ' FILE --column unit_cost=…, or predict spend instead') %}
    {% elif known < orders %}
        {% do log(
            'cva: {:,} of {:,} orders have items without a known cost; they count with the margin of the others,'
            .format(orders - known, orders) ~ ' ' ~ (100 * margin / known_amount) | round(1) ~ ' % of spend', info=true) %}
    {% endif %}
{% endif %}
{% endmacro %}


{#- Refuses a deployed model that predicts something else than `cva_target`; needs cva's SQL functions. -#}
{% macro check_target() %}
{{- return(adapter.dispatch('check_target', 'cva')()) -}}
{% endmacro %}

{% macro default__check_target() %}
{% set wanted = cva.setting('cva_target') %}
{% if cva.has_function('cva_target') %}
    {% set said = run_query("select cva_target('" ~ wanted ~ "')").rows[0][0] %}
    {% if said %}{% do exceptions.raise_compiler_error('cva asks: ' ~ said) %}{% endif %}
{% endif %}
{% endmacro %}

{#- A Spark session has its own models. -#}
{% macro spark__check_target() %}{% endmacro %}
