{#- How many customers cva_drift looks at: of so many the index itself is known to 0.001. -#}
{% macro drift_rows() %}{{ return(20000) }}{% endmacro %}


{#- Of fewer customers nothing is stopped: a bin of a tenth has less than thirty of them, and a few who come or
    go move it. What has moved is said all the same. -#}
{% macro drift_least_rows() %}{{ return(300) }}{% endmacro %}


{#- A distance is an anomaly beyond so many times the largest one between the dates of the training. -#}
{% macro usual_multiple() %}{{ return(1.5) }}{% endmacro %}


{#- What a PSI of two samples of one distribution stays below in 999 of 1,000 cases. It is χ² with bins − 1 degrees
    of freedom times 1/n + 1/m (Yurdakul and Naranjo 2020, "Statistical properties of the population stability
    index"); the quantile is Wilson and Hilferty's. -#}
{% macro drift_noise(bins, rows, reference_rows) -%}
(
            ({{ bins }} - 1)
            * power(
                1 - 2.0 / (9 * nullif({{ bins }} - 1, 0)) + 3.09 * sqrt(2.0 / (9 * nullif({{ bins }} - 1, 0))), 3
            )
            * (1.0 / nullif({{ rows }}, 0) + 1.0 / nullif({{ reference_rows }}, 0))
        )
{%- endmacro %}
