-- One row per date that the history has: what the run of that date predicted against what came, once its
-- horizon has passed, and before that the error it expected of itself. A run adds the dates that are new
-- and those that have passed since; the hook first takes those away. Rows of passed dates stay as they are,
-- unless the run that judged them published nothing. Dates that predicted another target than is asked for now
-- are left out.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='append_new_columns',
    pre_hook="{{ cva.prune_live_performance(
        this, ref('cva', 'customer_value_history'), ref('cva', 'int_cva__as_of_dates')
    ) }}"
) }}

with history as (
    select * from {{ ref('cva', 'customer_value_history') }} where {{ cva.is_of_target() }}
),

dates as (select * from {{ ref('cva', 'int_cva__as_of_dates') }}),

orders as (select * from {{ ref('cva', cva.outcome_orders()) }}),

entries as (
    {{ cva.outcome_entries('orders') }}
),

-- A date to come may be asked for, or mistyped; what comes until then nobody knows.
seen_from as (
    select
        max(as_of_date) as newest_date,
        least(max(as_of_date), cast({{ cva.now() }} as date)) as known_until
    from dates
),

runs as (
    select
        history.as_of_date,
        history.run_id,
        max(history.horizon_days) as horizon_days,
        {{ cva.add_days('history.as_of_date', 'max(history.horizon_days)') }} as ends_on
    from history
    where
        history.as_of_date <= (select newest_date from seen_from)
        {%- if cva.setting('cva_target') == 'labels' %}
        and 1 = 0
        {%- endif %}
        {%- if is_incremental() %}
        and history.as_of_date not in (select as_of_date from {{ this }})
        {%- endif %}
    group by history.as_of_date, history.run_id
),

predicted as (
    select
        history.customer_id,
        history.as_of_date,
        history.predicted_value,
        history.predicted_value_p10,
        history.predicted_value_p50,
        history.predicted_value_p90,
        history.model_version,
        history.dispersion,
        history.total_deviation,
        runs.run_id,
        runs.horizon_days,
        runs.ends_on,
        runs.ends_on <= seen_from.known_until as has_passed
    from history
    inner join runs on history.as_of_date = runs.as_of_date
    cross join seen_from
    where history.predicted_value is not null
),

outcomes as (
    select
        entries.customer_id,
        runs.as_of_date,
        sum({{ cva.outcome_column('entries') }}) as realised_value
    from runs
    inner join entries
        on entries.entry_date >= runs.as_of_date and entries.entry_date < runs.ends_on
    where {{ cva.is_valid_on('entries.cancelled_at', 'runs.ends_on') }}
    group by entries.customer_id, runs.as_of_date
),

compared as (
    select
        predicted.*,
        case
            when predicted.has_passed
                then cast(greatest(coalesce(outcomes.realised_value, 0), 0) as double)
        end as realised_value
    from predicted
    left join outcomes
        on
            predicted.customer_id = outcomes.customer_id
            and predicted.as_of_date = outcomes.as_of_date
),

-- Ranks from the smallest on, those of equals their mean, for the Gini of the order.
ranked as (
    select
        *,
        rank() over (partition by as_of_date order by predicted_value)
        + (count(*) over (partition by as_of_date, predicted_value) - 1) / 2.0 as predicted_rank,
        rank() over (partition by as_of_date order by realised_value)
        + (count(*) over (partition by as_of_date, realised_value) - 1) / 2.0 as realised_rank,
        count(*) over (partition by as_of_date) as customers_count,
        ntile(10) over (partition by as_of_date order by predicted_value desc, customer_id) as decile
    from compared
    where has_passed
),

rankings as (
    select
        as_of_date,
        sum(cast((2 * predicted_rank - customers_count - 1) * realised_value as decimal(38, 6)))
            as predicted_gini,
        sum(cast((2 * realised_rank - customers_count - 1) * realised_value as decimal(38, 6)))
            as perfect_gini
    from ranked
    group by as_of_date
),

deciles as (
    select
        as_of_date,
        avg(abs(predicted_sum - realised_sum) / nullif(realised_sum, 0)) as decile_error
    from (
        select
            as_of_date,
            decile,
            cast(sum(cast(predicted_value as decimal(28, 6))) as double) as predicted_sum,
            cast(sum(cast(realised_value as decimal(28, 6))) as double) as realised_sum
        from ranked
        group by as_of_date, decile
    ) as sums
    group by as_of_date
),

totals as (
    select
        as_of_date,
        max(run_id) as run_id,
        max(model_version) as model_version,
        max(horizon_days) as horizon_days,
        max(ends_on) as ends_on,
        bool_or(has_passed) as has_passed,
        count(*) as customers_count,
        cast(sum(cast(predicted_value as decimal(28, 6))) as double) as predicted_value,
        cast(sum(cast(realised_value as decimal(28, 6))) as double) as realised_value,
        {{ cva.total_spread('predicted_value') }} as spread,
        max(dispersion) as dispersion,
        max(total_deviation) as deviation,
        avg(case
            when realised_value is null then null
            when realised_value between predicted_value_p10 and predicted_value_p90 then 1.0
            else 0.0
        end) as interval_coverage,
        avg(cast(abs(predicted_value - realised_value) as decimal(28, 6))) as mean_absolute_error,
        -- Swanson's rule: the mean of a skewed quantity is near 0.3, 0.4 and 0.3 of its quantiles.
        avg(cast(
            0.3 * abs(predicted_value - predicted_value_p10)
            + 0.4 * abs(predicted_value - predicted_value_p50)
            + 0.3 * abs(predicted_value - predicted_value_p90)
            as decimal(28, 6)
        )) as expected_absolute_error
    from compared
    group by as_of_date
),

spreads as (select *, sqrt({{ cva.total_log_variance() }}) as log_deviation from totals),

final as (
    select
        spreads.as_of_date,
        spreads.run_id,
        spreads.model_version,
        cast(spreads.horizon_days as integer) as horizon_days,
        spreads.ends_on,
        spreads.has_passed,
        spreads.customers_count,
        spreads.predicted_value,
        spreads.predicted_value
        * exp(-1.644854 * log_deviation - log_deviation * log_deviation / 2) as predicted_value_p05,
        spreads.predicted_value
        * exp(1.644854 * log_deviation - log_deviation * log_deviation / 2) as predicted_value_p95,
        spreads.realised_value,
        spreads.realised_value / nullif(spreads.predicted_value, 0) as realised_ratio,
        spreads.realised_value between
        spreads.predicted_value
        * exp(-1.644854 * log_deviation - log_deviation * log_deviation / 2)
        and spreads.predicted_value
        * exp(1.644854 * log_deviation - log_deviation * log_deviation / 2) as is_total_within,
        cast(spreads.interval_coverage as double) as interval_coverage,
        cast(rankings.predicted_gini as double)
        / nullif(cast(rankings.perfect_gini as double), 0) as ngini,
        deciles.decile_error,
        cast(spreads.mean_absolute_error as double) as mean_absolute_error,
        cast(spreads.expected_absolute_error as double) as expected_absolute_error,
        case when spreads.has_passed then '{{ cva.run_id() }}' end as judged_by,
        cast('{{ cva.setting('cva_target') }}' as string) as target
    from spreads
    left join rankings on spreads.as_of_date = rankings.as_of_date
    left join deciles on spreads.as_of_date = deciles.as_of_date
)

select * from final
