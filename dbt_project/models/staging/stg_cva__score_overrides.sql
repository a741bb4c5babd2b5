-- One row per raw row that says which tier a customer is in, whatever the model says; of several of a customer
-- the one that holds longest is used.
{{ cva.staged('score_overrides', also="
            when lower(tier) not in ('high', 'medium', 'low') then 'tier_unknown'") }}
