{#- The raw tables that a shop may have, each said once. dbt loops over them from staging to rejects, `cva
    load` and `cva init --scan` read them too (and without dbt, so `raw_tables` calls nothing). Per table:

    role     facts (what happened), entities (what it happened to), people (the customers), identity (who is
             who) or outcomes (what customers turned out, or are said, to be worth: shows of nobody that they
             were there)
    date     of facts: when they happened, the one time by which they are in the past; none without one
    is_plan  of facts with a date: known beforehand, so that it may be to come
    of       of facts without a date: the table whose row dates them, by that table's key
    since    of people: the times from the latest of which on a row is known
    states   other times -> the columns that nobody knew before then
    moves_as_of  of facts with a date: the shop was open then, so that `cva_as_of` follows the newest
    key      the columns that two copies of a row have in common; [] where no row is a copy
    kept     of the copies, the first in this order of staging's columns is used
    replaces of a later `cva load --append`: the columns by which its rows take the place of those that are
             there, all rows of one value together; left out: the key. Where the first is NULL, whole rows
             are compared
    valid    where staging does not have the last word: the model of the usable rows, and the reason of
             the others
    daily    of a table too large for a look at each row: the model of its days, with rows, customer and
             reject_reason of each, which everything but that model reads in place of staging
    family   the family that alone reads the table, so that with it off the table is left alone
    columns  name -> [kind, required, what the shop may call it], the last as `concept concept=how sure`
    contact  columns that `cva_customer_key` may be made of and `cva audience` exports, and nothing else reads
    aliases  name -> another that a table may give it
    tells    columns of which a table has to have one to be taken for this one
    name     the concepts of the table's own name
    words    words for concepts, beside those that cli/shop/column_meanings.py has for columns of any table

    Kinds: id (text; a whole DOUBLE goes through BIGINT), person (an id; NULL, nan, N/A are nobody), money (DECIMAL(18,4)), time (TIMESTAMP in
    cva_timezone), number, integer, text, flag, vector (a list of numbers; all of a column are as wide as most). -#}
{% macro raw_tables() %}
{% set tables = {
    "orders": {
        "role": "facts",
        "date": "ordered_at",
        "moves_as_of": true,
        "states": {"status_changed_at": ["status", "status_changed_at"], "updated_at": []},
        "key": ["order_id", "store", "customer_id"],
        "kept": ["updated_at desc nulls last", "ordered_at", "amount", "cancelled_at", "discount_amount", "channel"],
        "replaces": ["order_id", "store"],
        "valid": ["int_cva__orders_valid", "duplicate_order_id"],
        "columns": {
            "order_id": ["id", true, "order id=1, order=.75, id=.75"],
            "customer_id": ["person", true, "customer id=1, customer=.8"],
            "ordered_at": ["time", true, "order time=1, time=.9, created time=.8, created=.65"],
            "amount": ["money", true, "order amount=1, amount=.95, price amount=.95, order price=.7, price=.65, partial=.7, partial price=.7"],
            "status": ["text", false, "status=.95, order status=1"],
            "status_changed_at": ["time", false, "status changed time=1, status time=.95, status changed=.9, cancelled time=.75, changed time=.6"],
            "discount_amount": ["money", false, "discount amount=1, discount=.85"],
            "currency": ["text", false, "currency=1"],
            "channel": ["text", false, "channel=.9, order channel=1"],
            "tax_amount": ["money", false, "tax amount=1, tax=.9"],
            "shipping_amount": ["money", false, "shipping amount=1, shipping=.8, shipping cost=.9, shipping price=.9"],
            "refunded_amount": ["money", false, "return amount=1, return=.7"],
            "store": ["id", false, "store=.9, store id=1, store name=.8"],
            "updated_at": ["time", false, "changed time=.9, changed=.8"],
            "email": ["text", false, ""],
            "phone": ["text", false, ""],
        },
        "contact": ["email", "phone"],
        "name": "order",
        "words": {
            "order": "order ord purchase transaction trans invoice sale receipt ordered bestellung bestell bestellt auftrag rechnung kauf beleg transaktion verkauf commande achat facture vente pedido compra venta factura dingdan xiaoshou xiadan 订单 下单 销售 交易",
        },
    },
    "order_items": {
        "role": "facts",
        "of": "orders",
        "key": [],
        "replaces": ["order_id", "store"],
        "columns": {
            "order_id": ["id", true, "order id=1, order=.8"],
            "product_id": ["id", true, "product id=1, product=.8"],
            "quantity": ["number", false, "quantity=1"],
            "unit_price": ["money", false, "unit price=1, price=.9, product price=.9"],
            "line_id": ["id", false, "line id=1"],
            "store": ["id", false, "store=.9, store id=1, store name=.8"],
            "currency": ["text", false, "currency=1"],
        },
        "name": "order line",
        "words": {
            "line": "item line position pos detail zeile ligne linea renglon mingxi 明细 行",
        },
    },
    "products": {
        "role": "entities",
        "key": ["product_id"],
        "kept": [
            "category", "name", "unit_cost", "currency", "description", "image_vector", "text_vector",
        ],
        "columns": {
            "product_id": ["id", true, "product id=1, product=.75, id=.75"],
            "name": ["text", false, "product name=1, name=.9, product=.6"],
            "category": ["text", false, "category=1, category name=1, product type=.8"],
            "description": ["text", false, "product description=.95, description=.85"],
            "unit_cost": ["money", false, "unit cost=1, cost price=.95, cost=.9"],
            "currency": ["text", false, "currency=1"],
            "image_vector": ["vector", false, "image vector=1, image=.75"],
            "text_vector": ["vector", false, "text vector=1, vector=.8, name vector=.9"],
        },
        "name": "product",
        "words": {
            "image": "image picture photo bild foto photographie imagen tupian 图片",
            "text": "text texte texto wenben 文本",
            "vector": "vector embedding vektor vecteur plongement xiangliang 向量",
            "description": "description desc beschreibung descripcion miaoshu 描述 说明",
            "product": "product prod article sku item stock goods asin produkt artikel art ware produit producto articulo shangpin chanpin 商品 产品",
        },
    },
    "customers": {
        "role": "people",
        "since": ["signed_up_at", "valid_from"],
        "key": ["customer_id", "valid_from"],
        "kept": [
            "signed_up_at nulls first", "age", "age_band", "gender", "occupation", "country",
            "acquisition_channel", "marketing_consent", "profiling_opt_out desc nulls last",
        ],
        "columns": {
            "customer_id": ["person", true, "customer id=1, customer=.75, id=.75"],
            "signed_up_at": ["time", false, "signup time=1, signup=.85, customer since=.9, since=.8, created time=.8"],
            "age": ["text", false, "age=1"],
            "age_band": ["text", false, "age band=1"],
            "gender": ["text", false, "gender=1"],
            "occupation": ["text", false, "occupation=1"],
            "country": ["text", false, "country=1, country id=.9"],
            "acquisition_channel": ["text", false, "acquisition channel=1, acquisition=.8, channel=.75"],
            "marketing_consent": ["flag", false, "marketing consent=1, consent=.85, marketing=.6"],
            "valid_from": ["time", false, "valid from=1, valid time=.75"],
            "profiling_opt_out": ["flag", false, "profiling out=1, profiling=.8"],
            "email": ["text", false, ""],
            "phone": ["text", false, ""],
            "name": ["text", false, ""],
        },
        "contact": ["email", "phone", "name"],
        "name": "customer",
        "words": {
            "band": "band bracket range group gruppe tranche", "profiling": "profiling profilbildung profilage perfilado 画像", "out": "out objection widerspruch opposition",
            "customer": "customer cust client user buyer member account shopper kunde kund kd kaufer besteller nutzer mitglied acheteur utilisateur cliente comprador usuario kehu yonghu huiyuan guke 客户 用户 会员 顾客",
        },
    },
    "customer_merges": {
        "role": "identity",
        "key": ["from_customer_id"],
        "kept": ["to_customer_id"],
        "aliases": {"from_customer_id": "from", "to_customer_id": "to"},
        "columns": {
            "from_customer_id": ["person", true, "from customer id=1, from customer=.9"],
            "to_customer_id": ["person", true, "to customer id=1, to customer=.9"],
        },
        "tells": ["from_customer_id", "to_customer_id"],
        "name": "merged",
        "words": {
            "merged": "merge merged merges zusammengefuhrt fusionne fusionado 合并",
            "to": "to into nach vers hacia",
        },
    },
    "returns": {
        "role": "facts",
        "date": "returned_at",
        "states": {"updated_at": []},
        "key": ["return_id", "store"],
        "replaces": ["return_id"],
        "kept": ["updated_at desc nulls last", "returned_at", "order_id", "customer_id", "refund_amount"],
        "valid": ["int_cva__returns_valid", "customer_unknown"],
        "columns": {
            "return_id": ["id", false, "return id=1, return=.75, id=.75"],
            "order_id": ["id", false, "order id=1, order=.8"],
            "customer_id": ["person", false, "customer id=1, customer=.8"],
            "returned_at": ["time", true, "return time=1, time=.9, created time=.8, created=.65"],
            "refund_amount": ["money", true, "return amount=1, amount=.9"],
            "store": ["id", false, "store=.9, store id=1, store name=.8"],
            "updated_at": ["time", false, "changed time=.9, changed=.8"],
            "currency": ["text", false, "currency=1"],
        },
        "name": "return",
        "words": {
            "return": "return returned refund refunded retoure ruckgabe erstattung ruckerstattung gutschrift retour remboursement devolucion reembolso tuihuo tuikuan 退货 退款",
        },
    },
    "reviews": {
        "role": "facts",
        "date": "reviewed_at",
        "states": {"updated_at": []},
        "key": ["review_id", "store"],
        "replaces": ["review_id"],
        "kept": ["updated_at desc nulls last", "reviewed_at", "customer_id", "rating", "body", "product_id", "order_id"],
        "valid": ["int_cva__reviews_valid", "duplicate_review_id"],
        "family": "reviews",
        "columns": {
            "review_id": ["id", false, "review id=1, review=.75, id=.75"],
            "customer_id": ["person", false, "customer id=1, customer=.8"],
            "product_id": ["id", false, "product id=1, product=.8"],
            "order_id": ["id", false, "order id=1, order=.8"],
            "reviewed_at": ["time", true, "review time=1, time=.9, created time=.85, created=.65"],
            "rating": ["number", false, "rating=1"],
            "body": ["text", false, "review body=1, body=.95, review=.7"],
            "store": ["id", false, "store=.9, store id=1, store name=.8"],
            "updated_at": ["time", false, "changed time=.9, changed=.8"],
        },
        "tells": ["rating", "body"],
        "name": "review",
        "words": {
            "review": "review reviewed feedback opinion bewertung bewertet rezension avis resena pinglun pingjia 评论 评价",
        },
    },
    "tickets": {
        "role": "facts",
        "date": "opened_at",
        "states": {"closed_at": ["closed_at"], "updated_at": []},
        "key": ["ticket_id", "store"],
        "replaces": ["ticket_id"],
        "kept": ["updated_at desc nulls last", "closed_at desc nulls last", "opened_at", "customer_id", "channel", "subject", "body"],
        "columns": {
            "ticket_id": ["id", true, "ticket id=1, ticket=.75, id=.75"],
            "customer_id": ["person", true, "customer id=1, customer=.8"],
            "opened_at": ["time", true, "opened time=1, opened=.9, ticket time=1, time=.9, created time=.85, created=.65"],
            "closed_at": ["time", false, "closed time=1, closed=.9"],
            "subject": ["text", false, "subject=1, ticket subject=1"],
            "body": ["text", false, "ticket body=1, body=.95"],
            "channel": ["text", false, "channel=.9, ticket channel=1"],
            "store": ["id", false, "store=.9, store id=1, store name=.8"],
            "updated_at": ["time", false, "changed time=.9, changed=.8"],
        },
        "tells": ["subject", "body", "closed_at"],
        "name": "ticket",
        "words": {
            "ticket": "ticket case helpdesk supportfall anfrage demande consulta incidencia gongdan 工单",
            "opened": "opened geoffnet ouvert abierto kaishi 打开",
            "closed": "closed solved resolved geschlossen gelost ferme cerrado guanbi 关闭",
            "subject": "subject betreff sujet objet asunto zhuti 主题",
        },
    },
    "events": {
        "role": "facts",
        "date": "occurred_at",
        "moves_as_of": true,
        "key": ["event_id"],
        "kept": ["occurred_at", "customer_id", "visitor_id", "session_id", "event_type", "product_id"],
        "family": "browse",
        "daily": "int_cva__browse_days",
        "columns": {
            "event_id": ["id", false, "event id=1"],
            "customer_id": ["person", false, "customer id=1, customer=.8"],
            "visitor_id": ["id", false, "visitor id=1, visitor=.9"],
            "session_id": ["id", false, "session id=1, session=.9"],
            "occurred_at": ["time", true, "event time=1, occurred time=1, time=.9, created time=.65"],
            "event_type": ["text", false, "event type=1, event name=1, event=.85, type=.7"],
            "product_id": ["id", false, "product id=1, product=.8"],
            "page": ["text", false, "page=1"],
            "search_query": ["text", false, "search=.9, search query=1"],
            "duration_seconds": ["number", false, "duration=.9"],
            "value": ["money", false, "event amount=1, amount=.8"],
            "user_agent": ["text", false, "customer agent=1, agent=.9"],
        },
        "tells": ["visitor_id", "session_id", "event_type", "page"],
        "name": "browse event",
        "words": {
            "browse": "browse browsing event events clickstream clicks click hits hit pageviews pageview tracking behavior behaviour",
            "event": "event events ereignis evenement evento action behavior behaviour 行为 事件",
            "visitor": "visitor anonymous besucher visiteur visitante fangke 访客",
            "session": "session sitzung sesion visit besuch visite huihua 会话",
            "occurred": "occurred happened happen",
            "page": "page url path seite pagina yemian 页面",
            "search": "search keyword suche recherche busqueda sousuo 搜索",
            "query": "query term suchbegriff",
            "duration": "duration dwell dauer duree duracion shichang 时长",
            "agent": "agent useragent ua",
        },
    },
    "labels": {
        "role": "outcomes",
        "date": "as_of_date",
        "key": ["customer_id", "as_of_date"],
        "kept": ["value"],
        "valid": ["int_cva__labels_valid", "customer_unknown"],
        "columns": {
            "customer_id": ["person", true, "customer id=1"],
            "as_of_date": ["time", true, "label time=1"],
            "value": ["number", true, "label=1"],
        },
        "tells": ["value"],
        "name": "label",
        "words": {"label": "label labels"},
    },
    "score_overrides": {
        "role": "outcomes",
        "date": "until",
        "is_plan": true,
        "key": ["customer_id"],
        "kept": ["until desc nulls first", "tier", "reason"],
        "valid": ["int_cva__score_overrides_valid", "customer_unknown"],
        "columns": {
            "customer_id": ["person", true, "customer id=1"],
            "tier": ["text", true, "override tier=1, tier=.95"],
            "reason": ["text", false, "override reason=1"],
            "until": ["time", false, "override until=1, until=.95"],
        },
        "tells": ["tier"],
        "name": "override",
        "words": {
            "override": "override overrides", "tier": "tier", "until": "until",
            "reason": "reason grund raison motivo yuanyin 原因",
        },
    },
    "marketing_touches": {
        "role": "facts",
        "date": "touched_at",
        "key": ["touch_id"],
        "kept": ["touched_at", "customer_id", "cost desc nulls last", "channel", "campaign_id", "is_control", "variant"],
        "columns": {
            "touch_id": ["id", false, "touch id=1, touch=.75, id=.75"],
            "customer_id": ["person", true, "customer id=1, customer=.8"],
            "touched_at": ["time", true, "touch time=1, touch=.9, time=.9"],
            "channel": ["text", false, "channel=.9, touch channel=1"],
            "campaign_id": ["id", false, "campaign id=1, campaign=.8"],
            "cost": ["money", false, "cost=1, touch cost=1"],
            "is_control": ["flag", false, "control=1"],
            "variant": ["text", false, "variant=1"],
        },
        "tells": ["touch_id", "campaign_id", "is_control"],
        "name": "touch",
        "words": {
            "touch": "touch touches touched touchpoint touchpoints",
            "campaign": "campaign campaigns kampagne campagne campana 营销活动",
            "control": "control holdout kontrolle controle duizhao 对照",
            "variant": "variant variation variante bianti 变体",
        },
    },
    "campaigns": {
        "role": "entities",
        "states": {"starts_at": ["starts_at"], "ends_at": ["ends_at"]},
        "key": ["campaign_id"],
        "kept": ["starts_at", "ends_at", "budget", "name"],
        "columns": {
            "campaign_id": ["id", true, "campaign id=1, campaign=.75, id=.75"],
            "name": ["text", false, "campaign name=1, name=.9"],
            "starts_at": ["time", false, "start time=1, start=.95"],
            "ends_at": ["time", false, "end time=1, end=.95"],
            "budget": ["money", false, "budget=1, campaign budget=1"],
        },
        "tells": ["starts_at", "ends_at", "budget"],
        "name": "campaign",
        "words": {
            "campaign": "campaign campaigns kampagne campagne campana 营销活动",
            "start": "start starts beginn debut inicio kaishi 开始",
            "end": "end ends ende fin jieshu 结束",
            "budget": "budget budgets presupuesto yusuan 预算",
        },
    },
    "stock": {
        "role": "facts",
        "date": "as_of",
        "key": [],
        "replaces": ["product_id", "as_of"],
        "columns": {
            "product_id": ["id", true, "product id=1, product=.75"],
            "as_of": ["time", true, "inventory time=1, time=.9"],
            "on_hand": ["number", true, "hand=1, inventory hand=1, inventory quantity=.95, inventory=.8"],
            "lead_days": ["number", false, "lead=.9, lead time=.95"],
        },
        "tells": ["on_hand"],
        "name": "inventory",
        "words": {
            "inventory": "inventory stock stocks warehouse bestand lagerbestand lager inventaire inventario kucun 库存",
            "hand": "hand onhand available",
            "lead": "lead lieferzeit delai plazo",
        },
    },
    "acquisition_costs": {
        "role": "facts",
        "date": "day",
        "key": [],
        "replaces": ["day", "channel"],
        "columns": {
            "day": ["time", true, "spend time=1, time=.9"],
            "channel": ["text", false, "channel=1, acquisition channel=1, channel id=.9"],
            "cost": ["money", true, "cost=1, spend=.95, spend amount=.95"],
        },
        "tells": ["cost"],
        "name": "spend",
        "words": {
            "spend": "spend spending adspend ads advertising campaigns werbung werbekosten ausgaben publicite depenses publicidad gasto guanggao 广告 花费",
        },
    },
    "exchange_rates": {
        "role": "facts",
        "date": "date",
        "key": ["date", "currency"],
        "kept": ["rate"],
        "columns": {
            "currency": ["text", true, "currency=1, from currency=.9"],
            "date": ["time", true, "rate time=1, time=.9, valid time=.8"],
            "rate": ["number", true, "exchange rate=1, rate=.9, exchange=.8"],
        },
        "tells": ["rate"],
        "name": "exchange rate",
        "words": {
            "exchange": "exchange fx forex wechsel devisen cambio huilv 汇率",
            "rate": "rate kurs taux tasa huilv 汇率",
        },
    },
    "calendar": {
        "role": "facts",
        "date": "date",
        "is_plan": true,
        "key": ["date", "event"],
        "kept": ["factor desc nulls last"],
        "columns": {
            "date": ["time", true, "event time=1, time=.9"],
            "event": ["text", true, "event=1, event name=1, name=.8"],
            "factor": ["number", false, "factor=1"],
        },
        "tells": ["event"],
        "name": "calendar",
        "words": {
            "calendar": "calendar kalender calendrier calendario holidays events feiertage rili 日历",
            "event": "event holiday campaign feiertag aktion ereignis evenement fete evento festivo jieri 节日 活动",
            "factor": "factor uplift lift multiplier faktor facteur 系数",
        },
    },
} %}
{{ return(tables) }}
{% endmacro %}
