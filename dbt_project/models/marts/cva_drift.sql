-- One row per input (or output) of the deployed model and metric: how far the customers of this run are from
-- those of the day of its training. What moved as far between the dates that it learned from is usual: a
-- season, a shop that grows. About 20,000 customers at most are looked at, chosen by a hash, of whom a
-- training could learn: seen on a date, and not opted out. A few hundred stop nothing: see drift_least_rows.
{%- set psi_noise = cva.drift_noise('bins_count', 'observed.rows_count', 'reference_rows') %}

with distributions as (select * from {{ ref('cva', 'int_cva__distributions') }}),

features as (select * from {{ ref('cva', 'customer_features') }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

importance as (select * from {{ ref('cva', 'cva_feature_importance') }}),

spine as (select * from {{ ref('cva', 'int_cva__spine') }}),

opted_out as (
    {{ cva.opted_out() }}
),

learnable as (
    select features.*
    from features
    inner join spine
        on
            features.customer_id = spine.customer_id
            and features.as_of_date = spine.as_of_date
    left join opted_out on features.customer_id = opted_out.customer_id
    where spine.first_seen_date is not null and opted_out.customer_id is null
),

counted as (select count(*) as customers_count from learnable),

sampled as (
    select learnable.*
    from learnable
    cross join counted
    where
        {{ cva.hash_fraction('learnable.customer_id') }}
        < {{ cva.drift_rows() }} * 1.0 / nullif(counted.customers_count, 0)
),

scored as (
    select
        sampled.customer_id,
        scores.predicted_value,
        scores.purchase_probability
    from sampled
    inner join scores
        on
            sampled.customer_id = scores.customer_id
            and sampled.as_of_date = scores.as_of_date
),

-- As the model takes them: numbers of single precision, '' for a category that is not known.
observations as (
    {%- for feature in cva.features_on() %}
    select
        '{{ feature.name }}' as input,
        {{ 'cast(null as double)' if feature.kind == 'category'
            else 'cast(cast(' ~ feature.name ~ ' as float) as double)' }} as number,
        {{ "coalesce(" ~ feature.name ~ ", '')" if feature.kind == 'category'
            else 'cast(null as string)' }} as text
    from sampled
    union all
    {%- endfor %}
    select 'predicted_value', predicted_value, null from scored
    union all
    select 'purchase_probability', purchase_probability, null from scored
),

observed as (
    select
        max(as_of_date) as as_of_date,
        count(*) as rows_count
    from sampled
),

counts as (
    select
        observations.input,
        coalesce(distributions.bin, -1) as bin,
        count(*) as rows_count
    from observations
    left join distributions
        on
            observations.input = distributions.input
            and (
                (
                    observations.number > distributions.above
                    and observations.number <= distributions.up_to
                )
                or observations.text = distributions.text
            )
    group by 1, 2
),

shares as (
    select
        distributions.*,
        coalesce(counts.rows_count, 0) / nullif(cast(observed.rows_count as double), 0) as actual
    from distributions
    cross join observed
    left join counts
        on distributions.input = counts.input and distributions.bin = counts.bin
),

terms as (
    select
        *,
        greatest(share, 0.001) as floored_share,
        greatest(actual, 0.001) as floored_actual,
        (share + actual) / 2 as middle
    from shares
),

distances as (
    select
        input,
        kind,
        model_version,
        max(reference_rows) as reference_rows,
        count(*) as bins_count,
        max(usual_psi) as usual_psi,
        max(usual_jensen_shannon) as usual_jensen_shannon,
        max(usual_l_infinity) as usual_l_infinity,
        sum(cast(
            (floored_actual - floored_share) * ln(floored_actual / floored_share)
            as decimal(28, 12)
        )) as psi,
        sum(cast(
            (
                case when share > 0 then share * ln(share / middle) else 0 end
                + case when actual > 0 then actual * ln(actual / middle) else 0 end
            ) / (2 * ln(2))
            as decimal(28, 12)
        )) as jensen_shannon,
        max(abs(actual - share)) as l_infinity
    from terms
    group by input, kind, model_version
),

measured as (
    select
        input,
        kind,
        model_version,
        'psi' as metric,
        cast(psi as double) as value,
        usual_psi as usual,
        greatest({{ cva.setting('cva_drift_psi_threshold') }}, {{ cva.usual_multiple() }} * usual_psi)
        + {{ psi_noise }} as threshold
    from distances
    cross join observed
    where kind <> 'category'

    union all

    -- For a small shift the divergence in bits is the PSI over 8 ln 2.
    select
        input,
        kind,
        model_version,
        'jensen_shannon' as metric,
        cast(jensen_shannon as double) as value,
        usual_jensen_shannon as usual,
        greatest(
            {{ cva.setting('cva_drift_jensen_shannon_threshold') }},
            {{ cva.usual_multiple() }} * usual_jensen_shannon
        ) + {{ psi_noise }} / (8 * ln(2)) as threshold
    from distances
    cross join observed
    where kind <> 'category'

    union all

    -- The standard deviation of a share's difference is at most half of that root.
    select
        input,
        kind,
        model_version,
        'l_infinity' as metric,
        l_infinity as value,
        usual_l_infinity as usual,
        greatest(
            {{ cva.setting('cva_drift_l_infinity_threshold') }},
            {{ cva.usual_multiple() }} * usual_l_infinity
        )
        + 3.09 * 0.5 * sqrt(1.0 / nullif(observed.rows_count, 0) + 1.0 / nullif(reference_rows, 0))
            as threshold
    from distances
    cross join observed
    where kind = 'category'
),

-- An input's share of what the model looks at; alike where nothing was explained, 0 for outputs.
weights as (
    select
        distances.input,
        case
            when distances.kind = 'output' then 0
            when sum(importance.mean_absolute_attribution) over () > 0
                then
                    coalesce(importance.mean_absolute_attribution, 0)
                    / sum(importance.mean_absolute_attribution) over ()
            else 1.0 / nullif(count(*) over (partition by distances.kind <> 'output'), 0)
        end as importance
    from distances
    left join importance
        on
            distances.input = importance.feature
            and importance.level = 'feature'
),

moved as (
    select measured.input, max(weights.importance) as importance
    from measured
    inner join weights on measured.input = weights.input
    where measured.value > measured.threshold
    group by measured.input
),

moved_share as (
    select cast(coalesce(sum(cast(importance as decimal(28, 12))), 0) as double) as share from moved
),

final as (
    select
        measured.input,
        measured.metric,
        measured.kind,
        observed.as_of_date,
        measured.value,
        measured.usual,
        measured.threshold,
        measured.value > measured.threshold as is_anomaly,
        weights.importance,
        measured.value > measured.threshold
        and measured.kind <> 'output'
        and observed.rows_count >= {{ cva.drift_least_rows() }}
        and moved_share.share >= {{ cva.setting('cva_drift_blocking_share') }} as is_blocking,
        measured.model_version
    from measured
    inner join weights on measured.input = weights.input
    cross join observed
    cross join moved_share
    where observed.rows_count > 0
)

select * from final
