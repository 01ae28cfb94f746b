"""What a sample row is, from made-up hits: no registry, only what the registry would have said."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from watermarking.agreement import Hits
from watermarking.keys import IndexKey
from watermarking.name_readings import other_readings
from watermarking.normalise import masked, masked_words, normalise
from watermarking.pinyin import Choices, in_pinyin, likely_names, rare_names, written_out
from watermarking.resolve import CLASSES, Comparing, Resolved, resolve
from watermarking.respelled import respelled
from watermarking.row_reasons import reasons
from watermarking.simplified import simplified
from watermarking.tokens import MASKED, Field, TokenColumn, tokens_of

KEY = IndexKey(bytes(32))
PEOPLE = {
    "person_name": ["张伟", "李娜", "王芳"],
    "phone": ["13800001111", "13900002222", "13700003333"],
    "national_id": ["110101199003070011", "310101198506150022", "440106197712310033"],
    "email": ["a@example.org", "b@example.org", "c@example.org"],
}
ENGLISH = {
    "given_name": ["william", "john", "mary"],
    "surname": ["stafford", "stafford", "bryant"],
    "birth_date": ["1855-03-01", "1850-07-09", "1861-02-03"],
    "postcode": ["LE159SG", "LE159SG", "S66AB"],
}


def fields_of(cells: dict[str, list[str | None]]) -> list[Field]:
    fields = []
    for kind, values in cells.items():
        whole = normalise(kind, pa.array(values, pa.string()))
        part = masked_words(pa.array(values, pa.string())) if kind in ("person_name", "email") else None
        fields.append(Field(kind, kind, whole, masked(kind, whole) if kind in MASKED else part))
    return fields


def resolved(
    sample: dict[str, list[str | None]], people: dict[str, list[str | None]], versions: int = 1000
) -> tuple[Resolved, list[Field]]:
    """The sample against a table of `versions` rows of which `people` are all that share anything with it."""
    mine = fields_of(sample)
    return against(respelled([*mine, *other_readings(mine)]), people, versions)


def against(
    mine: list[Field], people: dict[str, list[str | None]], versions: int, compare: Comparing | None = None
) -> tuple[Resolved, list[Field]]:
    theirs = tokens_of(fields_of(people), KEY, budget=None)
    tokens = tokens_of(mine, KEY, budget=None)
    lines = [
        (row, number, frequency_of(column, token), person)
        for number, token in enumerate(tokens)
        for column in theirs
        if column.kind == token.kind
        for row in np.flatnonzero(token.there)
        for person in np.flatnonzero(column.there & (column.values == token.values[row]))
        for frequency_of in [lambda c, t, row=row: int((c.values == t.values[row]).sum())]
    ]
    table = np.array(lines or np.zeros((0, 4)), dtype=np.int64)
    person = (table[:, 3] + 1).astype(np.uint64)
    hits = Hits(table[:, 0], table[:, 1], np.zeros(len(table), dtype=np.int64), table[:, 2], person, person)
    rows = len(mine[0].whole)
    return resolve(mine, tokens, hits, rows, [versions], [frozenset(people)], compare=compare), mine


def classes(*arguments: object) -> list[str]:
    found, _ = resolved(*arguments)  # type: ignore[arg-type]
    return [str(CLASSES[code]) for code in found.row_class]


def test_a_row_with_every_field_of_one_record_is_held() -> None:
    assert classes(PEOPLE, PEOPLE) == ["held"] * 3


def test_masked_values_make_a_row_partial() -> None:
    shown = PEOPLE | {"person_name": ["张*", "李*", "王某"]}
    assert classes(shown, PEOPLE) == ["partial"] * 3
    assert (
        classes(PEOPLE | {"email": ["a***@example.org", "b*@example.org", "***@example.org"]}, PEOPLE)
        == ["partial"] * 3
    )


def test_a_field_that_nobody_has_makes_a_row_altered() -> None:
    assert classes(PEOPLE | {"phone": ["13100000001", "13100000002", "13100000003"]}, PEOPLE) == ["altered"] * 3


def test_a_phone_of_another_record_makes_a_row_recombined() -> None:
    found, fields = resolved(PEOPLE | {"phone": PEOPLE["phone"][1:] + PEOPLE["phone"][:1]}, PEOPLE)
    assert [str(CLASSES[code]) for code in found.row_class] == ["recombined"] * 3
    assert (found.record.tolist(), found.second.tolist()) == ([1, 2, 3], [2, 3, 1])
    assert reasons(found, fields)[0].as_py() == ("R5: name, id number, e-mail of one record, phone of another.")


def test_rows_all_recombined_alike_are_not_taken_for_a_table_with_a_foreign_column() -> None:
    many = {kind: [f"{n}{cell}" if kind == "email" else cell for n in range(4) for cell in cells]
            for kind, cells in PEOPLE.items()}  # fmt: skip
    many["phone"] = [f"138{n:08}" for n in range(12)]
    many["national_id"] = [f"11010119900307{n:03}X" for n in range(12)]
    swapped = many | {"national_id": many["national_id"][1:] + many["national_id"][:1]}
    assert set(classes(swapped, many)) == {"recombined"}


def test_a_row_that_lacks_what_sets_versions_apart_is_all_of_them() -> None:
    before = {kind: cells[:1] * 2 for kind, cells in PEOPLE.items()} | {"phone": ["13800001111", "13100000009"]}
    theirs = tokens_of(fields_of(before), KEY, budget=None)
    for shown, tied in ((before, 0), ({kind: before[kind] for kind in ("person_name", "national_id")}, 1)):
        mine = fields_of({kind: cells[:1] for kind, cells in shown.items()})
        tokens = tokens_of(mine, KEY, budget=None)
        lines = [
            (number, version)
            for number, token in enumerate(tokens)
            for column in theirs
            if (column.kind, column.fields) == (token.kind, token.fields)
            for version in np.flatnonzero(column.values == token.values[0])
        ]
        number, version = np.array(lines).T
        zero = np.zeros(len(lines), dtype=np.int64)
        record = np.ones(len(lines), dtype=np.uint64)
        hits = Hits(zero, number, zero, zero + 2, version.astype(np.uint64) + 1, record)
        found = resolve(mine, tokens, hits, 1, [1000], [frozenset(PEOPLE)])
        assert len(found.tied_version) == tied
        assert {int(found.version[0]), *found.tied_version.tolist()} == ({1} if not tied else {1, 2})


def test_a_number_given_to_somebody_else_does_not_make_him_a_customer() -> None:
    stranger = {
        "person_name": ["赵六"], "phone": ["13800001111"], "national_id": ["510101199001010044"],
        "email": ["x@example.org"],
    }  # fmt: skip
    found, fields = resolved(stranger, PEOPLE)
    assert [str(CLASSES[code]) for code in found.row_class] == ["unknown"]
    assert reasons(found, fields)[0].as_py().startswith("R6: phone is one of ours")


def test_a_row_that_could_not_be_found_does_not_say_that_nothing_in_it_is_ours() -> None:
    found, fields = resolved({"person_name": ["赵六"], "phone": [None]}, PEOPLE)
    assert reasons(found, fields)[0].as_py() == "R10: too little can be read in it to find it, were it ours."
    found, fields = resolved({"person_name": ["赵六"], "phone": ["13100000001"]}, PEOPLE)
    assert reasons(found, fields)[0].as_py() == "R9: nothing in it is a record of ours."


def test_a_misspelt_name_with_year_and_postcode_resolves() -> None:
    typed = {"given_name": ["bill"], "surname": ["staford"], "birth_date": ["1855-08-01"], "postcode": ["LE159SG"]}
    found, _ = resolved(typed, ENGLISH)
    assert (str(CLASSES[found.row_class[0]]), int(found.record[0])) == ("altered", 1)


def test_a_brother_at_the_same_address_is_not_the_customer() -> None:
    brother = {"given_name": ["henry"], "surname": ["stafford"], "birth_date": ["1853-11-11"], "postcode": ["LE159SG"]}
    assert classes(brother, ENGLISH) == ["unknown"]


def test_a_name_in_the_other_order_resolves() -> None:
    turned = {"given_name": ["bryant"], "surname": ["mary"], "birth_date": ["1861-02-03"], "postcode": ["S66AB"]}
    found, _ = resolved(turned, ENGLISH)
    assert int(found.record[0]) == 3


def test_a_merged_name_is_read_as_its_parts_and_parts_as_one() -> None:
    full = other_readings(fields_of({"person_name": ["mary bryant", "欧阳娜"]}))
    assert [(f.kind, f.whole.to_pylist()) for f in full if not f.cost] == [
        ("given_name", ["mary", "娜"]), ("surname", ["bryant", "欧阳"]),
    ]  # fmt: skip
    parts = other_readings(fields_of({"given_name": ["mary", "伟"], "surname": ["bryant", "张"]}))
    assert next(f.whole.to_pylist() for f in parts if f.kind == "person_name") == ["mary bryant", "张伟"]


def test_traditional_characters_are_the_simplified_ones() -> None:
    people = PEOPLE | {"person_name": ["张伟", "陈丽华", "王芳"]}
    assert classes(people | {"person_name": ["張偉", "陳麗華", "王芳"]}, people) == ["held"] * 3
    assert classes(people | {"person_name": ["張麗", "陳偉", "王芳"]}, people) == ["altered", "altered", "held"]
    street = pa.array(["臺北市大安區信義路5棟", None, "x"])
    assert simplified(street).to_pylist() == ["台北市大安区信义路5栋", None, "x"]


def test_simplified_characters_are_the_traditional_ones_of_the_table() -> None:
    people = PEOPLE | {"person_name": ["范偉", "鐘麗雲", "于傑"]}
    people |= {"address": ["台北市中正區忠孝東路9號", "臺北市大安區信義路5號", "香港九龍彌敦道100號"]}
    simple = {"person_name": ["范伟", "钟丽云", "于杰"]}
    simple |= {"address": ["台北市中正区忠孝东路9号", "台北市大安区信义路5号", "香港九龙弥敦道100号"]}
    assert classes(people | simple, people) == ["held"] * 3
    assert classes(people | {"person_name": ["范伟", "钟丽云", "于伟"]}, people) == ["held", "held", "altered"]


def test_a_name_in_pinyin_is_no_other_name_but_hides_it() -> None:
    few = {kind: cells[:2] for kind, cells in PEOPLE.items()}
    assert classes(few | {"person_name": ["Zhang Wei", "LI Na"]}, PEOPLE) == ["partial", "partial"]
    found, mine = resolved(few | {"person_name": ["Wei ZHANG", "Mary Smith"]}, PEOPLE)
    assert [str(CLASSES[code]) for code in found.row_class] == ["partial", "altered"]
    assert "pinyin" in reasons(found, mine)[0].as_py()


def test_a_name_in_pinyin_hides_surname_and_given_name_too() -> None:
    parts = {"surname": ["张", "李", "王"], "given_name": ["伟", "丽", "芳"], "phone": PEOPLE["phone"]}
    assert (
        classes({"person_name": ["zhang wei", "li li", "fang wang"], "phone": PEOPLE["phone"]}, parts)
        == ["partial"] * 3
    )
    split = {"surname": ["zhang", "li", "wang"], "given_name": ["wei", "li", "fang"], "phone": PEOPLE["phone"]}
    assert classes(split, parts) == ["partial"] * 3
    assert classes(split | {"given_name": ["mary", "ann", "john"]}, parts) == ["altered"] * 3


def test_a_name_in_pinyin_that_could_be_compared_is_the_same_or_another() -> None:
    sample = PEOPLE | {"person_name": ["zhang wei", "zhang wei", "zhang wei"]}
    found, fields = against(fields_of(sample), PEOPLE, 1000, lambda names, _: np.array([1, -1, 0])[: len(names)])
    assert [str(CLASSES[code]) for code in found.row_class] == ["partial", "altered", "partial"]
    assert reasons(found, fields).to_pylist() == [
        "R2: what masks and pinyin show, and every other field, is that of one record: name, phone, id number, e-mail.",
        "R4: phone, id number, e-mail of one record; name differs.",
        "R2: what masks and pinyin show, and every other field, is that of one record: phone, id number, e-mail.",
    ]


def test_names_in_characters_are_those_that_are_spelled_so() -> None:
    likely = {"李晓明": "xiaoming li", "張偉": "zhang wei", "吕布": "lyu bu", "欧阳娜娜": "ouyang nana"}
    assert [name for name, said in likely.items() if name not in every(likely_names(said))] == []
    rare = {"单雄信": "shan xiongxin", "缪睿": "miao rui"}
    assert [name for name, said in rare.items() if name in every(likely_names(said))] == []
    assert [name for name, said in rare.items() if name not in every(rare_names(said))] == []
    assert not every([*likely_names("mary ann"), *rare_names("mary ann")])


def test_a_name_that_leaves_out_a_middle_name_is_no_other_name() -> None:
    people = ENGLISH | {"person_name": ["william henry stafford", "john stafford", "mary ann bryant"]}
    people |= {"phone": PEOPLE["phone"]}
    short = {"person_name": ["stafford william", "john stafford", "mary bryant"], "phone": PEOPLE["phone"]}
    assert classes(short, people) == ["held"] * 3
    assert classes(short | {"person_name": ["john stafford", "mary x stafford", "mary ann"]}, people) == ["altered"] * 3


def every(names: list[Choices]) -> set[str]:
    return {name for choices in names for name in written_out(choices).to_pylist()}


def test_where_names_are_in_pinyin_another_one_is_another_name() -> None:
    people = PEOPLE | {"person_name": ["zhang wei", "li na", "wang fang"]}
    assert classes(people | {"person_name": ["zhang wei", "li na", "song jie"]}, people) == ["held", "held", "altered"]


def test_pinyin_is_told_from_other_names() -> None:
    names = ["zhang wei", "xiuying wang", "ouyang nana", "lü bu", "john smith", "arthur englefield", "mary", "王芳"]
    assert in_pinyin(normalise("person_name", pa.array(names))).to_pylist() == [True] * 4 + [False] * 4


def test_the_words_of_a_full_name_may_stand_in_the_other_order() -> None:
    people = PEOPLE | {"person_name": ["william stafford", "john h baker", "mary ann bryant"]}
    swapped = {"person_name": ["Stafford, William", "Baker, John H", "Bryant Mary Ann"]}
    assert classes(people | swapped, people) == ["held"] * 3


def test_a_date_whose_order_is_open_agrees_in_either() -> None:
    people = PEOPLE | {"birth_date": ["1985-07-03", "1990-02-01", "1977-12-31"]}
    fields = fields_of({kind: cells[:2] for kind, cells in people.items()})
    other = {"whole": pa.array(["1985-03-07", "1990-03-03"]), "also": (pa.array(["1985-07-03", None]),)}
    fields[-1] = replace(fields[-1], **other)
    found, _ = against(fields, people, 1000)
    assert [str(CLASSES[code]) for code in found.row_class] == ["held", "altered"]


def test_every_class_has_a_sentence_that_shows_no_value() -> None:
    found, fields = resolved(PEOPLE, PEOPLE)
    sentence = reasons(found, fields)[0].as_py()
    assert sentence == "R1: every field that can be read is that of one record: name, phone, id number, e-mail."


def test_token_columns_of_a_sample_stand_for_its_fields() -> None:
    columns: tuple[TokenColumn, ...] = tokens_of(fields_of(PEOPLE), KEY, budget=None)
    assert {column.fields for column in columns} >= {(0,), (1,), (2,), (3,)}
