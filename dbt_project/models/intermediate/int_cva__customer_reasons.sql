-- One row per explained customer: the three families that moved the prediction most, each by the feature
-- that moved it most in the family's direction. A feature that is known to be worth more or less never
-- speaks for the opposite, so a family without a fit one is left out.
{%- set language = cva.setting('cva_language') %}
{%- set words = cva.reason_words()[language] %}

with attributions as (
    select * from {{ ref('cva', 'customer_value_explain') }} where attribution <> 0
),

catalog as (select * from {{ ref('cva', 'cva_feature_catalog') }}),

scores as (select * from {{ ref('cva', 'int_cva__customer_scores') }}),

fit as (
    select
        attributions.customer_id,
        attributions.as_of_date,
        attributions.family,
        attributions.family_attribution,
        attributions.value,
        attributions.reference_value,
        catalog.kind,
        catalog.unit,
        case
            when attributions.value = '1'
                then {{ cva.singular('catalog.' ~ cva.template_column(language)) }}
            else catalog.{{ cva.template_column(language) }}
        end as template,
        row_number() over (
            partition by attributions.customer_id, attributions.as_of_date, attributions.family
            order by attributions.rank
        ) as place
    from attributions
    inner join catalog on attributions.feature = catalog.feature
    where
        catalog.is_reason
        -- What is written as +0.00 is no reason.
        and abs(attributions.family_attribution) >= 0.005
        and attributions.attribution * attributions.family_attribution > 0
        and (
            catalog.direction = 0
            or catalog.kind = 'category'
            or attributions.value is null
            or attributions.reference_value is null
            or attributions.attribution
            * catalog.direction
            * (
                try_cast(attributions.value as double)
                - try_cast(attributions.reference_value as double)
            )
            > 0
        )
),

ranked as (
    select
        *,
        row_number() over (
            partition by customer_id, as_of_date order by abs(family_attribution) desc, family
        ) as reason_rank
    from fit
    where place = 1
),

told as (
    select
        ranked.customer_id,
        ranked.as_of_date,
        ranked.reason_rank,
        concat(
            replace(
                replace(
                    ranked.template, '{value}',
                    {{ cva.feature_text('ranked.value', 'ranked.kind', 'ranked.unit', words) }}
                ),
                '{typical}',
                {{ cva.feature_text('ranked.reference_value', 'ranked.kind', 'ranked.unit', words) }}
            ),
            '{{ words.colon }}',
            case
                {%- for family, name in words.families.items() %}
                when ranked.family = '{{ family }}' then '{{ name }}'
                {%- endfor %}
                when true then ranked.family
            end,
            ' ',
            case when ranked.family_attribution > 0 then '+' else '-' end,
            case
                when abs(ranked.family_attribution) >= 99.5
                    then {{ cva.number_text('abs(ranked.family_attribution)', 0) }}
                else {{ cva.number_text('abs(ranked.family_attribution)', 2) }}
            end
        ) as reason
    from ranked
    where ranked.reason_rank <= 3
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
