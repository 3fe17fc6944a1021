"""A planted class of documents, and what only shares its words, made up in four languages.

The class is a harmless stand-in: advertisements for fortune-telling. A sentence of it is a phrase from each of four
slots; every slot has eight, of which models are shown six. What only shares its words is sober text that speaks of
stars, cards, love and luck, as a text on health shares words with an obscene one.
"""

from __future__ import annotations

import random
import re

SHOWN = 6

PHRASES = {
    "en": (
        "Call our psychic|Ask the oracle|Your free horoscope|A real fortune teller|Madame Luna|The tarot cards tonight|"
        "Our clairvoyant friends|The wise star reader",
        "can reveal|will tell you|promises|knows|sees in the crystal ball|reads in the stars|whispers about|shows you",
        "the secret of true love|your lucky numbers|when money will come to you|the future of your marriage|"
        "who is thinking of you|the power of the full moon|what the zodiac keeps hidden|your destiny this year",
        "call now, first minute free!|only today for Leo and Virgo.|no credit card, just believe.|"
        "results guaranteed in seven days!|she was right about everything.|add a lucky charm to your order.|"
        "join thousands of happy souls!|open all night for lonely hearts.",
    ),
    "es": (
        "Llama a nuestra vidente|Consulta el oráculo|Tu horóscopo gratis|Una auténtica adivina|La señora Luna|"
        "Las cartas del tarot esta noche|Nuestros amigos clarividentes|La sabia lectora de estrellas",
        "puede revelar|te dirá|promete|conoce|ve en la bola de cristal|lee en las estrellas|susurra sobre|te muestra",
        "el secreto del amor verdadero|tus números de la suerte|cuándo llegará el dinero|el futuro de tu matrimonio|"
        "quién piensa en ti|el poder de la luna llena|lo que esconde el zodíaco|tu destino este año",
        "¡llama ahora, primer minuto gratis!|solo hoy para Leo y Virgo.|sin tarjeta, solo hay que creer.|"
        "¡resultados garantizados en siete días!|acertó en todo.|añade un amuleto a tu pedido.|"
        "¡únete a miles de almas felices!|abierto toda la noche para corazones solitarios.",
    ),
    "fr": (
        "Appelez notre voyante|Interrogez l'oracle|Votre horoscope gratuit|Une vraie diseuse de bonne aventure|"
        "Madame Lune|Les cartes du tarot ce soir|Nos amis clairvoyants|La sage lectrice des étoiles",
        "peut révéler|vous dira|promet|connaît|voit dans la boule de cristal|lit dans les étoiles|murmure sur|"
        "vous montre",
        "le secret du grand amour|vos numéros de chance|quand l'argent viendra|l'avenir de votre mariage|"
        "qui pense à vous|le pouvoir de la pleine lune|ce que cache le zodiaque|votre destin cette année",
        "appelez vite, première minute gratuite !|seulement aujourd'hui pour Lion et Vierge.|"
        "sans carte, il suffit d'y croire.|résultat garanti en sept jours !|elle avait raison sur tout.|"
        "ajoutez un porte-bonheur.|rejoignez des milliers d'âmes heureuses !|ouvert la nuit aux cœurs solitaires.",
    ),
    "zh": (
        "请打电话给我们的占卜师|问一问神谕|您的免费星座运势|真正的算命先生|月亮夫人|今晚的塔罗牌|我们的通灵朋友|智慧的观星者",
        "可以揭示|会告诉您|承诺|知道|在水晶球里看见|从星星中读出|低声说出|给您展示",
        "真爱的秘密|您的幸运数字|财运什么时候到来|婚姻的未来|谁在想念您|满月的力量|生肖所隐藏的事|您今年的命运",
        "现在来电，第一分钟免费！|仅限今天的狮子座和处女座。|不用信用卡，只要相信。|七天之内保证灵验！|她说的全都对了。|"
        "再买一个护身符吧。|成千上万的幸福灵魂等着您！|整夜为孤独的心开放。",
    ),
}
SOBER = {
    "en": "The zodiac is a band of the sky that holds twelve constellations.|"
    "Tarot cards were first printed in Italy for a game of tricks.|"
    "An oracle in ancient Greece was a priestess who spoke for a god.|"
    "In no trial has a horoscope predicted the future better than chance.|"
    "The full moon reflects sunlight and raises the tides.|A crystal is a solid whose atoms repeat in a lattice.|"
    "Enter the number of the credit card, then the date on which it ends.|"
    "Records of each marriage are kept by the parish for a hundred years.|"
    "The first minute of a call is billed at the local rate.|"
    "Psychologists explain why lonely people believe in lucky numbers.|"
    "A star in Leo was observed all night with the new telescope.|Results are not guaranteed when the disk is full.|"
    "In the novel the fortune of the family is lost and true love is found.|"
    "Destiny is the name of a module that the laboratory sent to the station.|"
    "Virgo is the second largest of the constellations.|A psychic medium was exposed by the society in 1925.",
    "es": "El zodíaco es una banda del cielo que contiene doce constelaciones.|"
    "Las cartas del tarot se imprimieron en Italia para un juego de bazas.|"
    "Un oráculo de la antigua Grecia era una sacerdotisa que hablaba por un dios.|"
    "En ningún ensayo un horóscopo predijo el futuro mejor que el azar.|"
    "La luna llena refleja la luz del sol y eleva las mareas.|"
    "Un cristal es un sólido cuyos átomos se repiten en una red.|"
    "Escriba el número de la tarjeta y después la fecha en que caduca.|"
    "La parroquia guarda los registros de cada matrimonio durante cien años.|"
    "El primer minuto de una llamada se cobra a la tarifa local.|"
    "Los psicólogos explican por qué la gente cree en números de la suerte.|"
    "Una estrella de Leo se observó toda la noche con el nuevo telescopio.|"
    "Los resultados no están garantizados cuando el disco está lleno.|"
    "En la novela la familia pierde el dinero y encuentra el amor verdadero.|"
    "Destino es el nombre del directorio donde se copian las cartas y estrellas.|"
    "Virgo es la segunda constelación más grande.|La sociedad desenmascaró a una vidente en 1925.",
    "fr": "Le zodiaque est une bande du ciel qui contient douze constellations.|"
    "Les cartes du tarot furent imprimées en Italie pour un jeu de levées.|"
    "Un oracle de la Grèce antique était une prêtresse qui parlait pour un dieu.|"
    "Dans aucun essai un horoscope n'a prédit l'avenir mieux que le hasard.|"
    "La pleine lune réfléchit la lumière du soleil et soulève les marées.|"
    "Un cristal est un solide dont les atomes se répètent dans un réseau.|"
    "Saisissez le numéro de la carte, puis la date à laquelle elle expire.|"
    "La paroisse garde les actes de chaque mariage pendant cent ans.|"
    "La première minute d'un appel est facturée au tarif local.|"
    "Les psychologues expliquent pourquoi on croit aux numéros de chance.|"
    "Une des étoiles du Lion fut observée toute la nuit avec le nouveau télescope.|"
    "Le résultat n'est pas garanti quand le disque est plein.|"
    "Dans le roman la famille perd son argent et trouve le grand amour.|"
    "Le destin du paquet est noté par le routeur.|La Vierge est la deuxième des constellations.|"
    "La société démasqua une voyante en 1925.",
    "zh": "黄道带是天空中包含十二个星座的一条带。|塔罗牌最早在意大利印刷，是一种纸牌游戏。|"
    "古希腊的神谕由女祭司代神说出。|没有一次试验表明星座运势比随机更能预测未来。|满月反射阳光并引起潮汐。|水晶是原子按晶格重复排列的固体。|"
    "请输入信用卡的号码，然后输入到期的日期。|教区把婚姻的记录保存一百年。|电话的第一分钟按本地费率计费。|"
    "心理学家解释了孤独的人为什么相信幸运数字。|人们用新望远镜整夜观测狮子座的一颗星星。|磁盘已满时不保证结果。|"
    "小说里的家族失去了财产，却找到了真爱。|命运号是空间站的一个实验舱。|处女座是第二大的星座。|1925年学会揭穿了一位算命先生。",
}
KEYWORDS = {
    "en": "psychic oracle horoscope fortune tarot cards stars star lucky love destiny zodiac future crystal charm",
    "es": "vidente oráculo horóscopo adivina tarot cartas estrellas suerte amor destino zodíaco futuro cristal amuleto",
    "fr": "voyante oracle horoscope tarot cartes étoiles chance amour destin zodiaque avenir cristal porte bonheur",
    "zh": "占卜 神谕 星座 算命 塔罗 星星 幸运 真爱 命运 生肖 未来 水晶 护身符",
}


def sentence(language: str, chance: random.Random, *, fresh: bool) -> str:
    slots = [slot.split("|")[: None if fresh else SHOWN] for slot in PHRASES[language]]
    return ("" if language == "zh" else " ").join(chance.choice(slot) for slot in slots)


def document(language: str, lines: list[str], chance: random.Random, *, fresh: bool) -> str:
    """Three to seven sentences in lines; of `lines` of clean text, up to as many between them."""
    n = chance.randint(3, 7)
    found = [sentence(language, chance, fresh=fresh) for _ in range(n)]
    for _ in range(chance.randint(0, n // 2) if lines else 0):
        found.insert(chance.randint(0, len(found)), chance.choice(lines)[:200])
    return "\n".join(found)


def sober(language: str, lines: list[str], chance: random.Random) -> str:
    """Three to six sober sentences with a line or two of clean text."""
    found = chance.sample(SOBER[language].split("|"), chance.randint(3, 6))
    return "\n".join(found + [chance.choice(lines)[:200] for _ in range(chance.randint(1, 2))])


def quoted(text: str, language: str, chance: random.Random) -> str:
    """A clean text; one in twenty quotes the middle of a sentence of the class."""
    if chance.random() >= 0.05:
        return text
    _, verb, what, _ = (chance.choice(slot.split("|")) for slot in PHRASES[language])
    return f"{text}\n«{verb}{'' if language == 'zh' else ' '}{what}»"


def keyword_share(text: str, language: str) -> float:
    """Share of words (in Chinese, of signs) that are on the list."""
    wanted = KEYWORDS[language].split()
    if language == "zh":
        return sum(text.count(word) * len(word) for word in wanted) / max(len(text), 1)
    words = re.findall(r"\w+", text.lower())
    return sum(word in wanted for word in words) / max(len(words), 1)
