{#- What to do next with a customer: SQL expressions over the columns of customer_segments, of which a project
    may override each. -#}

{#- The service strategy, by stage and tier. -#}
{% macro next_action() %}{{ return(adapter.dispatch('next_action', 'cva')()) }}{% endmacro %}
{% macro default__next_action() -%}
case
            when lifecycle_stage = 'no_order' then 'invite_to_first_order'
            when lifecycle_stage = 'new' then 'welcome'
            when lifecycle_stage = 'reactivated' then 'welcome_back'
            when value_tier = 'low' then 'leave_alone'
            when lifecycle_stage = 'active' and value_tier = 'high' then 'thank'
            when lifecycle_stage = 'active' then 'suggest_products'
            when lifecycle_stage = 'lost' or value_tier = 'medium' and lifecycle_stage = 'at_risk'
                then 'win_back_offer'
            when value_tier = 'high' then 'personal_message'
            else 'remind'
        end
{%- endmacro %}


{#- Over action: what goes with it; NULL for none. -#}
{% macro next_offer() %}{{ return(adapter.dispatch('next_offer', 'cva')()) }}{% endmacro %}
{% macro default__next_offer() -%}
case
            when action = 'win_back_offer' then 'voucher'
            when action = 'invite_to_first_order' then 'free_shipping'
        end
{%- endmacro %}


{#- Over action: the way it goes; NULL where nothing is done. -#}
{% macro next_channel() %}{{ return(adapter.dispatch('next_channel', 'cva')()) }}{% endmacro %}
{% macro default__next_channel() -%}
case
            when action = 'leave_alone' then cast(null as string)
            when action = 'personal_message' then 'phone'
            else 'email'
        end
{%- endmacro %}


{#- Over action: whether it takes consent to marketing. -#}
{% macro next_is_marketing() %}{{ return(adapter.dispatch('next_is_marketing', 'cva')()) }}{% endmacro %}
{% macro default__next_is_marketing() %}action not in ('leave_alone', 'welcome', 'thank'){% endmacro %}
