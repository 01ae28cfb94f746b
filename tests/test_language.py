"""Every sentence of ours can be said in Chinese, the numbers stay, and what nobody has translated is not dropped."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pipeline.report import LANGUAGES, language, render, summary
from pipeline.report.language import expression
from tests.test_report import ALL, EVIDENCE, IDENTIFIED, with_evidence, words
from watermarking.carriers import CARRIER_CLASSES
from watermarking.explain import _REASON, sentences

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "pipeline" / "report"
CATALOGUE = yaml.safe_load((REPORT / "zh.yaml").read_text("utf-8"))
HOLES = re.compile(r"\{(\w+)\}")
CHINESE = language("zh")
# Modules whose sentences reach a verdict's reasons and limits.
SPEAKERS = ("watermarking/verdict.py", "watermarking/authenticity.py", "pipeline/parents.py")


def phrases_asked_for() -> set[str]:
    """Every phrase that templates and modules of the report and the emitters say."""
    found: set[str] = set()
    for path in REPORT.glob("*.j2"):
        text = path.read_text("utf-8")
        found |= set(re.findall(r'\b_\("((?:[^"\\]|\\.)*)"\s*[,)]', text))
        found |= set(re.findall(r'\b_n\("(?:[^"\\]|\\.)*", "((?:[^"\\]|\\.)*)"', text))
    for path in [*REPORT.glob("*.py"), *(ROOT / "pipeline" / "emitters").glob("notice.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                argument = {"say": 0, "count": 1}.get(node.func.attr)
                if argument is not None and len(node.args) > argument:
                    found |= {a.value for a in [node.args[argument]] if isinstance(a, ast.Constant)}
    return found


def sentences_of(path: str) -> Iterator[str]:
    """Every sentence with a rule number, and every one of `limits`, that a module can say; its holes hold a 7."""
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(map(_filled, node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _filled(part: ast.expr) -> str:
    """A part of a sentence: a hole holds a 7, and what its number asks for stands in the form for many."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else part
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "counted":
        words = [str(word.value) for word in value.args[1:] if isinstance(word, ast.Constant)]
        return f"7 {words[1] if len(words) > 1 else words[0] + 's'}"
    return str(value.orelse.value) if isinstance(value, ast.IfExp) and isinstance(value.orelse, ast.Constant) else "7"


def is_sentence(text: str) -> bool:
    return bool(re.match(r"[AB][0-9]+: ", text)) or (text.endswith(".") and " " in text and "\n" not in text.strip())


def test_every_phrase_of_the_report_is_in_the_catalogue() -> None:
    asked = phrases_asked_for()
    assert len(asked) > 100
    assert sorted(asked - CATALOGUE["phrases"].keys()) == []


def test_the_holes_of_a_translation_are_those_of_its_english() -> None:
    for part in CATALOGUE.values():
        for english, chinese in part.items():
            assert sorted(HOLES.findall(english)) == sorted(HOLES.findall(chinese)), english


def docstrings_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    return {ast.get_docstring(node, clean=False) or "" for node in nodes}


@pytest.mark.parametrize("path", SPEAKERS)
def test_every_sentence_that_a_verdict_can_say_has_its_chinese(path: str) -> None:
    parts = docstrings_of(path)
    bare = [re.sub(r"^[AB][0-9]+: ", "", s) for s in sentences_of(path) if is_sentence(s) and s not in parts]
    whole = [one for one in bare if not any(one != other and one in other for other in bare)]
    assert whole
    # A hole may also hold a word: then the same sentence with one is tried.
    unknown = [s for s in whole if not any(CHINESE.knows(re.sub(r"^7(?= )", w, s)) for w in ("7", "one copy is"))]
    assert unknown == []


@pytest.mark.parametrize(
    "note",
    [
        "3 lines above the header were not read as rows",
        "1,200 lines that are no whole JSON were not read",
        "of its 900 members only the first 500 were read",
        "a/b.zip is protected by a password and was not read; unpack it first",
        "it could not be read as xlsx (KeyError); save it as CSV",
        "its pages hold no text (a scan?); read them with a text recogniser first",
    ],
)
def test_what_was_not_read_of_a_sample_is_said_in_chinese(note: str) -> None:
    document = {**IDENTIFIED, "sample": {**IDENTIFIED["sample"], "notes": [f"post.zip: {note}"]}}
    page = render(document, CHINESE)
    assert "<bdi>post.zip</bdi>: " in page
    assert note not in page
    assert CHINESE.knows(note)


def test_why_a_carrier_was_set_aside_is_said_in_chinese() -> None:
    assert CHINESE.knows(_REASON)


@pytest.mark.parametrize("aside", [0, 1, 3])
@pytest.mark.parametrize("log10_p", [0.0, -0.4, -12.0])
def test_the_evidence_in_words_is_said_in_chinese(log10_p: float, aside: int) -> None:
    channels = tuple(replace(channel, log10_p=log10_p) for channel in EVIDENCE.channels)
    said = sentences(replace(EVIDENCE, channels=channels), [object()] * aside)
    assert [one for one in said if not CHINESE.knows(one)] == []
    lines = "\n".join(summary(with_evidence(IDENTIFIED), CHINESE))
    assert "指向副本 X-7Q2F1 的证据：" in lines
    assert "地址（地址写法（号楼/栋））：41 个符号中有 40 个一致。" in lines


def test_every_carrier_has_its_chinese_name() -> None:
    assert [name for name in CARRIER_CLASSES if name.replace("_", " ") not in CATALOGUE["phrases"]] == []


def test_the_cases_of_the_other_tests_are_chinese_throughout() -> None:
    for document in ALL.values():
        document = {**document, "sample": {**document["sample"], "notes": []}}
        document["authenticity"] = {**document["authenticity"], "reasons": ["A3: " + SAID[3]]}
        assert 'lang="en"' not in render(document, CHINESE)


SAID = [
    "nothing in the sample can be read as a field by which our records are found.",
    "18 of 20 distinct readable rows are records of ours; a stranger's list of that length would hold about 3.6 by "
    "chance.",
    "3 rows agree in a column that only we hold.",
    "so many matches arise by chance in a list that is not ours.",
    "one copy is named; in at most 1 of 1,000,000 cases like this would an innocent one be among them, of 12 copies "
    "searched (attempt 2).",
    "3 of 12 exports held these rows; marks do not decide.",
    "Copy X-1 was made from copy X-2, itself from X-3: rows may have left through either; canaries of the earlier copy "
    "are counted for none.",
]


@pytest.mark.parametrize("sentence", SAID)
def test_numbers_and_ids_of_a_sentence_stay(sentence: str) -> None:
    said = CHINESE.sentence(sentence)
    assert re.search(r"[\u4e00-\u9fff]", said)
    figures = re.compile(r"X-[0-9]|(?<![\w-])[0-9][0-9,.]*[0-9]|(?<![\w-])[0-9]")
    assert sorted(figures.findall(said)) == sorted(figures.findall(sentence.replace("one copy", "copy")))
    assert "{" not in said


def test_the_chinese_report_names_the_same_copy_and_bound() -> None:
    said = words(render(IDENTIFIED, CHINESE))
    assert "任何无辜副本出现如此结果的概率至多为 109 分之一" in said
    assert "X-7Q2F1" in said
    assert "E1001" in said
    assert "无论泄露者做过什么" in said
    assert "这不是某人无辜的概率" in said
    assert '<html lang="zh-Hans">' in render(IDENTIFIED, CHINESE)
    assert re.search(r"[。；] +[\u4e00-\u9fff0-9]", render(IDENTIFIED, CHINESE)) is None  # Chinese has no such spaces
    assert summary(IDENTIFIED, CHINESE)[0].startswith("是我们的数据。副本 X-7Q2F1")


def test_a_sentence_that_nobody_translated_stays_and_is_marked_as_english() -> None:
    document = {**IDENTIFIED, "limits": ["A sentence of tomorrow."]}
    assert '<span lang="en">A sentence of tomorrow.</span>' in render(document, CHINESE)
    assert CHINESE.sentence("A sentence of tomorrow.") == "A sentence of tomorrow."


def test_a_number_is_no_word_and_a_word_no_number() -> None:
    assert expression("{n1} rows").fullmatch("1,200 rows")
    assert not expression("{n1} rows").fullmatch("many rows")
    assert not expression("copy {id1} left").fullmatch("copy X 1 left")


def test_a_language_that_there_is_none_of_is_refused() -> None:
    assert LANGUAGES == ("en", "zh")
    with pytest.raises(ValueError, match="no language"):
        language("../en")
