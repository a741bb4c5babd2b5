{#- What customers turned out to be worth: entries of a customer and day that add up over a window, for training and
    for looking back. `orders` is a CTE of what `outcome_orders` names. -#}
{% macro outcome_entries(orders) -%}
{%- set is_margin = cva.setting('cva_target') == 'margin' -%}
select
        customer_id,
        order_date as entry_date,
        cancelled_at,
        amount,
        {%- if is_margin %}
        margin,
        {%- endif %}
        1 as orders_count
    from {{ orders }}
    {%- if cva.setting('cva_value') == 'net' %}
    union all
    select customer_id, return_date, null, -refund_amount{{ ', -refund_amount' if is_margin }}, 0
    from {{ ref('cva', 'int_cva__refunds') }}
    {%- endif %}
{%- endmacro %}


{#- The model with the orders that outcomes are made of. -#}
{% macro outcome_orders() %}
{{ return('int_cva__order_margins' if cva.setting('cva_target') == 'margin' else 'int_cva__orders_valid') }}
{% endmacro %}


{#- What of an entry the target counts. -#}
{% macro outcome_column(entry) %}
{{ return(entry ~ '.' ~ {'margin': 'margin', 'orders': 'orders_count'}.get(cva.setting('cva_target'), 'amount')) }}
{% endmacro %}


{#- Takes away what a run computes anew: dates whose window has passed since, those that another run speaks for now,
    those that the history keeps no more, and what came by a run that published nothing or looked further ahead. And
    those that predicted another target, of which it says how many there are. `history` is what the last run of each
    date said. -#}
{% macro prune_live_performance(live, history, dates) %}
{{- return(adapter.dispatch('prune_live_performance', 'cva')(live, history, dates)) -}}
{% endmacro %}

{% macro default__prune_live_performance(live, history, dates) %}
{% if execute and load_relation(live) is not none %}
{% set runs = adapter.get_relation(database=live.database, schema='main', identifier='cva_runs') %}
{% set names = adapter.get_columns_in_relation(live) | map(attribute='name') | list %}
{% set is_of_target = cva.is_of_target() if 'target' in names else cva.setting('cva_target') == 'spend' %}
{% do cva.say_other_targets(live, history, is_of_target) %}
delete from {{ live }} where has_passed <> (
    ends_on <= (select least(max(as_of_date), cast({{ cva.now() }} as date)) from {{ dates }})
);
delete from {{ live }} where not ({{ is_of_target }});
{% if runs is not none and 'judged_by' in names %}
delete from {{ live }} where
    not contains(judged_by, '-')
    and judged_by not in (
        select strftime(started_at, '%Y%m%dT%H%M%S%f') from {{ runs }}
        where command = 'run' and outcome = 'ok'
    );
{% endif %}
delete from {{ live }} as old where not exists (
    select 1 from (select as_of_date, max(run_id) as run_id from {{ history }} group by as_of_date) as newest
    where newest.as_of_date = old.as_of_date and newest.run_id = old.run_id
)
{% endif %}
{% endmacro %}

{% macro spark__prune_live_performance(live, history, dates) %}{% endmacro %}


{#- Says how many dates are compared with nothing from now on, as the last run of each predicted another target: once,
    where their rows go. -#}
{% macro say_other_targets(live, history, is_of_target) %}
{% set dates, targets = run_query(
    'select count(distinct as_of_date), string_agg(distinct target, \' and \' order by target) from ' ~ history
    ~ ' where not (' ~ cva.is_of_target() ~ ') and as_of_date in (select as_of_date from ' ~ live
    ~ ' where not (' ~ is_of_target ~ '))').rows[0] %}
{% if dates %}
{% do log(
    'cva: ' ~ dates ~ ' date' ~ ('s' if dates > 1 else '') ~ ' of customer_value_history predicted ' ~ targets ~ ', not '
    ~ cva.setting('cva_target') ~ '; cva_live_performance, segment_moves and segment_flows leave '
    ~ ('them' if dates > 1 else 'it') ~ ' out', info=true) %}
{% endif %}
{% endmacro %}
