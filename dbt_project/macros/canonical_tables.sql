{#- The raw tables and their columns: name -> [SQL type, required]. `cva load` reads this macro too.
    Types: id (VARCHAR; a whole DOUBLE goes through BIGINT), money (DECIMAL(18,4)), time (TIMESTAMP in
    cva_timezone), number, integer, text, flag. -#}
{% macro canonical_tables() %}
{% set tables = {
    "orders": {
        "order_id": ["id", true],
        "customer_id": ["id", true],
        "ordered_at": ["time", true],
        "amount": ["money", true],
        "status": ["text", false],
        "status_changed_at": ["time", false],
        "discount_amount": ["money", false],
        "currency": ["text", false],
        "channel": ["text", false],
    },
    "order_items": {
        "order_id": ["id", true],
        "product_id": ["id", true],
        "quantity": ["number", false],
        "unit_price": ["money", false],
    },
    "products": {
        "product_id": ["id", true],
        "name": ["text", false],
        "category": ["text", false],
        "unit_cost": ["money", false],
    },
    "customers": {
        "customer_id": ["id", true],
        "signed_up_at": ["time", false],
        "age": ["number", false],
        "gender": ["text", false],
        "occupation": ["text", false],
        "country": ["text", false],
        "acquisition_channel": ["text", false],
        "marketing_consent": ["flag", false],
        "valid_from": ["time", false],
    },
    "reviews": {
        "review_id": ["id", false],
        "customer_id": ["id", true],
        "product_id": ["id", false],
        "order_id": ["id", false],
        "reviewed_at": ["time", true],
        "rating": ["number", false],
        "body": ["text", false],
    },
    "returns": {
        "return_id": ["id", false],
        "order_id": ["id", false],
        "customer_id": ["id", false],
        "returned_at": ["time", true],
        "refund_amount": ["money", true],
    },
} %}
{{ return(tables) }}
{% endmacro %}
