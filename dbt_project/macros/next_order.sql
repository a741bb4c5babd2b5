{#- Days until an order is likelier than not, whole; null where it never is. Over purchase_probability,
    order_stages, gap_mean_days and days_since_last_order. At a constant rate where gaps are no more
    regular than by chance (one stage) or the customer has none. Else by the customer's own mean gap: with
    k stages gaps are Erlang-k, here a Weibull of the same median and nearly the same variation, since
    what is left of its median after some days without an order has a closed form. The probability
    over the horizon says how likely the customer is to order again at all. -#}
{% macro next_order_days() %}{{ return(adapter.dispatch('next_order_days', 'cva')()) }}{% endmacro %}
{% macro default__next_order_days() -%}
{%- set horizon = cva.setting('cva_horizon_days') -%}
{%- set rate = '(-ln(1 - least(purchase_probability, 0.999999)) / ' ~ horizon ~ ')' -%}
{%- set shape = 'power(order_stages, 0.54)' -%}
{%- set scale -%}
(gap_mean_days * (1 - 1.0 / (3 * order_stages)) / power(ln(2), 1 / {{ shape }}))
{%- endset -%}
{%- set waited = 'power(days_since_last_order / ' ~ scale ~ ', ' ~ shape ~ ')' -%}
{%- set end -%}
power((days_since_last_order + {{ horizon }}) / {{ scale }}, {{ shape }})
{%- endset -%}
{%- set alive -%}
least(purchase_probability / nullif(1 - exp({{ waited }} - {{ end }}), 0), 1)
{%- endset -%}
case
            when order_stages > 1 and gap_mean_days > 0
                then case
                    when {{ alive }} > 0.5
                        then greatest(ceil(
                            {{ scale }} * power(
                                {{ waited }} - ln(1 - 0.5 / {{ alive }}), 1 / {{ shape }}
                            ) - days_since_last_order - 0.5
                        ), 0)
                end
            when {{ rate }} > 0 then ceil(ln(2) / {{ rate }})
        end
{%- endmacro %}
