-- One row per customer, past as_of_date and label length: the features of that date and what was
-- spent in the `label_days` from it on. An order cancelled within the window does not count; one
-- cancelled later does, since nobody could have known. `cva_target` says what takes the place of spend.
{{ config(enabled=var('cva_spine') == 'training') }}
{%- set target = cva.setting('cva_target') %}
{%- set is_margin = target == 'margin' %}
{%- set has_spend_beside = target in ('margin', 'labels') %}

with features as (select * from {{ ref('cva', 'customer_features') }}),

dates as (select * from {{ ref('cva', 'int_cva__as_of_dates') }}),

orders as (
    select * from {{ ref('cva', 'int_cva__order_margins' if is_margin else 'int_cva__orders_valid') }}
),
{%- if target == 'labels' %}

stated as (select * from {{ ref('cva', 'int_cva__labels_valid') }}),
{%- endif %}

entries as (
    {{ cva.outcome_entries('orders') }}
),

labels as (
    select
        entries.customer_id,
        dates.as_of_date,
        dates.label_days,
        sum(entries.amount) as label_value,
        {%- if is_margin %}
        sum(entries.margin) as label_margin,
        {%- endif %}
        sum(entries.orders_count) as label_orders_count
    from dates
    inner join entries
        on
            entries.entry_date >= dates.as_of_date
            and entries.entry_date < {{ cva.add_days('dates.as_of_date', 'dates.label_days') }}
    where
        {{ cva.is_valid_on(
            'entries.cancelled_at', cva.add_days('dates.as_of_date', 'dates.label_days')
        ) }}
    group by entries.customer_id, dates.as_of_date, dates.label_days
),

final as (
    select
        features.*,
        dates.label_days,
        {%- if target == 'spend' %}
        greatest(coalesce(labels.label_value, 0), 0) as label_value,
        {%- elif is_margin %}
        greatest(coalesce(labels.label_margin, 0), 0) as label_value,
        {%- elif target == 'orders' %}
        coalesce(labels.label_orders_count, 0) as label_value,
        {%- else %}
        stated.value as label_value,
        {%- endif %}
        coalesce(labels.label_orders_count, 0) as label_orders_count
        {%- if has_spend_beside %},
        greatest(coalesce(labels.label_value, 0), 0) as label_spend,
        {{ 'greatest(-coalesce(labels.label_margin, 0), 0)' if is_margin else '0' }} as label_shortfall
        {%- endif %}
    from features
    inner join dates on features.as_of_date = dates.as_of_date
    left join labels
        on
            features.customer_id = labels.customer_id
            and dates.as_of_date = labels.as_of_date
            and dates.label_days = labels.label_days
    {%- if target == 'labels' %}
    left join stated
        on
            features.customer_id = stated.customer_id
            and features.as_of_date = stated.as_of_date
    {%- endif %}
)

select * from final
