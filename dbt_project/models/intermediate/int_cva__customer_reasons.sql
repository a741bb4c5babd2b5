-- One row per explained customer: the three families that moved the prediction most, each by the feature
-- that moved it most in the family's direction. A feature that is known to be worth more or less never
-- speaks for the opposite, and one that moved less than a fifth of its family not for the family.
{%- set language = cva.setting('cva_language') %}
{%- set words = cva.reason_words()[language] %}
{%- set template = 'catalog.' ~ cva.template_column(language) %}

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
        attributions.rank,
        catalog.kind,
        catalog.unit,
        case
            when attributions.value = '1' then {{ cva.singular(template) }}
            else {{ template }}
        end as template,
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

worded as (
    select
        *,
        case
            when not is_fit then '{{ words.several }}'
            when is_baseline then replace(template, '{{ words.median }}', '{{ words.rule }}')
            else template
        end as words
    from ranked
    where reason_rank <= 3
),

told as (
    select
        customer_id,
        as_of_date,
        reason_rank,
        concat(
            replace(
                replace(words, '{value}', {{ cva.feature_text('value', 'kind', 'unit', words) }}),
                '{typical}',
                {{ cva.feature_text('reference_value', 'kind', 'unit', words) }}
            ),
            '{{ words.colon }}',
            case
                {%- for family, name in words.families.items() %}
                when family = '{{ family }}' then '{{ name }}'
                {%- endfor %}
                when true then family
            end,
            ' ',
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
