{#- What a user may override: define `default__<name>` in the own project (dbt looks there first).
    Each returns a SQL expression over the columns named in its comment. -#}

{#- Over the canonical columns of orders: placed by the shop itself, to try something out. -#}
{% macro is_test_order() %}{{ return(adapter.dispatch('is_test_order', 'cva')()) }}{% endmacro %}
{% macro default__is_test_order() %}false{% endmacro %}


{#- Over orders.status: the order does not count. By the words of macros/order_statuses.sql, to which
    `cva_status_cancelled` and `cva_status_counts` add. -#}
{% macro is_cancelled() %}{{ return(adapter.dispatch('is_cancelled', 'cva')()) }}{% endmacro %}
{% macro default__is_cancelled() -%}
{{ cva.is_status('cancelled') }}
{%- endmacro %}


{#- Over orders.status: all of the order's money went back, and the order itself stays a sale. -#}
{% macro is_refunded() %}{{ return(adapter.dispatch('is_refunded', 'cva')()) }}{% endmacro %}
{% macro default__is_refunded() -%}
{{ cva.is_status('refunded') }}
{%- endmacro %}


{#- Over the canonical columns of orders and what `source_or_empty` says of them: why a row cannot be used,
    NULL where it can. -#}
{% macro order_reject_reason() %}
{{- return(adapter.dispatch('order_reject_reason', 'cva')()) -}}
{% endmacro %}
{% macro default__order_reject_reason() -%}
case
            {{ cva.reject_cases('orders') }}
            when amount = 0 or amount < 0 and {{ cva.is_cancelled() }} then 'amount_not_positive'
            when abs(amount) > 1e12 then 'amount_too_large'
            {%- set currency = cva.shop_currency() %}
            {%- if cva.is_exchanged('orders') %}
            {{ cva.exchange_case('orders') }}
            {%- elif currency is not none %}
            when upper(currency) <> {{ cva.upper_literal(currency) }} then 'other_currency'
            {%- endif %}
            when {{ cva.is_test_order() }} then 'test_order'
            when {{ cva.is_cancelled() }} and status_changed_at is null then 'cancelled'
            when amount < 0 then 'counted_as_return'
        end
{%- endmacro %}


{#- Over customer_features: the last order is longer ago than this customer's own rhythm explains.
    One and a half times the mean gap plus its standard deviation; no rhythm, not overdue. -#}
{% macro is_overdue() %}{{ return(adapter.dispatch('is_overdue', 'cva')()) }}{% endmacro %}
{% macro default__is_overdue() -%}
coalesce(days_since_last_order > 1.5 * gap_mean_days + coalesce(gap_std_days, 0), false)
{%- endmacro %}


{#- From the rank by predicted_value (1 = highest) and the number of customers. -#}
{% macro value_tier(rank, customers) %}
{{- return(adapter.dispatch('value_tier', 'cva')(rank, customers)) -}}
{% endmacro %}
{% macro default__value_tier(rank, customers) -%}
{%- set shares = cva.setting('cva_tier_shares') -%}
case
            when {{ rank }} <= ceil({{ shares[0] }} * {{ customers }}) then 'high'
            when {{ rank }} <= ceil({{ (shares[0] + shares[1]) | round(9) }} * {{ customers }}) then 'medium'
            else 'low'
        end
{%- endmacro %}


{#- The shop's one currency: `cva_currency`, else the one that most orders before `cva_as_of` have,
    none where none is known. -#}
{% macro shop_currency() %}
{% if cva.setting('cva_currency') %}{{ return(cva.setting('cva_currency')) }}{% endif %}
{% if not execute %}{{ return(none) }}{% endif %}
{% set rows = cva.rows_once(
    'select currency from (' ~ cva.canonical_rows('orders') ~ ') where currency is not null '
    ~ ("and ordered_at < timestamp '" ~ cva.setting('cva_as_of') ~ "' " if cva.setting('cva_as_of') else '')
    ~ 'group by currency order by count(*) desc, currency limit 1'
) %}
{{ return(rows[0][0] if rows | length else none) }}
{% endmacro %}


{#- Whether an order, by when it was cancelled, still counts on a date. One rule for features and labels. -#}
{% macro is_valid_on(cancelled_at, date) -%}
({{ cancelled_at }} is null or {{ cancelled_at }} >= cast({{ date }} as timestamp))
{%- endmacro %}
