"""The lattice for Chinese: what the shipped one finds, its segments, its storage and its lexicon."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from lexveil.nlp.taggers.contract import SENSITIVITIES, TaggerError
from lexveil.nlp.taggers.lattice import (
    CHINESE,
    LEVELS,
    SEGMENT,
    Lattice,
    LatticeParameters,
    LatticeTagger,
    Lexicon,
    fold_characters,
    hash_words,
    split_segments,
)

SENTENCES = (
    "那批货最后是⟦孟小勇⟧拉走的，提货单上也是他签的字。",
    "我跟⟦葛兰芝⟧说过好几次，让她别再去找⟦段飞鸿⟧。",
    "协议载明，⟦汤静怡⟧自愿放弃继承，全部财产归⟦汤静远⟧所有。",
    "会谈中，⟦安德烈·科瓦尔⟧提出由⟦卡米拉·罗森⟧担任项目负责人。",
    "当天，⟦热依汗·吐尔逊⟧带着⟦扎西旺堆⟧去县城看病。",
    "黄金、白银、钱币等贵重物品应当妥善保管，高温时段停止户外作业。",
    "依照《中华人民共和国民事诉讼法》之规定，判决驳回上诉，维持原判。",
)


def test_people_are_found_in_prose_without_any_cue() -> None:
    texts = [sentence.replace("⟦", "").replace("⟧", "") for sentence in SENTENCES]
    for marked, text, spans in zip(SENTENCES, texts, LatticeTagger.load().tag(texts), strict=True):
        for span in reversed(spans):
            assert span.type == "PERSON"
            text = f"{text[: span.start]}⟦{text[span.start : span.end]}⟧{text[span.end :]}"
        assert text == marked


def test_the_strict_point_finds_no_less() -> None:
    texts = [sentence.replace("⟦", "").replace("⟧", "") for sentence in SENTENCES]
    covered: list[int] = []
    for sensitivity in SENSITIVITIES:
        found = LatticeTagger.load(sensitivity).tag(texts)
        covered.append(sum(span.end - span.start for spans in found for span in spans))
    assert covered == sorted(covered)


def test_a_text_is_read_alike_alone_and_beside_others() -> None:
    tagger = LatticeTagger.load()
    texts = ["", "No Chinese at all.", *(one.replace("⟦", "").replace("⟧", "") for one in SENTENCES)] * 3
    assert tagger.tag(texts) == [tagger.tag([text])[0] for text in texts]
    assert tagger.tag([]) == []


@pytest.mark.slow
def test_a_long_text_takes_no_more_memory_than_a_part_of_it() -> None:
    tagger = LatticeTagger.load()
    page = "".join(f"{one.replace('⟦', '').replace('⟧', '')}\n" for one in SENTENCES)
    copies = 100_000 // len(page)
    tracemalloc.start()
    (spans,) = tagger.tag([page * copies])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120 << 20  # read at once, it takes 237 MiB
    assert len(spans) == copies * len(tagger.tag([page])[0])


def test_segments_hold_every_chinese_character_once_and_end_with_sentences() -> None:
    text = ("原告葛兰芝诉称，货款未付。" * 40 + "Latin only. " * 30 + "被告" * 200)[:1200]
    batch = split_segments([text, "", "被告"])
    assert np.diff(np.flatnonzero(np.diff(batch.segment, prepend=-1, append=-1))).max() <= SEGMENT
    first = batch.position[batch.text == 0]
    assert len(set(first.tolist())) == len(first)
    assert {index for index, one in enumerate(text) if one >= "\u4e00"} <= set(first.tolist())
    assert set(batch.text.tolist()) == {0, 2}
    ends = np.flatnonzero(np.diff(batch.segment[: 13 * 40]))
    assert {text[batch.position[end]] for end in ends[:3]} == {"。"}


def test_each_character_has_the_classes_of_the_words_around_it() -> None:
    words = {"南京": 0, "南京市": 1, "市长": 2}
    pairs = sorted(
        (int(hash_words(fold_characters(word), np.zeros(1, np.int64), len(word))[0]), kind * LEVELS)
        for word, kind in words.items()
    )
    hashes, codes = zip(*pairs, strict=True)
    lexicon = Lexicon(np.array(hashes, np.uint32), np.array(codes, np.uint8), 3)
    shares = lexicon.describe(fold_characters("南京市长"), np.zeros(4, np.int64)).reshape(4, 4, 3)
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), 4)
    begins, contains, ends, alone = (shares[:, place] for place in range(4))
    assert begins[0].tolist() == [2, 2, 0]
    assert contains[1].tolist() == [0, 2, 0]
    assert ends[1].tolist() == [2, 0, 0]
    assert ends[2].tolist() == [0, 2, 0]
    assert begins[2].tolist() == [0, 0, 2]
    assert ends[3].tolist() == [0, 0, 4]
    assert not alone.any()
    apart = lexicon.describe(fold_characters("南京市长"), np.array([0, 0, 1, 1])).reshape(4, 4, 3)
    assert not apart[:, 1].any()  # no word reaches over the end of a segment


def test_stored_and_read_again(tmp_path: Path) -> None:
    parameters = Lattice.load().parameters
    path = tmp_path / "again.safetensors"
    parameters.save(path)
    assert path.read_bytes() == CHINESE.read_bytes()
    assert LatticeParameters.load(path).operating == parameters.operating
    path.write_bytes(b"no weights")
    with pytest.raises(TaggerError, match="unreadable"):
        Lattice.load(path)
    with pytest.raises(TaggerError, match="missing"):
        Lattice.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    "text",
    [
        "聘用单位被注销备案，他的工作类居留许可随之失效。",
        "没有取得林木采伐许可证即砍伐的，依法处罚。",
        "该公司未经许可在网站上使用其商标。",
        "请求宣告该外观设计专利无效，并赔偿损失。",
        "桥面湿滑，高峰时段车流量大，司机应当减速慢行。",
        "经鉴定，车辆制动系统未按期保养，事故责任人负全部责任。",
        "被告公司应于收到货物之日起三日内付清余款，逾期按日支付违约金。",
    ],
)
def test_words_that_begin_like_names_are_left_alone(text: str) -> None:
    assert LatticeTagger.load(threshold=0.1).tag([text]) == [[]]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("本院认为，被告⟦陶\n红⟧应当承担责任。", ["陶\n红"]),
        ("申请人⟦朱 仝⟧不服裁决，向本院起诉。", ["朱 仝"]),
        ("合同由⟦乔治·W·布什⟧签署，双方没有异议。", ["乔治·W·布什"]),
        ("⟦诺布顿珠⟧把⟦艾合买提江·吐尔逊⟧的羊赶走了。", ["诺布顿珠", "艾合买提江·吐尔逊"]),
        ("四川正泰司法鉴定所出具意见，河南恒远公司没有异议。", []),
        ("双方务必尽快办理，谢啦。", []),
    ],
)
def test_names_by_their_form(text: str, names: list[str]) -> None:
    (spans,) = LatticeTagger.load().tag([text.replace("⟦", "").replace("⟧", "")])
    plain = text.replace("⟦", "").replace("⟧", "")
    assert [plain[span.start : span.end] for span in spans] == names


@pytest.mark.parametrize("filler", ["某", "某某", "某甲", "××"])
@pytest.mark.parametrize("surname", ["张", "王", "欧阳"])
def test_names_that_a_court_has_shortened(surname: str, filler: str) -> None:
    text = f"后来{surname}{filler}将钱款交给葛兰芝，由其转交孟小勇。"
    (spans,) = LatticeTagger.load("strict").tag([text])
    found = {text[span.start : span.end] for span in spans}
    assert {"葛兰芝", "孟小勇"} <= found
    assert any(name.startswith(surname) for name in found)
