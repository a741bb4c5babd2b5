-- One row per reason family and one per feature: how much money it moves in a prediction on average over
-- the explained customers, with a 95 % interval over customers (normal approximation).
with attributions as (select * from {{ ref('cva', 'customer_value_explain') }}),

-- Not those with a row above: of a customer who is the typical one zeros may have been left out.
explained as (
    select count(feature_attributions) as customers_count
    from {{ ref('cva', 'int_cva__customer_explanations') }}
),

families as (
    select
        customer_id,
        family,
        max(family_attribution) as attribution
    from attributions
    group by customer_id, family
),

moved as (
    select
        'family' as level,
        family,
        cast(null as string) as feature,
        attribution
    from families

    union all

    select
        'feature' as level,
        family,
        feature,
        attribution
    from attributions
),

means as (
    select
        moved.level,
        moved.family,
        moved.feature,
        explained.customers_count,
        sum(cast(moved.attribution as decimal(28, 6))) / nullif(explained.customers_count, 0)
            as mean_attribution,
        sum(cast(abs(moved.attribution) as decimal(28, 6))) / nullif(explained.customers_count, 0)
            as mean_absolute_attribution,
        sum(cast(moved.attribution * moved.attribution as decimal(38, 6)))
            / nullif(explained.customers_count, 0) as mean_square
    from moved
    cross join explained
    group by moved.level, moved.family, moved.feature, explained.customers_count
),

spread as (
    select
        *,
        1.96 * sqrt(
            greatest(mean_square - mean_absolute_attribution * mean_absolute_attribution, 0)
            / customers_count
        ) as half_width
    from means
),

final as (
    select
        level,
        family,
        feature,
        customers_count,
        cast(mean_absolute_attribution as double) as mean_absolute_attribution,
        cast(greatest(mean_absolute_attribution - half_width, 0) as double)
            as mean_absolute_attribution_lower,
        cast(mean_absolute_attribution + half_width as double) as mean_absolute_attribution_upper,
        cast(mean_attribution as double) as mean_attribution,
        cast(
            row_number() over (
                partition by level
                order by mean_absolute_attribution desc, family, feature
            ) as integer
        ) as rank
    from spread
)

select * from final
