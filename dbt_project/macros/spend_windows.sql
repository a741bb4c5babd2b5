{#- Every sum of spend over a customer's past: name -> SQL over age_days, the columns of `decays` and
    <amount>. One list, since `cva_value: net` takes the same sums of refunds off them. -#}
{% macro spend_windows(horizon) %}
{% set sums = {'historic_value': 'sum(<amount>)'} %}
{% for days in [30, 90, 180, 365] %}
    {% do sums.update({
        'spend_' ~ days ~ 'd': 'sum(case when age_days <= ' ~ days ~ ' then <amount> else 0 end)'
    }) %}
{% endfor %}
{% for n in range(1, 5) %}
    {% set is_past_the_later_ones = 'age_days > ' ~ horizon * (n - 1) ~ ' and ' if n > 1 else '' %}
    {% do sums.update({
        'spend_horizon_' ~ n: 'sum(case when ' ~ is_past_the_later_ones ~ 'age_days <= ' ~ horizon * n
        ~ ' then <amount> else 0 end)'
    }) %}
{% endfor %}
{% do sums.update({
    'spend_same_season': 'sum(case when age_days > ' ~ (365 - horizon)
    ~ ' and age_days <= 365 then <amount> else 0 end)'
}) %}
{% for scale in [30, 90, 180, 365] %}
    {% do sums.update({
        'decayed_spend' ~ ('' if scale == 180 else '_' ~ scale ~ 'd'):
        cva.rounded_sum('<amount> * decay_' ~ scale ~ 'd', 4)
    }) %}
{% endfor %}
{% do sums.update({
    'earlier_decayed_spend': cva.rounded_sum('<amount> * earlier_decay', 4)
}) %}
{{ return(sums) }}
{% endmacro %}


{#- What the terms above weigh by, once per row. `earlier_decay` is decay_180d as it stood one horizon ago. -#}
{% macro decays(horizon) %}
        {%- for scale in [30, 90, 180, 365] %}
        exp(-age_days / {{ scale }}.0) as decay_{{ scale }}d,
        {%- endfor %}
        case when age_days > {{ horizon }} then exp(-(age_days - {{ horizon }}) / 180.0) else 0 end
            as earlier_decay
{%- endmacro %}
