"""The voice catalogue as a table: every locale callwright knows and the voice names used for it (contract §10).

It holds the names proven on the API's own pages (§10.2), the public speech catalogues whose names it uses (§10.4), and
the languages of its call channel (§10.5). One row per locale; within a family a name marked `*` is a male voice, all
others are female. `neural` names stand without their `Neural` suffix; the first one speaks when a customer gives only
the language.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Locale:
    """One row: the voices of one locale, names separated by spaces, `*` after a male voice."""

    code: str
    description: str
    "`localeDescription` of the profile list"
    neural: str
    "Azure neural names without the suffix; never empty"
    legacy: str = ""
    "Azure names from before the neural ones, in full"
    polly: str = ""
    google: str = ""


LOCALES = (
    Locale("af-ZA", "AfrikaansSouthAfrica", "Adri Willem*"),
    Locale("am-ET", "Amharic", "Mekdes Ameha*"),
    Locale("ar-AE", "ArabicUnitedArabEmirates", "Fatima Hamdan*", polly="Hala Zayd*"),
    Locale("ar-EG", "ArabicEgypt", "Salma Shakir*", legacy="Hoda"),
    Locale("ar-SA", "ArabicSaudiArabia", "Zariyah Hamed*", legacy="Naayf*"),
    Locale("az-AZ", "Azerbaijani", "Banu Babek*"),
    Locale("bg-BG", "Bulgarian", "Kalina Borislav*", legacy="Ivan*"),
    Locale("bn-BD", "BengaliBangladesh", "Nabanita Pradeep*"),
    Locale("bn-IN", "BengaliIndia", "Tanishaa Bashkar*"),
    Locale("ca-ES", "Catalan", "Alba Enric* Joana", legacy="HerenaRUS", polly="Arlet"),
    Locale("cs-CZ", "Czech", "Vlasta Antonin*", legacy="Jakub*", polly="Jitka"),
    Locale("cy-GB", "Welsh", "Nia Aled*", polly="Gwyneth"),
    Locale("da-DK", "Danish", "Christel Jeppe*", legacy="HelleRUS", polly="Naja Mads* Sofie"),
    Locale("de-AT", "GermanAustria", "Ingrid Jonas*", legacy="Michael*", polly="Hannah"),
    Locale("de-CH", "GermanSwitzerland", "Leni Jan*", legacy="Karsten*", polly="Sabrina"),
    Locale("de-DE", "GermanGermany", "Katja Conrad*", legacy="HeddaRUS Stefan*", polly="Marlene Vicki Hans* Daniel*"),
    Locale("el-GR", "Greek", "Athina Nestoras*", legacy="Stefanos*"),
    Locale(
        "en-AU",
        "EnglishAustralia",
        "Natasha William*",
        legacy="Catherine HayleyRUS",
        polly="Nicole Olivia Russell*",
    ),
    Locale("en-CA", "EnglishCanada", "Clara Liam*", legacy="HeatherRUS Linda"),
    Locale(
        "en-GB",
        "EnglishUK",
        "Libby Mia Sonia Ryan*",
        legacy="George* HazelRUS Susan",
        polly="Amy Emma Brian* Arthur*",
    ),
    Locale("en-HK", "EnglishHongKong", "Yan Sam*"),
    Locale("en-IE", "EnglishIreland", "Emily Connor*", legacy="Sean*", polly="Niamh"),
    Locale("en-IN", "EnglishIndia", "Neerja Prabhat*", legacy="Heera PriyaRUS Ravi*", polly="Aditi Raveena Kajal"),
    Locale("en-NZ", "EnglishNewZealand", "Molly Mitchell*", polly="Aria"),
    Locale("en-PH", "EnglishPhilippines", "Rosa James*"),
    Locale("en-SG", "EnglishSingapore", "Luna Wayne*", polly="Jasmine"),
    Locale(
        "en-US",
        "EnglishUS",
        "Jenny Aria Guy*",
        legacy="ZiraRUS BenjaminRUS* GuyRUS* JessaRUS AriaRUS",
        polly="Kimberly Danielle Ivy Joanna Kendra Ruth Salli Gregory* Joey* Justin* Kevin* Matthew* Patrick* Stephen*",
        google="Standard-A Neural2-C",
    ),
    Locale("en-ZA", "EnglishSouthAfrica", "Leah Luke*", polly="Ayanda"),
    Locale("es-AR", "SpanishArgentina", "Elena Tomas*"),
    Locale("es-CO", "SpanishColombia", "Salome Gonzalo*"),
    Locale(
        "es-ES",
        "SpanishSpain",
        "Elvira Alvaro*",
        legacy="HelenaRUS Laura Pablo*",
        polly="Conchita Lucia Alba Enrique* Sergio* Raul*",
    ),
    Locale("es-MX", "SpanishMexico", "Dalia Jorge*", legacy="HildaRUS Raul*", polly="Mia Andres*"),
    Locale("es-US", "SpanishUS", "Paloma Alonso*", polly="Lupe Penelope Miguel* Pedro*"),
    Locale("et-EE", "Estonian", "Anu Kert*"),
    Locale("fa-IR", "Persian", "Dilara Farid*"),
    Locale("fi-FI", "Finnish", "Noora Selma Harri*", legacy="HeidiRUS", polly="Suvi"),
    Locale("fr-BE", "FrenchBelgium", "Charline Gerard*", polly="Isabelle"),
    Locale(
        "fr-CA",
        "FrenchCanada",
        "Sylvie Jean* Antoine*",
        legacy="Caroline HarmonieRUS",
        polly="Chantal Gabrielle Liam*",
    ),
    Locale("fr-CH", "FrenchSwitzerland", "Ariane Fabrice*", legacy="Guillaume*"),
    Locale(
        "fr-FR",
        "FrenchFrance",
        "Denise Henri*",
        legacy="HortenseRUS Julie Paul*",
        polly="Celine Lea Mathieu* Remi*",
    ),
    Locale("ga-IE", "Irish", "Orla Colm*"),
    Locale("gu-IN", "Gujarati", "Dhwani Niranjan*"),
    Locale("he-IL", "Hebrew", "Hila Avri*", legacy="Asaf*"),
    Locale("hi-IN", "Hindi", "Swara Madhur*", legacy="Hemant* Kalpana", polly="Aditi Kajal"),
    Locale("hr-HR", "Croatian", "Gabrijela Srecko*", legacy="Matej*"),
    Locale("hu-HU", "Hungarian", "Noemi Tamas*", legacy="Szabolcs*"),
    Locale("hy-AM", "Armenian", "Anahit Hayk*"),
    Locale("id-ID", "Indonesian", "Gadis Ardi*", legacy="Andika*"),
    Locale("is-IS", "Icelandic", "Gudrun Gunnar*", polly="Dora Karl*"),
    Locale(
        "it-IT",
        "Italian",
        "Elsa Isabella Diego*",
        legacy="Cosimo* LuciaRUS",
        polly="Carla Bianca Giorgio* Adriano*",
    ),
    Locale(
        "ja-JP",
        "Japanese",
        "Nanami Keita*",
        legacy="Ayumi HarukaRUS Ichiro*",
        polly="Mizuki Kazuha Tomoko Takumi*",
    ),
    Locale("ka-GE", "Georgian", "Eka Giorgi*"),
    Locale("kk-KZ", "Kazakh", "Aigul Daulet*"),
    Locale("kn-IN", "Kannada", "Sapna Gagan*"),
    Locale("ko-KR", "Korean", "SunHi InJoon*", legacy="HeamiRUS", polly="Seoyeon Jihye"),
    Locale("lt-LT", "Lithuanian", "Ona Leonas*"),
    Locale("lv-LV", "Latvian", "Everita Nils*"),
    Locale("mk-MK", "Macedonian", "Marija Aleksandar*"),
    Locale("ml-IN", "Malayalam", "Sobhana Midhun*"),
    Locale("mr-IN", "Marathi", "Aarohi Manohar*"),
    Locale("ms-MY", "Malay", "Yasmin Osman*", legacy="Rizwan*"),
    Locale("mt-MT", "Maltese", "Grace Joseph*"),
    Locale("my-MM", "Burmese", "Nilar Thiha*"),
    Locale("nb-NO", "Norwegian", "Iselin Pernille Finn*", legacy="HuldaRUS", polly="Liv Ida"),
    Locale("ne-NP", "Nepali", "Hemkala Sagar*"),
    Locale("nl-BE", "DutchBelgium", "Dena Arnaud*", polly="Lisa"),
    Locale("nl-NL", "DutchNetherlands", "Colette Fenna Maarten*", legacy="HannaRUS", polly="Lotte Laura Ruben*"),
    Locale(
        "pl-PL",
        "Polish",
        "Zofia Agnieszka Marek*",
        legacy="PaulinaRUS",
        polly="Ewa Maja Ola Jacek* Jan*",
    ),
    Locale(
        "pt-BR",
        "PortugueseBrazil",
        "Francisca Antonio*",
        legacy="HeloisaRUS Daniel*",
        polly="Camila Vitoria Ricardo* Thiago*",
    ),
    Locale("pt-PT", "PortuguesePortugal", "Fernanda Raquel Duarte*", legacy="HeliaRUS", polly="Ines Cristiano*"),
    Locale("ro-RO", "Romanian", "Alina Emil*", legacy="Andrei*", polly="Carmen"),
    Locale(
        "ru-RU",
        "Russian",
        "Dariya Svetlana Dmitry*",
        legacy="EkaterinaRUS Irina Pavel*",
        polly="Tatyana Maxim*",
    ),
    Locale("si-LK", "Sinhala", "Thilini Sameera*"),
    Locale("sk-SK", "Slovak", "Viktoria Lukas*", legacy="Filip*"),
    Locale("sl-SI", "Slovenian", "Petra Rok*", legacy="Lado*"),
    Locale("sr-RS", "Serbian", "Sophie Nicholas*"),
    Locale("sv-SE", "Swedish", "Hillevi Sofie Mattias*", legacy="HedvigRUS", polly="Astrid Elin"),
    Locale("sw-KE", "Swahili", "Zuri Rafiki*"),
    Locale("ta-IN", "TamilIndia", "Pallavi Valluvar*", legacy="Valluvar*"),
    Locale("ta-LK", "TamilSriLanka", "Saranya Kumar*"),
    Locale("ta-MY", "TamilMalaysia", "Kani Surya*"),
    Locale("ta-SG", "TamilSingapore", "Venba Anbu*"),
    Locale("te-IN", "Telugu", "Shruti Mohan*", legacy="Chitra"),
    Locale("th-TH", "Thai", "Achara Premwadee Niwat*", legacy="Pattara*"),
    Locale("tr-TR", "Turkish", "Emel Ahmet*", legacy="SedaRUS", polly="Filiz Burcu"),
    Locale("uk-UA", "Ukrainian", "Polina Ostap*"),
    Locale("ur-IN", "UrduIndia", "Gul Salman*"),
    Locale("ur-PK", "UrduPakistan", "Uzma Asad*"),
    Locale("uz-UZ", "Uzbek", "Madina Sardor*"),
    Locale("vi-VN", "Vietnamese", "HoaiMy NamMinh*", legacy="An*"),
    Locale(
        "zh-CN",
        "ChineseMandarin",
        "Xiaoxiao Xiaohan Xiaomo Xiaorui Xiaoxuan Xiaoyou Yunxi* Yunyang* Yunye*",
        legacy="HuihuiRUS Kangkang* Yaoyao Yaoyao-Apollo",
        polly="Zhiyu",
    ),
    Locale("zh-HK", "ChineseCantonese", "HiuGaai HiuMaan WanLung*", legacy="Danny* TracyRUS"),
    Locale(
        "zh-TW",
        "ChineseTaiwanese",
        "HsiaoYu HsiaoChen YunJhe*",
        legacy="HanHanRUS Yating Zhiwei*",
    ),
)

DEFAULT_LOCALES = {
    "ar": "ar-EG",
    "bn": "bn-BD",
    "de": "de-DE",
    "en": "en-US",
    "es": "es-ES",
    "fr": "fr-FR",
    "nl": "nl-NL",
    "pt": "pt-BR",
    "ta": "ta-IN",
    "ur": "ur-PK",
    "zh": "zh-CN",
}
"""Which locale a bare language means (older requests, `"language": "en"`); other languages have one locale here."""
