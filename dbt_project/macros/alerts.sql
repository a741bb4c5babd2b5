{#- Alerts about customers who leave. The first macros are what a user may override, as those of macros/rules.sql:
    each is a SQL expression over the columns of customer_features and customer_value (the latter's where both have
    one), last_order_date, and what an earlier one here gave: usual_value, money_at_stake, action. -#}

{#- What the customer usually spends in a horizon: the last year's spend, by the day. -#}
{% macro alert_usual_value() %}{{ return(adapter.dispatch('alert_usual_value', 'cva')()) }}{% endmacro %}
{% macro default__alert_usual_value() -%}
spend_365d * horizon_days / 365
{%- endmacro %}


{#- Over usual_value too: had a rhythm of their own, and is past it or expected to spend less than usual. Where no
    spend is predicted: or more likely gone than not. -#}
{% macro alert_is_leaving() %}{{ return(adapter.dispatch('alert_is_leaving', 'cva')()) }}{% endmacro %}
{% macro default__alert_is_leaving() -%}
order_days_count >= 2
            and (
                is_overdue
                or {{ 'predicted_value < usual_value' if cva.setting('cva_target') == 'spend' else 'churn_probability >= 0.5' }}
            )
{%- endmacro %}


{#- Over usual_value and predictions: the mean of max(0, usual - spend), from the three quantiles by Swanson's rule
    (0.3, 0.4, 0.3; Hurst, Brown and Swanson 2000). Where no spend is predicted: all of it, if nothing is bought. -#}
{% macro alert_money_at_stake() %}{{ return(adapter.dispatch('alert_money_at_stake', 'cva')()) }}{% endmacro %}
{% macro default__alert_money_at_stake() -%}
{%- if cva.setting('cva_target') == 'spend' -%}
0.3 * greatest(usual_value - predicted_value_p10, 0)
        + 0.4 * greatest(usual_value - predicted_value_p50, 0)
        + 0.3 * greatest(usual_value - predicted_value_p90, 0)
{%- else -%}
churn_probability * usual_value
{%- endif -%}
{%- endmacro %}


{#- What is suggested, by a name of your own. Whoever sent something back or gave a bad rating of late is asked
    first what went wrong, which is service and no marketing. -#}
{% macro alert_action() %}{{ return(adapter.dispatch('alert_action', 'cva')()) }}{% endmacro %}
{% macro default__alert_action() -%}
case
            when days_since_last_return <= 90 or (days_since_last_review <= 90 and rating_last <= 2)
                then 'ask_what_went_wrong'
            when value_tier = 'high' then 'personal_message'
            else 'win_back_offer'
        end
{%- endmacro %}


{#- Over action: it is marketing, which `cva alerts send` hands on with the customer's consent alone. -#}
{% macro alert_is_marketing() %}{{ return(adapter.dispatch('alert_is_marketing', 'cva')()) }}{% endmacro %}
{% macro default__alert_is_marketing() %}action <> 'ask_what_went_wrong'{% endmacro %}


{#- Who takes it: customers are dealt to `cva_alert_owners`, each always to the same. -#}
{% macro alert_owner() %}{{ return(adapter.dispatch('alert_owner', 'cva')()) }}{% endmacro %}
{% macro default__alert_owner() -%}
{%- set owners = cva.setting('cva_alert_owners') -%}
{%- if owners | length == 0 -%}
cast(null as string)
{%- else -%}
case cast(floor({{ cva.hash_fraction('customer_id') }} * {{ owners | length }}) as integer)
            {%- for owner in owners %}
            when {{ loop.index0 }} then '{{ owner | replace("'", "''") }}'
            {%- endfor %}
        end
{%- endif -%}
{%- endmacro %}


{#- The reason in words, in `cva_language`. -#}
{% macro alert_reason() %}{{ return(adapter.dispatch('alert_reason', 'cva')()) }}{% endmacro %}
{% macro default__alert_reason() -%}
{%- set says = {
    'en': {
        'gap': 'orders every ', 'since': ' days, last order ', 'usual': ' days ago; usually spends ', 'days': ' in ',
        'expected': ' days, expected now ', 'none': '; orders nothing with probability ', 'end': '%'
    },
    'zh': {
        'gap': '平均每 ', 'since': ' 天下单一次，距上次下单 ', 'usual': ' 天；通常消费 ', 'days': '（',
        'expected': ' 天），现预计 ', 'none': '；不下单的概率 ', 'end': '%'
    },
}[cva.setting('cva_language')] -%}
{%- set numbers = {
    'gap': cva.number_text('gap_mean_days', 0), 'since': cva.number_text('days_since_last_order', 0),
    'usual': cva.number_text('usual_value', 2), 'days': 'horizon_days',
    'expected': cva.number_text('predicted_value', 2),
    'none': cva.number_text('100 * churn_probability', 0)
} -%}
{%- if cva.setting('cva_target') != 'spend' -%}
    {%- do says.update({'none': {'en': ' days', 'zh': ' 天）'}[cva.setting('cva_language')] ~ says.none}) -%}
    {%- do says.pop('expected') -%}
{%- endif -%}
concat(
            {%- for name, text in says.items() %}
            '{{ text }}'{{ ', ' ~ numbers[name] if name in numbers }}{{ ',' if not loop.last }}
            {%- endfor %}
        )
{%- endmacro %}


{#- Columns of customer_value that alerts may be made of. -#}
{% macro alert_value_columns() %}
{{ return([
    'horizon_days', 'score', 'value_percentile', 'value_tier', 'score_status', 'historic_value', 'predicted_value',
    'predicted_value_p10', 'predicted_value_p50', 'predicted_value_p90', 'purchase_probability',
    'predicted_value_if_purchase', 'predicted_orders', 'churn_probability', 'churn_risk', 'expected_next_order_date',
    'is_overdue', 'clv', 'reason_1', 'reason_2', 'reason_3'
]) }}
{% endmacro %}


{#- Features that the defaults above read, of families that may be off: NULL then. -#}
{% macro alert_features() %}
{{ return(['days_since_last_return', 'days_since_last_review', 'rating_last', 'has_marketing_consent']) }}
{% endmacro %}


{#- What alerts, and the queue of service, may be made of: columns of `features` and `customer_values`. -#}
{% macro alert_customer_columns() -%}
{%- set features_on = cva.features_on() | map(attribute='name') | list -%}
{%- for name in features_on if name not in cva.alert_value_columns() %}
        features.{{ name }},
        {%- endfor %}
        {%- for name in cva.alert_features() if name not in features_on %}
        cast(null as double) as {{ name }},
        {%- endfor %}
        {%- for name in cva.alert_value_columns() %}
        customer_values.{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
{%- endmacro %}


{#- column -> type of churn_alerts. -#}
{% macro alert_columns() %}
{{ return({
    'alert_id': 'string', 'customer_id': 'string', 'last_order_date': 'date', 'state': 'string',
    'raised_on': 'date', 'as_of_date': 'date', 'horizon_days': 'integer', 'usual_value': 'double',
    'predicted_value': 'double', 'churn_probability': 'double', 'money_at_stake': 'double',
    'threshold_value': 'double', 'days_since_last_order': 'integer', 'gap_mean_days': 'double', 'reason': 'string',
    'action': 'string', 'is_marketing': 'boolean', 'has_marketing_consent': 'boolean', 'owner': 'string',
    'acted_on': 'date', 'has_bought': 'boolean', 'spend_in_horizon': 'decimal(18, 4)'
}) }}
{% endmacro %}


{#- The alerts that were raised before, by the id that the customer has now; none on the first run. -#}
{% macro alerts_so_far(alerts, exists) -%}
select
    {%- for column, type in cva.alert_columns().items() %}
    {{ ('alerts.' if exists else 'cast(null as ' ~ type ~ ') as ') ~ column }},
    {%- endfor %}
    {%- if exists %}
    coalesce(ids.customer_id, alerts.customer_id) as person_id
from {{ alerts }} as alerts
left join {{ ref('cva', 'int_cva__customer_ids') }} as ids on alerts.customer_id = ids.raw_id
    {%- else %}
    cast(null as string) as person_id
from (select 1) as nothing
where 1 = 0
    {%- endif %}
{%- endmacro %}


{#- What `cva alerts ack` and `resolve` wrote, by alert: when each first came. None without the table. -#}
{% macro alert_acks() -%}
{%- set table = adapter.get_relation(
    database=target.database, schema=target.schema, identifier='cva_alert_acks') if execute else none -%}
select
    alert_id,
    cast(min(case when event = 'acted' then noted_at end) as date) as acted_on,
    cast(min(case when event = 'resolved' then noted_at end) as date) as resolved_on
{%- if table %}
from {{ table }}
{%- else %}
from (
    select
        cast(null as string) as alert_id, cast(null as string) as event, cast(null as timestamp) as noted_at
    from (select 1) as nothing
    where 1 = 0
) as acks
{%- endif %}
group by alert_id
{%- endmacro %}
