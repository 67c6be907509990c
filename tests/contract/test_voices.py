"""Voice names and languages: contract §10, and what callwright accepts beyond it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.contract.voice_table import DEFAULT_LOCALES, LOCALES
from callwright.contract.voices import resolve_language, resolve_profile, speech_profiles

PROVEN = [  # §10.2
    ("en-IE-EmilyNeural", "en-IE", "F", "azure-neural"),
    ("en-US-ZiraRUS", "en-US", "F", "azure-legacy"),
    ("en-US-BenjaminRUS", "en-US", "M", "azure-legacy"),
    ("en-US-AriaRUS", "en-US", "F", "azure-legacy"),
    ("en-US-Neural2-C", "en-US", "F", "google"),
    ("en-US-Standard-A", "en-US", "F", "google"),
    ("en-GB-Emma", "en-GB", "F", "polly"),
    ("en-US-Kimberly", "en-US", "F", "polly"),
    ("da-DK-Naja", "da-DK", "F", "polly"),
    ("en-US-Jenny", "en-US", "F", "short"),
    ("generic-en-male", "en-US", "M", "generic"),
]
OLD_LIST = (  # §10.2, the first rows of the old public list
    "ar-EG-Hoda ar-EG-SalmaNeural ar-EG-ShakirNeural ar-SA-Naayf ar-SA-HamedNeural ar-SA-ZariyahNeural bg-BG-Ivan "
    "bg-BG-BorislavNeural ca-ES-AlbaNeural ca-ES-EnricNeural ca-ES-HerenaRUS ca-ES-JoanaNeural zh-TW-HsiaoChenNeural "
    "zh-TW-HsiaoYuNeural zh-TW-Yating zh-TW-YunJheNeural zh-TW-Zhiwei zh-CN-Yaoyao-Apollo zh-CN-Kangkang "
    "zh-CN-XiaohanNeural zh-CN-XiaoxiaoNeural zh-CN-XiaoxuanNeural"
)
LEGACY = """
ar-EG-Hoda F; ar-SA-Naayf M; bg-BG-Ivan M; ca-ES-HerenaRUS F; zh-HK-Danny M; zh-HK-TracyRUS F; zh-CN-HuihuiRUS F;
zh-CN-Kangkang M; zh-CN-Yaoyao F; zh-TW-HanHanRUS F; zh-TW-Yating F; zh-TW-Zhiwei M; hr-HR-Matej M; cs-CZ-Jakub M;
da-DK-HelleRUS F; nl-NL-HannaRUS F; en-AU-Catherine F; en-AU-HayleyRUS F; en-CA-HeatherRUS F; en-CA-Linda F;
en-IN-Heera F; en-IN-PriyaRUS F; en-IN-Ravi M; en-IE-Sean M; en-GB-George M; en-GB-HazelRUS F; en-GB-Susan F;
en-US-BenjaminRUS M; en-US-GuyRUS M; en-US-JessaRUS F; en-US-AriaRUS F; en-US-ZiraRUS F; fi-FI-HeidiRUS F;
fr-CA-Caroline F; fr-CA-HarmonieRUS F; fr-FR-HortenseRUS F; fr-FR-Julie F; fr-FR-Paul M; fr-CH-Guillaume M;
de-AT-Michael M; de-DE-HeddaRUS F; de-DE-Stefan M; de-CH-Karsten M; el-GR-Stefanos M; he-IL-Asaf M; hi-IN-Hemant M;
hi-IN-Kalpana F; hu-HU-Szabolcs M; id-ID-Andika M; it-IT-Cosimo M; it-IT-LuciaRUS F; ja-JP-Ayumi F; ja-JP-HarukaRUS F;
ja-JP-Ichiro M; ko-KR-HeamiRUS F; ms-MY-Rizwan M; nb-NO-HuldaRUS F; pl-PL-PaulinaRUS F; pt-BR-Daniel M;
pt-BR-HeloisaRUS F; pt-PT-HeliaRUS F; ro-RO-Andrei M; ru-RU-EkaterinaRUS F; ru-RU-Irina F; ru-RU-Pavel M;
sk-SK-Filip M; sl-SI-Lado M; es-MX-HildaRUS F; es-MX-Raul M; es-ES-HelenaRUS F; es-ES-Laura F; es-ES-Pablo M;
sv-SE-HedvigRUS F; ta-IN-Valluvar M; te-IN-Chitra F; th-TH-Pattara M; tr-TR-SedaRUS F; vi-VN-An M
"""
NEURAL = """
ar-EG-Salma F; ar-SA-Zariyah F; bg-BG-Kalina F; ca-ES-Alba F; zh-HK-HiuGaai F; zh-CN-Xiaoxiao F; zh-CN-Xiaoyou F;
zh-CN-Yunyang M; zh-CN-Yunye M; zh-CN-Yunxi M; zh-CN-Xiaohan F; zh-CN-Xiaoxuan F; zh-CN-Xiaomo F; zh-CN-Xiaorui F;
zh-TW-HsiaoYu F; hr-HR-Gabrijela F; cs-CZ-Vlasta F; da-DK-Christel F; nl-NL-Colette F; en-AU-Natasha F;
en-AU-William M; en-CA-Clara F; en-IN-Neerja F; en-IE-Emily F; en-GB-Libby F; en-GB-Mia F; en-GB-Ryan M; en-US-Aria F;
en-US-Guy M; en-US-Jenny F; fi-FI-Noora F; fr-CA-Sylvie F; fr-CA-Jean M; fr-FR-Denise F; fr-FR-Henri M;
fr-CH-Ariane F; de-AT-Ingrid F; de-DE-Katja F; de-DE-Conrad M; de-CH-Leni F; el-GR-Athina F; he-IL-Hila F;
hi-IN-Swara F; hu-HU-Noemi F; id-ID-Ardi M; it-IT-Elsa F; it-IT-Isabella F; it-IT-Diego M; ja-JP-Nanami F;
ja-JP-Keita M; ko-KR-SunHi F; ko-KR-InJoon M; ms-MY-Yasmin F; nb-NO-Iselin F; pl-PL-Zofia F; pt-BR-Francisca F;
pt-BR-Antonio M; pt-PT-Fernanda F; ro-RO-Alina F; ru-RU-Dariya F; sk-SK-Viktoria F; sl-SI-Petra F; es-MX-Dalia F;
es-MX-Jorge M; es-ES-Elvira F; es-ES-Alvaro M; sv-SE-Hillevi F; ta-IN-Pallavi F; te-IN-Shruti F; th-TH-Achara F;
th-TH-Premwadee F; tr-TR-Emel F; vi-VN-HoaiMy F; et-EE-Anu F; ga-IE-Orla F; lt-LT-Ona F; lv-LV-Everita F; mt-MT-Grace F
"""
LANGUAGES = (  # §10.5
    "ar-EG ar-SA bg-BG ca-ES cs-CZ da-DK de-AT de-CH de-DE el-GR en-AU en-CA en-GB en-IE en-IN en-US es-ES es-MX fi-FI "
    "fr-CA fr-CH fr-FR he-IL hi-IN hr-HR hu-HU id-ID it-IT ja-JP ko-KR ms-MY nb-NO nl-NL pl-PL pt-BR pt-PT ro-RO ru-RU "
    "sk-SK sl-SI sv-SE ta-IN th-TH tr-TR vi-VN zh-CN zh-HK zh-TW"
)


def named(listing: str, suffix: str = "") -> list[tuple[str, str]]:
    pairs = [entry.split() for entry in listing.split(";")]
    return [(name + suffix, gender) for name, gender in pairs]


@pytest.mark.parametrize(("code", "locale", "gender", "family"), PROVEN, ids=[row[0] for row in PROVEN])
def test_names_from_the_api_pages_are_known(code: str, locale: str, gender: str, family: str) -> None:
    voice = resolve_profile(code)
    assert voice is not None
    assert (voice.code, voice.locale, voice.gender, voice.family) == (code, locale, gender, family)


def test_the_old_public_list_is_known() -> None:
    assert [code for code in OLD_LIST.split() if resolve_profile(code) is None] == []


@pytest.mark.parametrize(
    ("family", "rows"), [("azure-legacy", named(LEGACY)), ("azure-neural", named(NEURAL, "Neural"))], ids=str
)
def test_the_superset_has_its_genders(family: str, rows: list[tuple[str, str]]) -> None:
    wrong = [
        (code, gender)
        for code, gender in rows
        if (voice := resolve_profile(code)) is None or (voice.gender, voice.family) != (gender, family)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("code", "gender", "family"),
    [
        ("en-US-DavisNeural", "F", "azure-neural"),
        ("en-US-AvaMultilingualNeural", "F", "azure-neural"),
        ("en-NZ-SomebodyRUS", "F", "azure-legacy"),
        ("zh-CN-Huihui-Apollo", "F", "azure-legacy"),
        ("de-DE-Wavenet-B", "M", "google"),
        ("de-DE-Standard-C", "F", "google"),
        ("fr-FR-Neural2-D", "M", "google"),
        ("generic-de-female", "F", "generic"),
        ("generic-de-AT-male", "M", "generic"),
    ],
)
def test_names_of_a_pattern_in_a_known_locale_are_accepted(code: str, gender: str, family: str) -> None:
    voice = resolve_profile(code)
    assert voice is not None
    assert (voice.gender, voice.family) == (gender, family)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "en-US",
        "en-US-",
        "en-US-Nobody",
        "en-IE-EmilyNeurl",
        "en-ie-EmilyNeural",
        "EN-US-ZiraRUS",
        "en-US-zirarus",
        "xx-XX-SomebodyNeural",
        "xx-XX-Standard-A",
        "en-US-Standard-",
        "en-US-Standard-AB",
        "en-US-Neural",
        "en-US-Jenny\n",
        " en-US-Jenny",
        "generic-xx-male",
        "generic-en-robot",
        "en-US-" + "A" * 60 + "Neural",
        "en-US-Émilie" + "Neural",
        "../../etc/passwd",
    ],
)
def test_anything_else_is_unknown(code: str) -> None:
    assert resolve_profile(code) is None


@pytest.mark.parametrize("language", LANGUAGES.split())
def test_every_language_of_the_call_channel_has_a_voice(language: str) -> None:
    voice = resolve_language(language)
    assert voice is not None
    assert voice.locale == language
    assert resolve_profile(voice.code) == voice


@pytest.mark.parametrize(
    ("language", "locale"), [("en", "en-US"), ("es", "es-ES"), ("zh", "zh-CN"), ("da", "da-DK"), ("nb", "nb-NO")]
)
def test_a_bare_language_means_its_usual_locale(language: str, locale: str) -> None:
    voice = resolve_language(language)
    assert voice is not None
    assert voice.locale == locale


@pytest.mark.parametrize("language", ["", "xx", "en_US", "en-XX", "english", "EN"])
def test_an_unknown_language_has_no_voice(language: str) -> None:
    assert resolve_language(language) is None


def test_the_profile_list_has_the_documented_form() -> None:
    profiles = {profile["speechProfileCode"]: profile for profile in speech_profiles()}
    assert profiles["en-US-Standard-A"] == {
        "speechProfileCode": "en-US-Standard-A",
        "localeCode": "en-US",
        "localeDescription": "EnglishUS",
        "gender": "F",
    }
    assert profiles["da-DK-Naja"]["localeDescription"] == "Danish"
    assert len(profiles) == len(speech_profiles())


def test_the_table_names_each_voice_and_locale_once() -> None:
    assert len({row.code for row in LOCALES}) == len(LOCALES)
    for row in LOCALES:
        names = [f"{name}Neural" for name in row.neural.replace("*", "").split()]
        names += f"{row.legacy} {row.google} {row.polly}".replace("*", "").split()
        assert len(set(names)) == len(names), row.code
        assert row.neural, row.code


def test_a_language_with_several_locales_has_a_usual_one() -> None:
    languages = [row.code.partition("-")[0] for row in LOCALES]
    assert {language for language in languages if languages.count(language) > 1} == set(DEFAULT_LOCALES)
    assert set(DEFAULT_LOCALES.values()) <= {row.code for row in LOCALES}


@given(st.text(max_size=60))
def test_any_text_is_a_voice_or_none(code: str) -> None:
    voice = resolve_profile(code)
    assert voice is None or voice.code == code
