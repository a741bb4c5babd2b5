{#- What a value within the horizon is over other days. By the deployed model's growth (`cva_value_growth`),
    and where it has none, which a rule has not: spend falls by the shop's retention rate from one horizon
    to the next (constant-retention CLV: Gupta and Lehmann 2003). -#}

{#- The days that are looked ahead, each once and in order: `cva_path_days`, the horizon and `cva_clv_days`. -#}
{% macro path_days() %}
{% set days = cva.setting('cva_path_days') + [cva.setting('cva_horizon_days'), cva.setting('cva_clv_days')] %}
{{ return(days | unique | sort) }}
{% endmacro %}


{#- The days to the end of each month of a year ahead: a twelfth of a year, in whole days. -#}
{% macro month_days() %}
{{ return([30, 61, 91, 122, 152, 183, 213, 243, 274, 304, 335, 365]) }}
{% endmacro %}


{#- The days that the model is asked for. -#}
{% macro growth_days() %}
{{ return((cva.path_days() + cva.month_days()) | unique | sort) }}
{% endmacro %}


{#- The rows of int_cva__value_growth that are a customer's, `features` with frequency and t_days. -#}
{% macro is_growth_of(growth, features) -%}
{{ features }}.frequency >= {{ growth }}.frequency_from
            and {{ features }}.frequency < coalesce({{ growth }}.frequency_to, 2147483647)
            and {{ features }}.t_days >= {{ growth }}.age_from
            and {{ features }}.t_days < coalesce({{ growth }}.age_to, 2147483647)
{%- endmacro %}


{#- Factor on predicted_value for `days`, over value_factor and horizon_retention_rate. -#}
{% macro value_factor(days) -%}
{%- set horizon = cva.setting('cva_horizon_days') -%}
coalesce(
            value_factor,
            (1 - power(horizon_retention_rate, {{ days }} / {{ horizon }}.0))
            / nullif(1 - horizon_retention_rate, 0),
            {{ days }} / {{ horizon }}.0
        )
{%- endmacro %}


{#- The probability to order within `days`, over purchase_probability and probability_factor. -#}
{% macro probability_within(days) -%}
least(
            coalesce(
                purchase_probability * probability_factor,
                1 - power(1 - purchase_probability, {{ days }} / {{ cva.setting('cva_horizon_days') }}.0)
            ),
            1
        )
{%- endmacro %}


{#- Factor on predicted_value, over clv_factor and horizon_retention_rate, for the margin expected in
    `cva_clv_days`, discounted. NULL where predicted_value is no money. Without the model's growth the middle
    of each horizon is its date. -#}
{% macro clv_factor() %}
{%- set target = cva.setting('cva_target') -%}
{%- if target in ('orders', 'labels') -%}
cast(null as double)
{%- else -%}
{%- set margin = 1.0 if target == 'margin' else cva.setting('cva_margin') -%}
{%- set horizon = cva.setting('cva_horizon_days') -%}
{%- set periods = cva.setting('cva_clv_days') / horizon -%}
{%- set daily = (1 + cva.setting('cva_discount_rate')) ** (1 / 365) -%}
{{ margin }} * coalesce(clv_factor, (
                {%- for k in range(periods | round(0, 'ceil') | int) %}
                {#- DuckDB takes 1,000 terms in a row at most; a short horizon has more. #}
                {% if loop.first %}{% elif k % 100 == 0 %}) + ( {% else %}+ {% endif -%}
                power(horizon_retention_rate, {{ k }})
                * {{ '%.10f' | format([periods - k, 1] | min / daily ** ((k + 0.5) * horizon)) }}
                {%- endfor %}
            ))
{%- endif -%}
{%- endmacro %}


{#- Σ mean^1.5 of customers' expected values. -#}
{% macro total_spread(value) -%}
cast(sum(cast(power({{ value }}, 1.5) as decimal(28, 6))) as double)
{%- endmacro %}


{#- Variance of the log of a total, over predicted_value, `spread`, `dispersion` and `deviation`: see `cva_totals`. -#}
{% macro total_log_variance() -%}
ln(1 + (dispersion * spread + predicted_value * predicted_value * (exp(deviation * deviation) - 1))
                / nullif(predicted_value * predicted_value, 0))
{%- endmacro %}


{#- `cva_totals(condition)`: what the customers of customer_value for whom the condition holds will spend
    together, with an interval. What customers share, the error of the shop's total, does not average out:
    Var = φ·Σ mean^1.5 + mean²·(exp(σ²) − 1), with φ and σ of the deployed model, and a lognormal of that
    variance. Without them no interval is known. -#}
{% macro totals_function(value, growth) %}
{{- return(adapter.dispatch('totals_function', 'cva')(value, growth)) -}}
{% endmacro %}

{% macro default__totals_function(value, growth) -%}
{%- if execute -%}
{%- set row = run_query('select max(dispersion), max(total_deviation) from ' ~ growth).rows[0] -%}
{%- set dispersion, deviation = row[0], row[1] -%}
create or replace macro {{ adapter.quote(value.schema) }}.cva_totals(condition) as table
with sums as (
    select
        count(*) as customers_count,
        cast(sum(cast(historic_value as decimal(28, 6))) as double) as historic_value,
        cast(sum(cast(predicted_value as decimal(28, 6))) as double) as predicted_value,
        cast(sum(cast(predicted_orders as decimal(28, 6))) as double) as predicted_orders,
        cast(sum(cast(clv as decimal(28, 6))) as double) as clv,
        {{ cva.total_spread('predicted_value') }} as spread,
        cast({{ dispersion if dispersion is not none else 'null' }} as double) as dispersion,
        cast({{ deviation if deviation is not none else 'null' }} as double) as deviation
    from {{ adapter.quote(value.schema) }}.customer_value
    where condition
),
spreads as (select *, sqrt({{ cva.total_log_variance() }}) as log_deviation from sums)
select
    customers_count,
    historic_value,
    predicted_value,
    predicted_value * exp(-1.281552 * log_deviation - log_deviation * log_deviation / 2) as predicted_value_p10,
    predicted_value * exp(1.281552 * log_deviation - log_deviation * log_deviation / 2) as predicted_value_p90,
    predicted_orders,
    clv
from spreads
{%- endif -%}
{%- endmacro %}

{% macro spark__totals_function(value, growth) %}{% endmacro %}
