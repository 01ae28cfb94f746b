"""How surnames sound: the code's published examples, and cells without a Latin letter."""

import pyarrow as pa

from watermarking.sound import almost, sound_of


def test_surnames_have_the_codes_of_the_published_examples():
    names = {"robert": "R163", "rupert": "R163", "rubin": "R150", "ashcraft": "A261", "pfister": "P236", "lee": "L000"}
    codes = [code[:1] + code[1:].rstrip("0") for code in names.values()]
    assert [c.upper() for c in sound_of(pa.array(list(names))).to_pylist()] == codes


def test_misspelt_surnames_sound_alike_and_others_do_not():
    assert len(sound_of(pa.array(["bryant", "briant", "bryannt"])).unique()) == 1
    assert len(sound_of(pa.array(["bryant", "killik", "ross"])).unique()) == 3


def test_a_name_without_latin_letters_has_no_sound():
    assert sound_of(pa.array(["张", "", None], pa.string())).null_count == 3


def test_what_errors_leave_is_the_sound_of_the_full_name_the_year_and_the_area():
    assert len(almost("given_name", pa.array(["william", "bill", "willy"])).unique()) == 1
    assert almost("birth_date", pa.array(["1855-01-01"])).to_pylist() == ["1855"]
    assert almost("postcode", pa.array(["TS190SH", "310012"])).to_pylist() == ["TS19", "310"]
