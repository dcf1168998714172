"""A receipt's page in a real browser: true receipts are right there, lies are named, packs run again in its own engine."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browsers import browser, complaints, page_of
from tests.examples import long
from tests.guests import module, split_into
from tests.integration.test_dispute import NOTHING, lying
from tests.integration.test_reexecution import TEXT, materials, node, owned
from tests.signing import SigningNode, identity, respecified
from tests.unit.receipts_made import Fate, altered, fate_of, receipt_of_words, receipt_without_merge
from tests.unit.test_receipts import ALTERATIONS

from pangea.compute.client.receipts.page.captured import Captured
from pangea.compute.client.receipts.page.page import page_of as html_of
from pangea.compute.client.receipts.verifying import repeat_all
from pangea.compute.engine.engine import Engine
from pangea.compute.model import frames
from pangea.compute.model.ids import PeerId
from pangea.compute.verification import ordering
from pangea.compute.verification.receipt_file import dumps
from pangea.compute.verification.receipt_tree import Receipt

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Compiling Python takes a browser seconds, on a busy machine many.
RUN_MS = 120_000
EVIL = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", name="chrome")
def _chrome() -> Iterator[Browser]:
    with browser() as started:
        yield started


def written(engine: Engine, receipt: Receipt, folder: Path, inputs: Sequence[bytes] = (TEXT,), **changes: Any) -> Path:
    """The page of a receipt, with all its calls, by a machine that compares nothing."""
    captured, some = Captured(), materials(engine, receipt, folder, inputs)
    repeat_all(receipt, some, lambda _done, _total: None, captured)
    path = folder / "page.html"
    path.write_bytes(html_of(receipt, **{"module": some.module, "captured": captured, **changes}))
    return path


def small(engine: Engine, **changes: Any) -> Receipt:
    """The receipt of a job of a small module, whose calls have two packs each."""
    parts = split_into(frames.pack([b"a", b"bc", b"", b"def"]))
    merge = "(i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.const 5))"
    return SigningNode(engine, module(**parts, merge=merge), [TEXT], **changes).receipt()


def ordered(receipt: Receipt, **changes: Any) -> Receipt:
    """The receipt of the same job, ordered by a client with a key of its own."""
    job, client = receipt.job, identity(5)
    order = ordering.order(
        client.sign,
        client=PeerId(client.peer_id),
        job_id=job.job_id,
        node=job.owner,
        module=job.module,
        inputs=job.spec().inputs,
        options=job.options,
    )
    again = respecified(receipt, replace(job, order=replace(order, **changes)))
    return owned(again)


def opened(page: Page, path: Path) -> None:
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-state=checked]")


def of_file(chrome: Browser, **options: Any) -> Any:
    return page_of(chrome, own=("file://", "blob:null/", "data:,"), **options)


def verdicts(page: Page, where: str) -> list[str]:
    return [str(each) for each in page.locator(f"#{where} > li").evaluate_all("all => all.map((each) => each.dataset.verdict)")]


def ran(page: Page, button: str, lines: int) -> str:
    """Press a button that runs calls, and wait for so many lines; the last one."""
    page.click(button)
    page.wait_for_selector(f"#runs > li:nth-child({lines})", timeout=RUN_MS)
    return str(page.locator("#runs > li").nth(lines - 1).inner_text())


def test_a_true_receipt_is_right_and_gives_the_same_bytes_again(chrome: Browser, engine: Engine, tmp_path: Path) -> None:
    path = written(engine, ordered(small(engine)), tmp_path)
    with of_file(chrome) as page:
        opened(page, path)
        assert verdicts(page, "checks") == ["yes"] * 8
        assert identity(5).peer_id in page.locator("body").inner_text()
        assert page.locator("#verdict").get_attribute("data-verdict") == "yes"
        ran(page, "#run-all", 4)
        page.wait_for_selector("#progress:text-is('Done.')")
        assert verdicts(page, "runs") == ["yes"] * 4
        page.select_option("#call", label="execute of chunks 0 to 1")
        page.select_option("#pack", label="2 of 2")
        assert "pack 2 of 2 gave the bytes that were signed" in ran(page, "#run", 5)


@pytest.mark.long
def test_the_page_is_for_everybody(chrome: Browser, engine: Engine, tmp_path: Path) -> None:
    path = written(engine, small(engine), tmp_path)
    for scheme in ("light", "dark"):
        with of_file(chrome, color_scheme=scheme, viewport={"width": 360, "height": 740}) as page:
            opened(page, path)
            assert (scheme, complaints(page)) == (scheme, [])
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
            page.keyboard.press("Tab")
            assert page.evaluate("() => document.activeElement.id") == "call"
            for _ in range(2):
                page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            page.wait_for_selector("#runs > li[data-verdict=yes]")


@pytest.mark.long
def test_python_runs_in_the_browser_and_a_signed_lie_is_named(chrome: Browser, python: Engine, tmp_path: Path) -> None:
    line = TEXT[:58]
    job = node(python, inputs=[line], execute_size=3, fan_in=0, lie=lying("3", output=NOTHING))
    path = written(python, job.receipt(), tmp_path, [line])
    with of_file(chrome) as page:
        opened(page, path)
        assert verdicts(page, "checks") == ["yes"] * 8
        page.select_option("#call", label="execute of chunks 0 to 2")
        page.select_option("#pack", label="3 of 3")
        assert "pack 3 of 3 gave the bytes that were signed" in ran(page, "#run", 1)
        true = ran(page, "#run-call", 2)
        assert "all 3 packs gave the bytes that were signed" in true
        assert re.search(r"fuel [\d,]+\); signed by", true), "the module's own meter gives the same figure in another engine"
        page.select_option("#call", label="execute of chunks 3 to 5")
        assert "gave other bytes than were signed" in (lie := ran(page, "#run", 3))
        assert lie.endswith((identity(1).peer_id, identity(2).peer_id))
        page.select_option("#call", label="the last merge")
        ran(page, "#run", 4)
        assert verdicts(page, "runs") == ["yes", "yes", "no", "yes"]


def test_forgeries_are_red_and_named_and_nothing_of_them_runs(chrome: Browser, engine: Engine, tmp_path: Path) -> None:
    true = small(engine)
    last = true.tree.record
    assert last is not None
    forged = {
        "worker 12D3": owned(true, splits=tuple(replace(each, signature=bytes(64)) for each in true.splits)),
        "the owner 12D3": replace(true, job=replace(true.job, name="other")),
        "not those that the root names": replace(true, root=bytes(32)),
        "the last merge gave": owned(true, job=replace(true.job, result_sha256="00" * 32)),
        "the records come to": owned(true, job=replace(true.job, fuel=true.job.fuel + 1)),
        "didn't order such a job": ordered(true, signature=bytes(64)),
    }
    with of_file(chrome) as page:
        for words, receipt in forged.items():
            path = tmp_path / "forged.html"
            path.write_bytes(html_of(receipt, module=true.module or b"", captured=None))
            opened(page, path)
            assert page.locator("#verdict").get_attribute("data-verdict") == "no", words
            assert words in page.locator("#checks > li[data-verdict=no]").first.inner_text()
            assert not page.locator("#again").is_visible()


def test_a_signed_lie_is_named(chrome: Browser, engine: Engine, tmp_path: Path) -> None:
    path = written(engine, small(engine, lie=lying("0", output=NOTHING)), tmp_path)
    with of_file(chrome) as page:
        opened(page, path)
        assert verdicts(page, "checks") == ["yes"] * 8
        page.select_option("#call", label="execute of chunks 0 to 1")
        assert "gave other bytes than were signed" in ran(page, "#run-call", 1)
        assert verdicts(page, "runs") == ["no"]


def test_a_page_whose_parts_are_others_is_red(chrome: Browser, engine: Engine, tmp_path: Path) -> None:
    receipt = small(engine)
    text = written(engine, receipt, tmp_path).read_text()
    about = json.loads(text.partition('id="about">')[2].partition("</script>")[0])
    leaf = next(each["leaves"][0] for each in about["calls"].values() if "leaves" in each)
    other = written(engine, receipt, tmp_path, module=module()).read_text()
    start = about["calls"]["0"]["start"]
    changes = {
        "don't lead to the root": text.replace(leaf, "00" * 32),
        "this page's module isn't the job's": other,
        "isn't what its worker signed": text.replace(f'"0":{{"start":{start}', f'"0":{{"start":{start - 1}'),
    }
    with of_file(chrome) as page:
        for words, changed in changes.items():
            (tmp_path / "changed.html").write_text(changed)
            opened(page, tmp_path / "changed.html")
            page.select_option("#call", label="execute of chunks 0 to 1")
            assert words in ran(page, "#run", 1)
            assert verdicts(page, "runs") == ["no"]


def test_a_strangers_text_is_no_script(chrome: Browser, engine: Engine, tmp_path: Path) -> None:
    receipt = small(engine)
    named = owned(receipt, job=replace(receipt.job, name=EVIL))
    path = tmp_path / "evil.html"
    path.write_bytes(html_of(named, missing=EVIL))
    with of_file(chrome) as page:
        opened(page, path)
        assert page.title() == f"Receipt of {EVIL}"
        assert EVIL in page.locator("#facts").inner_text()
        assert page.locator("img").count() == 0
    injected = path.read_text().replace("<main>", "<main><script>document.title = 'taken'</script>", 1)
    path.write_text(injected)
    said: list[str] = []
    with pytest.raises(AssertionError), of_file(chrome) as page:  # noqa: PT012  # the page's own complaint, at its end
        page.on("console", lambda message: said.append(message.text))
        opened(page, path)
        assert page.title() == f"Receipt of {EVIL}"
    assert "violates the following Content Security Policy" in said[0]


CHECK = """async (texts) => {
  const fates = [];
  for (const text of texts) {
    try { fates.push((await checkReceipt(readReceipt(text))).map(([where, what]) => `${where}: ${what}`)); }
    catch (error) { fates.push([`unreadable: ${error.message}`]); }
  }
  return fates;
}"""


def forgeries(count: int) -> list[str]:
    """Files with bytes or fields exchanged, by the same draw each time."""
    rng, data = random.Random(21), dumps(receipt_of_words())
    made = [altered(change) for name, change in ALTERATIONS.items() if name != "no module"]
    for _ in range(count):
        forged = bytearray(data)
        at = rng.randrange(len(forged))
        forged[at] = rng.choice(b'0123456789abcdef,:"{}[]')
        made.append(bytes(forged))
    return [each.decode("utf-8", "surrogateescape") for each in made]


@pytest.mark.parametrize("count", [20, *long(60, 300)])
def test_the_page_accepts_no_file_that_verify_refuses(chrome: Browser, engine: Engine, tmp_path: Path, count: int) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(html_of(small(engine)))
    good = [dumps(make()).decode() for make in (receipt_of_words, receipt_without_merge)]
    texts = forgeries(count)
    with of_file(chrome) as page:
        opened(page, path)
        assert page.evaluate(CHECK, good) == [[], []]
        found = page.evaluate(CHECK, texts)
        accepted = [text for text, wrong in zip(texts, found, strict=True) if not wrong]
        assert [each for each in accepted if fate_of(each.encode()) is not Fate.SAME] == []
        assert sum("unreadable" not in str(wrong) for wrong in found) > count // 3, "many must come as far as the signatures"
        # Without the browser's own Ed25519 it says the same.
        page.evaluate("() => { hasOwnEd25519 = false; keys.clear(); }")
        assert page.evaluate(CHECK, [*good, *texts[:40]]) == [[], [], *found[:40]]


#: RFC 8032, 7.1: the key, the message and the signature of tests 1 to 3.
VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]  # fmt: skip
SIGNED = """async ([peers, message, signature, isOwn]) => {
  hasOwnEd25519 = isOwn; keys.clear();
  return Promise.all(peers.map((peer) => isSignedBy(peer, fromHex(message), fromHex(signature))));
}"""


@pytest.mark.long
def test_signatures_are_checked_as_elsewhere(chrome: Browser, engine: Engine, tmp_path: Path) -> None:
    import base58

    def peer(key: bytes) -> str:
        return base58.b58encode(bytes((0, 0x24, 8, 1, 0x12, 0x20)) + key).decode()

    path = tmp_path / "page.html"
    path.write_bytes(html_of(small(engine)))
    neutral = bytes((1, *bytes(31)))  # one signature fits every message of such a key
    with of_file(chrome) as page:
        opened(page, path)
        for is_own in (True, False):
            for key, message, signature in VECTORS:
                name = peer(bytes.fromhex(key))
                others = [peer(bytes.fromhex(VECTORS[0][0])[:31] + b"\0"), "12D3", f"1{name}", name[:-1] + "l", ""]
                assert page.evaluate(SIGNED, [[name], message, signature, is_own]) == [True]
                assert not any(page.evaluate(SIGNED, [[name], f"{message}00", signature, is_own]))
                assert not any(page.evaluate(SIGNED, [others, message, signature, is_own]))
                high = bytes.fromhex(signature)[:32] + (int.from_bytes(bytes.fromhex(signature)[32:], "little") + ORDER).to_bytes(
                    32, "little"
                )
                assert page.evaluate(SIGNED, [[name], message, high.hex(), is_own]) == [False]
            assert page.evaluate(SIGNED, [[peer(neutral)], "00", (neutral + bytes(32)).hex(), is_own]) == [False]


ORDER = 2**252 + 27742317777372353535851937790883648493
#: 0 / 0 as 8 bytes: engines differ in its sign.
NAN = """(f64.store (i32.const 64) (f64.div (f64.convert_i32_u (i32.sub (local.get 1) (local.get 1))) (f64.const 0)))
 (i64.const 0x4000000008)"""
LIMIT = """async (wasm) => {
  const limited = new WebAssembly.Instance(await WebAssembly.compile(withMemoryLimit(fromBase64(wasm), 66))).exports.memory;
  const before = limited.grow(2);
  try { limited.grow(1); return "grew"; } catch { return [before, limited.buffer.byteLength]; }
}"""


@pytest.mark.long
def test_what_an_engine_is_free_in_is_no_lie(chrome: Browser, engine: Engine, tmp_path: Path) -> None:
    wasm = module(NAN)
    receipt = SigningNode(engine, wasm, [TEXT]).receipt()
    path = written(engine, receipt, tmp_path)
    with of_file(chrome) as page:
        opened(page, path)
        assert "gave the bytes that were signed" in ran(page, "#run", 1)
        assert verdicts(page, "runs") == ["yes"]
        assert page.evaluate(LIMIT, base64.b64encode(wasm).decode()) == [64, 66 * 65536], "the job's limit holds there, too"


#: What is run gets a "b", at which this module never ends: no job that has a receipt does that.
OTHERWISE = """() => {
  const run = Engine.prototype.run;
  Engine.prototype.run = function (called) { return run.call(this, called, Uint8Array.of(1, 0, 0, 0, 98)); };
}"""


@pytest.mark.long
def test_a_job_that_does_not_end_can_be_stopped(chrome: Browser, engine: Engine, tmp_path: Path) -> None:
    wasm = module("(if (i32.eq (i32.load8_u (local.get 0)) (i32.const 98)) (then (loop $on (br $on)))) (i64.const 0)")
    receipt = SigningNode(engine, wasm, [b"a"]).receipt()
    path = written(engine, receipt, tmp_path, [b"a"])
    with of_file(chrome) as page:
        opened(page, path)
        page.evaluate(OTHERWISE)
        page.click("#run")
        page.wait_for_selector("#progress:has-text('running pack')")
        page.click("#stop")
        page.wait_for_selector("#progress:text-is('Stopped.')")
        assert page.locator("#run").is_enabled()
