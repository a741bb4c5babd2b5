-- What a customer did last was done before as_of_date, no later than what was done first, and is there
-- where it was counted. A user's own features are not known well enough: `cva check-features` is for them.
{%- set own = cva.setting('cva_feature_catalog_extra') | map(attribute='name') | list %}
{%- set counted = [] %}
{%- set dated = [] %}
{%- for feature in cva.features_on() if feature.name not in own %}
    {%- if feature.unit == 'count' %}{% do counted.append(feature.name) %}{% endif %}
    {%- if feature.unit == 'days' and feature.name.startswith('days_since_') %}
        {%- do dated.append(feature.name) %}
    {%- endif %}
{%- endfor %}

select *
from {{ ref('cva', 'customer_features') }}
where
    t_days < days_since_last_order
    {%- for days in dated %}
    or {{ days }} < 1
    {%- set count = days | replace('days_since_last_', '') ~ 's_count' %}
    {%- if count in counted %}
    or ({{ count }} > 0) <> ({{ days }} is not null)
    {%- endif %}
    {%- endfor %}
