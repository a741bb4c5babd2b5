{#- What the history keeps of each run. A run of `cva run` goes by the time it began, and counts once table
    cva_runs says ok; one of plain dbt and a date of `cva backfill` have an ending, and count at once. -#}

{#- The run that adds rows: `cva run` and `cva backfill` give its name in the environment. Asked for while
    the project is parsed, another name would have it parsed anew. -#}
{% macro run_id() %}
{{- return((env_var('CVA_RUN_ID', '') if execute) or run_started_at.strftime('%Y%m%dT%H%M%S%f') ~ '-dbt') -}}
{% endmacro %}


{#- Whether a row of the history predicted what is predicted now: values of another target are not to be compared
    with. Rows of before the target was kept are of spend, as models that name none. -#}
{% macro is_of_target(prefix='') -%}
coalesce({{ prefix }}target, 'spend') = '{{ cva.setting('cva_target') }}'
{%- endmacro %}


{#- Takes away rows of runs that published nothing, those whose date a later run has, and those of too long ago. -#}
{% macro prune_history(history) %}
{{- return(adapter.dispatch('prune_history', 'cva')(history)) -}}
{% endmacro %}

{% macro default__prune_history(history) %}
{% if execute and load_relation(history) is not none %}
{% set runs = adapter.get_relation(database=history.database, schema='main', identifier='cva_runs') %}
{% if runs is not none %}
delete from {{ history }} where
    not contains(run_id, '-')
    and run_id not in (
        select strftime(started_at, '%Y%m%dT%H%M%S%f') from {{ runs }}
        where command = 'run' and outcome = 'ok'
    );
{% endif %}
delete from {{ history }} as old where exists (
    select 1 from (select as_of_date, max(run_id) as run_id from {{ history }} group by as_of_date) as newest
    where newest.as_of_date = old.as_of_date and newest.run_id > old.run_id
);
delete from {{ history }} where
    -- A date that was mistyped for one to come must not empty it.
    as_of_date < (
        select least(max(as_of_date), cast({{ cva.now() }} as date)) from {{ history }}
    ) - {{ cva.setting('cva_history_days') }}
{% endif %}
{% endmacro %}

{% macro spark__prune_history(history) %}{% endmacro %}
