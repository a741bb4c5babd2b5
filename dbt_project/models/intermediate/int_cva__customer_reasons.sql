-- One row per explained customer: the three families that moved the prediction most, each by the feature
-- that moved it most in the family's direction. A feature that is known to be worth more or less never
-- speaks for the opposite, and one that moved less than a fifth of its family not for the family.
{%- set language = cva.setting('cva_language') %}
{%- set words = cva.quoted_words() %}

with attributions as (
    select * from {{ ref('cva', 'customer_value_explain') }} where attribution <> 0
),

catalog as (select * from {{ ref('cva', 'cva_feature_catalog') }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

judged as (
    select
        attributions.customer_id,
        attributions.as_of_date,
        attributions.family,
        attributions.family_attribution,
        attributions.value,
        attributions.reference_value,
        attributions.feature,
        attributions.rank,
        coalesce(
            catalog.is_reason
            and attributions.attribution * attributions.family_attribution > 0
            and abs(attributions.attribution) >= 0.2 * abs(attributions.family_attribution)
            and (
                catalog.direction = 0
                or catalog.kind = 'category'
                or attributions.attribution
                * catalog.direction
                * (
                    try_cast(attributions.value as double)
                    - try_cast(attributions.reference_value as double)
                )
                > 0
            ),
            false
        ) as is_fit
    from attributions
    inner join catalog on attributions.feature = catalog.feature
    -- What is written as +0.00 is no reason.
    where abs(attributions.family_attribution) >= 0.005
),

placed as (
    select
        *,
        row_number() over (
            partition by customer_id, as_of_date, family
            order by case when is_fit then 0 else 1 end, rank
        ) as place
    from judged
),

ranked as (
    select
        placed.*,
        scores.is_baseline,
        row_number() over (
            partition by placed.customer_id, placed.as_of_date
            order by abs(placed.family_attribution) desc, placed.family
        ) as reason_rank
    from placed
    inner join scores
        on
            placed.customer_id = scores.customer_id
            and placed.as_of_date = scores.as_of_date
    where placed.place = 1
),

written as (
    select
        ranked.*,
        {{ cva.feature_text('ranked.value', 'catalog.kind', 'catalog.unit', words) }} as value_text,
        {{ cva.feature_text('ranked.reference_value', 'catalog.kind', 'catalog.unit', words) }}
            as typical_text,
        {%- for case in cva.reason_cases() %}
        catalog.{{ cva.template_column(language, case) }}{{ '' if loop.last else ',' }}
        {%- endfor %}
    from ranked
    inner join catalog on ranked.feature = catalog.feature
    where ranked.reason_rank <= 3
),

worded as (
    select
        *,
        case
            when not is_fit then '{{ words.several }}'
            when is_baseline
                then replace(
                    {{ cva.template_for(language, 'value', 'value_text') }},
                    '{{ words.typical }}',
                    '{{ words.rule }}'
                )
            else {{ cva.template_for(language, 'value', 'value_text') }}
        end as words
    from written
),

told as (
    select
        customer_id,
        as_of_date,
        reason_rank,
        concat(
            replace(replace(words, '{value}', value_text), '{typical}', typical_text),
            '{{ words.colon }}',
            case when family_attribution > 0 then '+' else '-' end,
            case
                when abs(family_attribution) >= 99.5
                    then {{ cva.number_text('abs(family_attribution)', 0) }}
                else {{ cva.number_text('abs(family_attribution)', 2) }}
            end
        ) as reason
    from worded
),

final as (
    select
        customer_id,
        as_of_date,
        max(case when reason_rank = 1 then reason end) as reason_1,
        max(case when reason_rank = 2 then reason end) as reason_2,
        max(case when reason_rank = 3 then reason end) as reason_3
    from told
    group by customer_id, as_of_date
)

select * from final
