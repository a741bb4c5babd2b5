{#- What a customer is to the shop: stage and named segment. Each may be overridden: define `default__<name>`
    in the own project. -#}

{#- Days between two orders that are usual for a customer, over customer_features and `shop_gap_days`, the
    median customer's: the own mean gap, with one gap of the shop's added, since few gaps say little. -#}
{% macro usual_gap_days() %}{{ return(adapter.dispatch('usual_gap_days', 'cva')()) }}{% endmacro %}
{% macro default__usual_gap_days() -%}
((coalesce(recency_days, 0) + shop_gap_days) / (coalesce(frequency, 0) + 1))
{%- endmacro %}


{#- The life-cycle stage, over customer_features, `usual_gap_days`, `shop_gap_days` and churn_risk. A stage
    late in the own rhythm is taken back where the model says that the customer is likely to buy; who
    ordered again after a break of the length that counts as lost is reactivated. -#}
{% macro lifecycle_stage() %}{{ return(adapter.dispatch('lifecycle_stage', 'cva')()) }}{% endmacro %}
{% macro default__lifecycle_stage() -%}
{%- set cooling, at_risk, lost = cva.setting('cva_stage_gaps') -%}
{%- set waited = 'days_since_last_order / nullif(usual_gap_days, 0)' -%}
case
            when orders_count = 0 then 'no_order'
            when {{ waited }} >= {{ lost }} and churn_risk = 'high' then 'lost'
            when {{ waited }} >= {{ at_risk }} and churn_risk <> 'low' then 'at_risk'
            when {{ waited }} >= {{ cooling }} then 'cooling'
            when order_days_count = 1 then 'new'
            -- The rhythm before the last gap, as usual_gap_days has it.
            when
                gap_last_days >= {{ lost }}
                * (recency_days - gap_last_days + shop_gap_days) / nullif(frequency, 0)
                then 'reactivated'
            else 'active'
        end
{%- endmacro %}


{#- A fifth from 1 to 5 by the share of customers who have less; equals share it. -#}
{% macro rfm_score(rank) %}least(floor(5 * {{ rank }}) + 1, 5){% endmacro %}


{#- The eleven named segments, over rfm_recency and rfm_frequency_monetary, each 1 to 5. -#}
{% macro rfm_segment() %}{{ return(adapter.dispatch('rfm_segment', 'cva')()) }}{% endmacro %}
{% macro default__rfm_segment() -%}
case
            when rfm_recency is null then null
            when rfm_recency = 5 and rfm_frequency_monetary >= 4 then 'champions'
            when rfm_recency >= 3 and rfm_frequency_monetary >= 4 then 'loyal'
            when rfm_recency >= 4 and rfm_frequency_monetary >= 2 then 'potential_loyalists'
            when rfm_recency = 5 then 'new_customers'
            when rfm_recency = 4 then 'promising'
            when rfm_recency = 3 and rfm_frequency_monetary = 3 then 'need_attention'
            when rfm_recency = 3 then 'about_to_sleep'
            when rfm_frequency_monetary = 5 then 'cannot_lose'
            when rfm_frequency_monetary >= 3 then 'at_risk'
            when rfm_recency = 2 or rfm_frequency_monetary = 2 then 'hibernating'
            else 'lost'
        end
{%- endmacro %}
