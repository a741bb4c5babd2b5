-- One row per customer but those who are not eligible, with whom nothing is done: what to do next, by the macros
-- of macros/actions.sql, and whether it may be done. A stage of a project's own may be NULL.
{%- set knows_consent = cva.features_on() | selectattr('name', 'equalto', 'has_marketing_consent') | list %}

with segments as (select * from {{ ref('cva', 'customer_segments') }}),

features as (select * from {{ ref('cva', 'customer_features') }}),

planned as (
    select *, {{ cva.next_action() }} as action
    from segments
    where coalesce(lifecycle_stage, '') <> 'not_eligible'
),

decided as (
    select
        planned.*,
        {{ cva.next_is_marketing() }} as is_marketing,
        {{ 'features.has_marketing_consent = 1' if knows_consent else 'cast(null as boolean)' }}
            as has_marketing_consent
    from planned
    inner join features
        on
            planned.customer_id = features.customer_id
            and planned.as_of_date = features.as_of_date
),

final as (
    select
        customer_id,
        as_of_date,
        value_tier,
        lifecycle_stage,
        action,
        {{ cva.next_offer() }} as offer,
        {{ cva.next_channel() }} as channel,
        is_marketing,
        has_marketing_consent,
        coalesce(not is_marketing or has_marketing_consent, false) as is_allowed,
        predicted_value
    from decided
)

select * from final
