-- One row per raw row of a customer whom marketing reached, or of the control group left alone.
{{ cva.staged('marketing_touches', also="
            when cost < 0 then 'cost_negative'
            when cost > 1e12 then 'cost_too_large'") }}
