{#- NULL where predicted_value is no money. Over predicted_value and horizon_retention_rate: margin expected in `cva_clv_days`, discounted. Spend
    falls by the shop's retention rate from one horizon to the next (constant-retention CLV: Gupta and
    Lehmann 2003, here with a finite end and the middle of each horizon as its date). -#}
{% macro clv() %}
{%- set target = cva.setting('cva_target') -%}
{%- if target in ('orders', 'labels') -%}
cast(null as double)
{%- else -%}
{%- set margin = 1.0 if target == 'margin' else cva.setting('cva_margin') -%}
{%- set horizon = cva.setting('cva_horizon_days') -%}
{%- set periods = cva.setting('cva_clv_days') / horizon -%}
{%- set daily = (1 + cva.setting('cva_discount_rate')) ** (1 / 365) -%}
(
            predicted_value * {{ margin }} * ((
                {%- for k in range(periods | round(0, 'ceil') | int) %}
                {#- DuckDB takes 1,000 terms in a row at most; a short horizon has more. #}
                {% if loop.first %}{% elif k % 100 == 0 %}) + ( {% else %}+ {% endif -%}
                power(horizon_retention_rate, {{ k }})
                * {{ '%.10f' | format([periods - k, 1] | min / daily ** ((k + 0.5) * horizon)) }}
                {%- endfor %}
            ))
        )
{%- endif -%}
{%- endmacro %}
