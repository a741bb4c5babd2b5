-- One row per raw row of what is in store; of several of a product those of the newest `as_of` count together.
{{ cva.staged('stock', also="
            when abs(on_hand) > 1e12 then 'on_hand_too_large'") }}
