"""Praise and complaint in six languages: what the multilingual encoder's sentiment is told from.

German, French and Spanish things come with the word that stands before them, and phrases are such
that nothing in them bends to the thing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cva_sql.models_onnx.encoder.graph import Sentiment
from cva_sql.models_onnx.encoder.sentiment import COMPLAINT, PRAISE, THINGS

SHARPNESS = 40.0  # reviews lie within about .02 of each other along the direction

Phrases = tuple[str, ...]
Vectors = NDArray[np.float32]

# Language -> things, praise, complaint. A phrase of praise and its neighbour speak of the same.
LANGUAGES: dict[str, tuple[Phrases, Phrases, Phrases]] = {
    "en": (THINGS, PRAISE, COMPLAINT),
    "zh": (
        ("连衣裙", "衬衫", "鞋子", "外套", "台灯", "毯子", "礼品卡", "耳机", "手机壳", "手表",
         "玩具", "咖啡", "书", "帐篷", "包", "床垫", "面霜", "刀", "充电器", "游戏"),
        ("我很喜欢这个{}。", "这个{}很完美，正是我想要的。", "很好的{}，强烈推荐。",
         "{}很快就到了，用起来很好。", "对这个{}非常满意，质量很好。", "这个{}很漂亮，做工很好。",
         "{}性价比很高，很值。", "下次还会再买这个{}。", "这个{}比我想象的还要好。"),
        ("我很讨厌这个{}。", "这个{}很糟糕，完全不是我想要的。", "很差的{}，不推荐。",
         "{}很久才到，而且不能用。", "对这个{}非常失望，质量很差。", "这个{}很难看，做工很差。",
         "{}太贵了，浪费钱。", "再也不会买这个{}了。", "这个{}比我想象的差多了。"),
    ),
    "de": (
        ("dieses Kleid", "dieses Hemd", "diese Jacke", "diese Lampe", "diese Decke", "diese Tasche",
         "diese Uhr", "dieses Spiel", "dieses Buch", "dieses Zelt", "diese Creme", "dieses Messer",
         "dieses Ladegerät", "diese Matratze", "diese Kette", "diese Hose"),
        ("Ich liebe {}.", "{} ist perfekt, genau was ich wollte.", "Ich kann {} sehr empfehlen.",
         "{} kam schnell an und funktioniert einwandfrei.", "{} ist von sehr guter Qualität.",
         "{} ist schön und gut verarbeitet.", "{} ist sein Geld wert.",
         "Ich würde {} wieder kaufen.", "{} ist noch besser als erwartet."),
        ("Ich hasse {}.", "{} ist furchtbar, gar nicht was ich wollte.",
         "Ich kann {} nicht empfehlen.", "{} kam zu spät an und funktioniert nicht.",
         "{} ist von sehr schlechter Qualität.", "{} ist hässlich und schlecht verarbeitet.",
         "{} ist viel zu teuer.", "Ich würde {} nie wieder kaufen.",
         "{} ist viel schlechter als erwartet."),
    ),
    "fr": (
        ("cette robe", "cette chemise", "cette veste", "cette lampe", "cette couverture", "ce sac",
         "cette montre", "ce jeu", "ce livre", "cette tente", "cette crème", "ce couteau",
         "ce chargeur", "ce matelas", "ce collier", "ce casque"),
        ("J'adore {}.", "{} correspond exactement à ce que je voulais.",
         "Je recommande vivement {}.", "{} est vite arrivé et fonctionne parfaitement.",
         "{} est de très bonne qualité.", "{} est très joli et bien fait.", "{} vaut son prix.",
         "Je rachèterai {} sans hésiter.", "{} est encore mieux que prévu."),
        ("Je déteste {}.", "{} ne correspond pas du tout à ce que je voulais.",
         "Je ne recommande pas {}.", "{} est arrivé en retard et ne fonctionne pas.",
         "{} est de très mauvaise qualité.", "{} est moche et mal fait.",
         "{} ne vaut pas son prix.", "Je ne rachèterai jamais {}.", "{} est bien pire que prévu."),
    ),
    "es": (
        ("este vestido", "esta camisa", "esta chaqueta", "esta lámpara", "esta manta", "este bolso",
         "este reloj", "este juego", "este libro", "esta tienda", "esta crema", "este cuchillo",
         "este cargador", "este colchón", "este collar", "esta funda"),
        ("Me encanta {}.", "{} es justo lo que quería.", "Recomiendo mucho {}.",
         "{} llegó rápido y funciona perfectamente.", "{} es de muy buena calidad.",
         "{} está muy bien de acabado y queda genial.", "{} vale lo que cuesta.",
         "Volvería a comprar {}.", "{} es aún mejor de lo que esperaba."),
        ("Odio {}.", "{} no es para nada lo que quería.", "No recomiendo {}.",
         "{} llegó tarde y no funciona.", "{} es de muy mala calidad.",
         "{} está muy mal de acabado y queda fatal.", "{} no vale lo que cuesta.",
         "No volvería a comprar {}.", "{} es mucho peor de lo que esperaba."),
    ),
    "pt": (
        ("este vestido", "esta camisa", "esta jaqueta", "esta luminária", "este cobertor",
         "esta bolsa", "este relógio", "este jogo", "este livro", "esta barraca", "este creme",
         "esta faca", "este carregador", "este colchão", "este colar", "este fone"),
        ("Adorei {}.", "{} é exatamente o que eu queria.", "Recomendo muito {}.",
         "{} chegou rápido e funciona perfeitamente.", "{} é de ótima qualidade.",
         "{} tem um acabamento lindo.", "{} vale o que custa.", "Compraria {} de novo.",
         "{} é ainda melhor do que eu esperava."),
        ("Odiei {}.", "{} não é nada do que eu queria.", "Não recomendo {}.",
         "{} chegou atrasado e não funciona.", "{} é de péssima qualidade.",
         "{} tem um acabamento horrível.", "{} não vale o que custa.", "Não compraria {} de novo.",
         "{} é muito pior do que eu esperava."),
    ),
}  # fmt: skip


def said_of(things: Phrases, phrases: Phrases) -> list[str]:
    """Each phrase of each thing, its first letter a capital."""
    said = [phrase.format(thing) for phrase in phrases for thing in things]
    return [text[:1].upper() + text[1:] for text in said]


def fit_direction(found: Mapping[str, tuple[Vectors, Vectors]]) -> Sentiment:
    """The direction from complaint to praise that all languages share.

    `found` is language -> vectors of its praise and its complaint, each (sentences, width). What
    tells one language from another is taken out of the mean of their directions, so that neutral
    lies at the same place in each.
    """
    means = [(p.mean(axis=0, dtype=float), c.mean(axis=0, dtype=float)) for p, c in found.values()]
    direction = np.mean([praise - complaint for praise, complaint in means], axis=0)
    middle = np.array([praise + complaint for praise, complaint in means]) / 2
    apart = np.linalg.svd(middle - middle.mean(axis=0), full_matrices=False)[2][: len(means) - 1]
    direction = direction - apart.T @ (apart @ direction)
    neutral = float((middle @ direction).mean())
    return Sentiment(direction.astype(np.float32), neutral, SHARPNESS)
