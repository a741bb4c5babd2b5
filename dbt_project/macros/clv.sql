{#- Over predicted_value and horizon_retention_rate: margin expected in `cva_clv_days`, discounted. Spend
    falls by the shop's retention rate from one horizon to the next (constant-retention CLV: Gupta and
    Lehmann 2003, here with a finite end and the middle of each horizon as its date). -#}
{% macro clv() %}
{%- set horizon = var('cva_horizon_days') -%}
{%- set periods = var('cva_clv_days') / horizon -%}
{%- set daily = (1 + var('cva_discount_rate')) ** (1 / 365) -%}
(
            predicted_value * {{ var('cva_margin') }} * (
                {%- for k in range(periods | round(0, 'ceil') | int) %}
                {% if not loop.first %}+ {% endif -%}
                power(horizon_retention_rate, {{ k }})
                * {{ '%.10f' | format([periods - k, 1] | min / daily ** ((k + 0.5) * horizon)) }}
                {%- endfor %}
            )
        )
{%- endmacro %}
