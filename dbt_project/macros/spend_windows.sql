{#- Every sum of spend over a customer's past: name -> term over age_days and <amount>. One list, since
    `cva_value: net` takes the same sums of refunds off them. -#}
{% macro spend_windows(horizon) %}
{% set terms = {'historic_value': '<amount>'} %}
{% for days in [30, 90, 180, 365] %}
    {% do terms.update({
        'spend_' ~ days ~ 'd': 'case when age_days <= ' ~ days ~ ' then <amount> else 0 end'
    }) %}
{% endfor %}
{% for n in range(1, 5) %}
    {% do terms.update({
        'spend_horizon_' ~ n: 'case when age_days > ' ~ horizon * (n - 1) ~ ' and age_days <= '
        ~ horizon * n ~ ' then <amount> else 0 end'
    }) %}
{% endfor %}
{% do terms.update({
    'spend_same_season': 'case when age_days > ' ~ (365 - horizon)
    ~ ' and age_days <= 365 then <amount> else 0 end'
}) %}
{% for scale in [30, 90, 180, 365] %}
    {% do terms.update({
        'decayed_spend' ~ ('' if scale == 180 else '_' ~ scale ~ 'd'):
        'cast(<amount> * exp(-age_days / ' ~ scale ~ '.0) as decimal(18, 4))'
    }) %}
{% endfor %}
{% do terms.update({
    'earlier_decayed_spend': 'case when age_days > ' ~ horizon ~ ' then cast(<amount> * exp(-(age_days - '
    ~ horizon ~ ') / 180.0) as decimal(18, 4)) end'
}) %}
{{ return(terms) }}
{% endmacro %}
