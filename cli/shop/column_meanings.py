"""What a table's or column's name says, in English, German, French, Spanish and Chinese."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

from cva_sql.cli.shop.package import raw_tables

# One line a concept of columns; those of a table's own name are in macros/raw_tables.sql. A word
# may stand in several. Compounds (Kundennr, orderdate) are taken apart.
WORDS = {
    "id": "id nr no num number nummer key code uuid guid ref kennung schlussel numero identifiant "
    "codigo clave hao bianhao 号 编号 编码 代码",
    "time": "date time timestamp ts at dt day on datum zeit zeitpunkt tag am jour heure fecha hora "
    "riqi shijian 日期 时间",
    "amount": "amount amt total revenue sum value turnover grandtotal betrag summe gesamt "
    "umsatz wert montant somme importe monto jine zonge zongjia 金额 总额 总价",
    "price": "price preis prix precio jiage danjia 价格 单价",
    "unit": "unit einzel stuck unitaire unitario danjia 单价",
    "quantity": "quantity qty pieces menge anzahl quantite qte cantidad shuliang 数量",
    "cost": "cost cogs kosten einkauf selbstkosten cout coste costo chengben 成本",
    "status": "status state zustand statut etat estado zhuangtai 状态",
    "changed": "changed updated modified geandert aktualisiert anderung modifie actualizado "
    "modificado cambio gengxin 更新",
    "cancelled": "cancelled canceled cancellation storno storniert annule annulation cancelado "
    "anulado quxiao 取消",
    "created": "created creation erstellt angelegt cree creado creacion chuangjian 创建",
    "discount": "discount rebate coupon voucher rabatt nachlass remise reduction descuento rebaja "
    "zhekou youhui 折扣 优惠",
    "currency": "currency ccy wahrung devise monnaie moneda divisa bizhong huobi 币种 货币",
    "channel": "channel platform source kanal vertriebskanal canal quelle qudao 渠道",
    "store": "store shop filiale mandant magasin boutique tienda dianpu mendian 店铺 门店",
    "acquisition": "acquisition acquired referral utm akquise akquisition gewinnung herkunft "
    "adquisicion captacion huoke 获客",
    "signup": "signup signed registered registration joined registriert registrierung anmeldung "
    "inscription inscrit alta registro zhuce 注册",
    "since": "since seit depuis desde",
    "age": "age alter edad nianling 年龄",
    "gender": "gender sex geschlecht sexe sexo genero xingbie 性别",
    "occupation": "occupation job profession beruf metier ocupacion profesion zhiye 职业",
    "country": "country nation land pays pais guojia 国家",
    "marketing": "marketing werbe werbung publicite publicidad yingxiao 营销",
    "consent": "consent accepts optin opt newsletter permission einwilligung zustimmung erlaubnis "
    "consentement consentimiento tongyi 同意",
    "valid": "valid gultig valable valide valido vigente youxiao 有效",
    "from": "from ab von seit depuis desde",
    "rating": "rating rated star score grade sterne stern bewertung note punkte etoile nota "
    "puntuacion estrella calificacion pingfen xingji 评分 星级",
    "body": "body text comment message content kommentar rezension texte commentaire contenu texto "
    "comentario contenido neirong zhengwen 内容 正文",
    "name": "name title description bezeichnung titel beschreibung nom libelle designation nombre "
    "titulo descripcion mingcheng 名称 标题",
    "category": "category cat group department kategorie gruppe warengruppe sparte categorie rayon "
    "famille categoria familia leibie fenlei 类别 分类",
    "tax": "tax vat mwst steuer ust tva iva impuesto shui 税",
    "shipping": "shipping delivery freight shipped delivered fulfillment fulfilment versand liefer "
    "lieferung livraison envio entrega yunfei fahuo 运费 发货",
    "billing": "billing payment paid due rechnungs zahlung bezahlt paiement pago zhifu 支付",
    "step": "processed approved confirmed packed completed closed exported imported loaded deleted",
    "partial": "subtotal zwischensumme",
    "type": "type typ tipo leixing 类型",
    "birth": "birth born geburt geburts naissance nacimiento shengri 生日",
}
IGNORED = "the of de del la le der die das des up is has tbl t dim fact fct f d stg raw src"
NEUTRAL = {"gross", "net", "brutto", "netto", "brut", "neto", "bruto"}  # any of them is an amount
LINKS = ("", "s", "n", "e", "es", "en", "x")  # plural endings, and what joins German compounds

EXTRA_COST = 0.35
UNKNOWN_COST = 0.15


@dataclass(frozen=True)
class Parsed:
    """A name taken apart: the concepts each part may mean, and how many words say nothing."""

    parts: tuple[frozenset[str], ...]
    unknown: int

    def means(self, concept: str) -> bool:
        return any(concept in part for part in self.parts)


def plain(text: str) -> str:
    """Lower case without accents; ä, ae and a are one, on both sides of a comparison."""
    decomposed = unicodedata.normalize("NFKD", text)
    letters = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    return re.sub(r"([aou])e", r"\1", letters)


@cache
def _stems() -> dict[str, frozenset[str]]:
    stems: dict[str, set[str]] = {}
    for vocabulary in (WORDS, *(table.words for table in raw_tables().values())):
        for concept, words in vocabulary.items():
            for word in words.split():
                stems.setdefault(plain(word), set()).add(concept)
    return {stem: frozenset(concepts) for stem, concepts in stems.items()}


@cache
def parse(name: str) -> Parsed:
    """The name's parts: camelCase, spaces, underscores and compounds are taken apart."""
    folded = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-zß]+|[A-Z]+|[\u3400-\u9fff]+", folded)
    parts: list[frozenset[str]] = []
    unknown = 0
    for word in map(plain, words):
        if word in IGNORED.split() or word in NEUTRAL:
            continue
        found = _compound(word)
        if found is None:
            unknown += 1
        else:
            parts.extend(found)
    return Parsed(tuple(parts), unknown)


@cache
def _compound(word: str) -> tuple[frozenset[str], ...] | None:
    """The word as known words one after another, the fewest there can be; None where it is not."""
    stems = _stems()
    if word in stems:
        return (stems[word],)
    best: tuple[frozenset[str], ...] | None = None
    for end in range(len(word), 1, -1):
        stem = stems.get(word[:end])
        neutral = word[:end] in NEUTRAL
        if stem is None and not neutral:
            continue
        for link in LINKS:
            if not word.startswith(link, end):
                continue
            rest = word[end + len(link) :]
            after = _compound(rest) if rest else ()
            found = None if after is None else (*((stem,) if stem else ()), *after)
            if found is not None and (best is None or len(found) < len(best)):
                best = found
    return best


def column_score(role: str, column: str, name: str) -> float:
    """0 to 1: how well a column called `name` fits the canonical column.

    The name of the table's own entity in it costs nothing; any other concept and any unknown word
    does.
    """
    if name.strip().lower() == column:
        return 1.0
    parsed = parse(name)
    best = 0.0
    for meaning, weight in _meanings(role, column):
        if not all(parsed.means(concept) for concept in meaning):
            continue
        extra = sum(not part & (meaning | raw_tables()[role].name) for part in parsed.parts)
        best = max(best, weight - EXTRA_COST * extra - UNKNOWN_COST * parsed.unknown)
    return best


@cache
def _meanings(role: str, column: str) -> tuple[tuple[frozenset[str], float], ...]:
    """What a column may be called: concepts, and how sure that makes us."""
    names = raw_tables()[role].column_names[column]
    pairs = [text.split("=") for text in names.split(", ") if text]
    return tuple((frozenset(meaning.split()), float(weight)) for meaning, weight in pairs)


def table_score(role: str, name: str) -> float:
    """1 where the table is called so, 0.5 where its name says nothing, -0.5 where it says other."""
    parsed = parse(name)
    said = {concept for part in parsed.parts for concept in part}
    if name.lower() == role:
        return 1.0
    # A word with two meanings (item) speaks for each.
    for part in parsed.parts:
        if {"line", "product"} <= part:
            said -= {"line", "product"}
            said.add("product" if role == "products" and "order" not in said else "line")
    kinds = said & {concept for table in raw_tables().values() for concept in table.name}
    if not kinds:
        return 0.5
    if role == "order_items":
        return 1.0 if "line" in kinds else -0.5
    if "line" in kinds:
        return -0.5
    # German and English compounds end in what the thing is: Kundenbestellungen are orders.
    last = next(p & kinds for p in reversed(parsed.parts) if p & kinds)
    return 1.0 if raw_tables()[role].name & last else -0.5
