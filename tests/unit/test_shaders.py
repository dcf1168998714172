"""Shaders: what may be written, what is made of it, and how jobs declare it."""

from __future__ import annotations

import json
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pangea.compute.client.definition.job import Job, JobBuilder
from pangea.compute.engine.engines.remote import RemoteEngine
from pangea.compute.engine.prepared import prepare_shader
from pangea.compute.model.errors import JobDefinitionError, ManifestError, NoAdapterError
from pangea.compute.model.gpu import METER, TURNS_MAX, ArrayType, GpuProgram, Metered
from pangea.compute.model.limits import Limits
from pangea.compute.model.options import VerificationMode
from pangea.compute.model.tolerance import Tolerance, check_mode
from pangea.compute.model.wgsl import check

MAIN = "fn main(index: u32) -> u32 { return input(index); }"


def body(text: str, before: str = "") -> str:
    return f"{before}\nfn main(index: u32) -> u32 {{ {text} }}"


@pytest.mark.parametrize(
    "text",
    [
        MAIN,
        body("return 1u + u32(2 < 3) + u32(3 >= 2);"),
        body("var x = vec4<u32>(1u); x.x = 7u; return x.w >> 3u;"),
        body("let a = array<array<u32, 4>, 2>(); return a[index][index];"),
        body("var a: array<vec2<u32>,4>= array<vec2<u32>, 4>(); return a[1].y << 31;"),
        body("/* nested /* 1.5 */ f32 */ return 0x1eu; // sin(1.0)"),
        body("return pair(index).low;", "struct Pair { low: u32, high: u32 }\nfn pair(x: u32) -> Pair { return Pair(x, x); }"),
        body("for (var i = 0u; i < 3u; i++) { kept += i; } return kept;", "var<private> kept: u32;"),
        body("switch index { case 0u, 1u: { return 1u; } default: { return shift_left(1u, index); } }"),
        body("return bitcast<u32>(-5) + countOneBits(index) + K[index % 2u];", "const K = array<u32, 2>(1u, 2u);"),
    ],
)
def test_what_is_the_same_everywhere_may_be_written(text: str) -> None:
    assert GpuProgram(text).shader == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (body("let x: f32 = 1; return u32(x);"), "'f32' is floating point"),
        (body("return u32(1.5);"), "'1.5' is floating point"),
        (body("return u32(0x1p3);"), "'0x1p3' is floating point"),
        (body("return u32(1e3);"), "'1e3' is floating point"),
        (body("return u32(2f);"), "'2f' is floating point"),
        (body("return u32(sqrt(4));"), "'sqrt' is floating point"),
        (body("let sqrt = 1u; return sqrt;"), "is a name of the language's"),
        (body("return vec2<f32>(1, 2).x;"), "'f32' is floating point"),
        (body("return bitcast<u32>(vec2h(1, 2));"), "'vec2h' is floating point"),
        (body("return 1u << index;"), "by what isn't a literal"),
        (body("return index >> 32u;"), "by what isn't a literal"),
        (body("var x = 1u; x <<= index; return x;"), "by what isn't a literal"),
        (body("return 7u >> K[0];", "const K = array<u32, 1>(1u);"), "by what isn't a literal"),
        (body("return atomicLoad(&x);", "var<private> x: u32;"), "invocations see each other"),
        (body("return x;", "var<workgroup> x: u32;"), "invocations see each other"),
        (body("workgroupBarrier(); return 1u;"), "invocations see each other"),
        (body("return subgroupAdd(index);"), "invocations see each other"),
        (body("return x;", "@group(0) @binding(0) var<storage> x: u32;"), "attributes"),
        (body("return clamp(index, 5u, 2u);"), "'clamp' isn't taken"),
        (body("return 1u;", "enable f16;"), "'enable' isn't taken"),
        (body("return later(index);"), "neither declared here nor"),
        (body("return pangea_in[index];"), "neither declared here nor"),
        (body("return 1u;", "var<private> pangea_turns: u32;"), "is a name of the language's, or of the prelude's"),
        (body("let input = 1u; return input;"), "is a name of the language's, or of the prelude's"),
        (body("var a: array<u32, 5000>; return a[index];"), "arrays of 5,000 numbers"),
        (body("var a: array<array<vec4<u32>, 64>, 64>; return a[0][0].x;"), "arrays of 16,640 numbers"),
        (body("var a: array<S, 4>; return a[0].x;", "struct S { x: u32 }"), "an array of 'S'"),
        (body("var a: array<u32, N>; return a[0];", "const N = 4096 * 4096;"), "an array of 'N'"),
        (body("return ö;"), "begins nothing that a shader may have"),
        (body("return 1u;", "// " + "x" * 70_000), "characters; at most 65,536"),
        ("fn other(index: u32) -> u32 { return 1u; }", "no function 'main'"),
        ("fn main(index: i32) -> u32 { return 1u; }", "isn't declared as fn main(index: u32) -> u32"),
        ("fn main(index: u32) -> i32 { return 1; }", "isn't declared as fn main(index: u32) -> u32"),
        ("", "no function 'main'"),
    ],
)
def test_what_may_differ_between_adapters_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(JobDefinitionError) as caught:
        GpuProgram(text)
    assert said in caught.value.message


def test_a_refusal_says_the_line() -> None:
    with pytest.raises(JobDefinitionError, match=r"line 4: '1\.0' is floating point"):
        check("/* one\ntwo */\n\nconst x = 1.0;")


@pytest.mark.parametrize(
    ("loop", "metered"),
    [
        ("for (var i = 0u; i < 3u; i++) {", "for (var i = 0u; pangea_turn( i < 3u); i++) {"),
        ("for (;;)\n{", "for (; pangea_turn(true);)\n{"),
        ("for (var i = f(1u); (f(i) < 3u); ) // ;\n{", "for (var i = f(1u); pangea_turn( (f(i) < 3u)); ) // ;\n{"),
        ("while index < 3u {", "while pangea_turn( index < 3u ) {"),
        ("while(f(index) == 3u) // {\n{", "while pangea_turn((f(index) == 3u) // {\n) {"),
        ("loop {", "loop { if !pangea_turn(true) { break; } "),
    ],
)
def test_each_turn_of_each_loop_is_asked_for(loop: str, metered: str) -> None:
    program = GpuProgram(body(f"{loop} break; }} return 1u;", "fn f(x: u32) -> u32 { return x; }"))
    assert f"{metered} break; }}" in program.text
    assert "goes_on & (pangea_turns <= 8000u)" in program.text
    assert "atomicAdd" in program.text
    assert "atomicAdd" not in GpuProgram(MAIN).text


@pytest.mark.parametrize(
    ("text", "n", "shape", "shown"),
    [
        ("uint32[n]", 5, (5,), "uint32[n]"),
        ("int32[ 4 * n ]", 5, (20,), "int32[4*n]"),
        ("uint32[1000]", 5, (1000,), "uint32[1000]"),
        ("uint32[n,8]", 5, (5, 8), "uint32[n, 8]"),
    ],
)
def test_types_of_arrays_say_how_much_comes_out(text: str, n: int, shape: tuple[int, ...], shown: str) -> None:
    declared = ArrayType.of(text, "output")
    assert (declared.shape(n), str(declared)) == (shape, shown)


@pytest.mark.parametrize(
    "text", ["uint32", "uint64[n]", "float64[n]", "uint32[n*4]", "uint32[0]", "uint32[n, 65]", "uint32[n, 0]", "", 3, "uint32[m]"]
)
def test_other_types_of_arrays_are_refused(text: Any) -> None:
    with pytest.raises(JobDefinitionError, match="execute is declared output="):
        ArrayType.of(text, "output")


ROOT = "fn main(index: u32) -> f32 { return sqrt(input(index)) * 0.5; }"
FLOATS: dict[str, Any] = {"input": "float32[n]", "output": "float32[n]"}


@pytest.mark.parametrize(
    "text",
    [
        ROOT,
        "fn main(index: u32) -> f32 { let m = mat2x3<f32>(); return (m * vec2f(1.5, input(index))).x + 1e-3f; }",
        "fn main(index: u32) -> f32 { var a: array<mat4x4f, 2>; return a[0][1].x + fma(1., .5, f32(index)); }",
    ],
)
def test_floats_may_be_used_under_a_tolerance(text: str) -> None:
    assert GpuProgram(text, tolerance=Tolerance(ulp=4), **FLOATS).shader == text


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (ROOT, FLOATS, "without a tolerance: floats differ between adapters"),
        (ROOT, {"output": "float32[n]"}, "without a tolerance"),
        (MAIN, {"input": "float32[n]"}, "without a tolerance"),
        (MAIN, {"tolerance": Tolerance(ulp=4)}, "whole numbers have none"),
        (MAIN, {"tolerance": Tolerance(ulp=4), "input": "float32[n]"}, "whole numbers have none"),
        (ROOT.replace("0.5", "0.5h"), FLOATS | {"tolerance": Tolerance(ulp=4)}, "of another size than 32 bits"),
        (ROOT.replace("sqrt", "quantizeToF16"), FLOATS | {"tolerance": Tolerance(ulp=4)}, "of another size than 32 bits"),
        (ROOT.replace("sqrt", "clamp"), FLOATS | {"tolerance": Tolerance(ulp=4)}, "'clamp' isn't taken"),
        (ROOT + "var<private> a: array<mat4x4<f32>, 300>;", FLOATS | {"tolerance": Tolerance(ulp=4)}, "arrays of 4,800 numbers"),
    ],
)
def test_floats_and_a_tolerance_belong_together(text: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(JobDefinitionError) as caught:
        GpuProgram(text, **options)
    assert said in caught.value.message


def test_a_tolerance_travels_and_ways_of_checking_that_know_hashes_alone_are_refused_by_name() -> None:
    job = JobBuilder("j").execute(nothing, gpu=ROOT, tolerance="4 ulp", **FLOATS).build()
    described = json.loads(files_of(job.archive())["job.json"])["gpu"]
    assert described["tolerance"] == "4ulp"
    assert GpuProgram.of_json(described, ROOT) == job.gpu
    for wrong in ("4", 0, None):
        with pytest.raises(JobDefinitionError, match="tolerance="):
            GpuProgram.of_json(described | {"tolerance": wrong}, ROOT)
    for mode in ("none", "hash", "redundancy", "adaptive"):
        assert job.options({"verification_mode": mode}).verification_mode == mode
    with pytest.raises(ManifestError, match="verification_mode 'merkle' can't check a shader with a tolerance"):
        job.options({"verification_mode": "merkle"})
    with pytest.raises(ManifestError, match="expectedOutputHash can't be met"):
        check_mode(VerificationMode.HASH, expects_hash=True)
    with pytest.raises(ManifestError, match="own check and a shader's tolerance can't both"):
        check_mode(VerificationMode.ADAPTIVE, has_check=True)
    with pytest.raises(JobDefinitionError, match="tolerance= without a shader"):
        JobBuilder().execute(something, tolerance=1e-6)


@pytest.mark.parametrize("workgroup", [(0, 1, 1), (257, 1, 1), (256, 2, 1), (1, 1, 65), (64, 1), [64, 1, 1], (True, 1, 1), 64])
def test_workgroups_beyond_every_adapter_are_refused(workgroup: Any) -> None:
    with pytest.raises(JobDefinitionError, match="workgroup="):
        GpuProgram(MAIN, workgroup=workgroup)


def test_a_program_travels_and_a_strangers_is_checked() -> None:
    program = GpuProgram(MAIN.replace("main", "start"), "start", (8, 8, 1), "uint32[n]", "uint32[n]")
    assert GpuProgram.of_json(json.loads(json.dumps(program.to_json())), program.shader) == program
    records: list[Any] = [None, [], {}]
    for record in (*records, program.to_json() | {"more": 1}, program.to_json() | {"workgroup": 64}):
        with pytest.raises(JobDefinitionError):
            GpuProgram.of_json(record, program.shader)
    with pytest.raises(JobDefinitionError, match="floating point"):
        GpuProgram.of_json(program.to_json(), program.shader + "const x = 1.5;")


def test_what_is_billed_is_rows_and_bytes() -> None:
    program = GpuProgram("fn main(index: u32) -> array<u32, 8> { return array<u32, 8>(); }", output="uint32[2*n, 8]")
    assert program.fuel(10, 20) == 20 + 4 * 10 + 4 * 20 * 8


def test_turns_are_summed_beyond_32_bits_and_what_is_to_be_told_is() -> None:
    sums, carries = [*range(64)], [0] * 63 + [3]
    for told, is_over, is_cut in ((0, False, False), (1, True, False), (2, False, True), (3, True, True)):
        meter = memoryview(struct.pack("<130I", told, 3, *sums, *carries))
        program = GpuProgram(body("while index < 3u { } return 1u;"))
        assert program.metered(meter, 9) == Metered(sum(sums) + (3 << 32), is_over=is_over, is_cut=is_cut)
    assert program.metered(memoryview(METER), 9) == Metered(0)


def test_how_many_turns_a_job_may_take_travels_and_is_checked() -> None:
    program = GpuProgram(body("while index < 3u { } return 1u;"), turns=9)
    assert program.to_json()["turns"] == 9
    assert "turns" not in GpuProgram(MAIN).to_json()
    assert GpuProgram.of_json(program.to_json(), program.shader) == program
    assert "pangea_turns <= 9u" in program.text
    for turns in (0, TURNS_MAX + 1, 1.5, True, "9"):
        with pytest.raises(JobDefinitionError, match=r"turns=.*; it must be a whole number from 1 to 1,073,741,824"):
            GpuProgram.of_json(program.to_json() | {"turns": turns}, program.shader)


# How jobs declare it


def nothing(chunk: object) -> object:
    """Does nothing."""


def something(chunk: object) -> object:
    return chunk


def files_of(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(archive)) as files:
        return {name: files.read(name) for name in files.namelist()}


def test_a_shader_travels_in_the_archive_and_the_function_stays() -> None:
    job = JobBuilder("j").execute(nothing, gpu=MAIN, output="uint32[n]").merge(something).build()
    files = files_of(job.archive())
    description = json.loads(files["job.json"])
    assert files["shader.wgsl"].decode() == MAIN
    assert description["gpu"] == {"entry": "main", "workgroup": [64, 1, 1], "input": "uint32[n]", "output": "uint32[n]"}
    assert description["entry"] == {"merge": "something"}
    assert description["kinds"] == {"merge": ["array", "array"]}
    assert "Does nothing" not in files["job.py"].decode()
    assert job.archive() == job.archive()


def test_a_job_without_a_shader_says_nothing_of_any() -> None:
    files = files_of(Job.from_functions(something).archive())
    assert sorted(files) == ["graph.json", "job.json", "job.py"]
    assert "gpu" not in json.loads(files["job.json"])


def test_a_file_is_found_beside_the_jobs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.wgsl").write_text(MAIN)
    source = (
        "from pangea.compute import Job\n@Job.define\ndef j():\n    @Job.execute(gpu='s.wgsl')\n    def execute(chunk): ...\n"
    )
    space: dict[str, Any] = {"__name__": "elsewhere"}
    exec(compile(source, str(tmp_path / "job.py"), "exec"), space)
    assert space["j"].gpu.shader == MAIN
    with pytest.raises(JobDefinitionError, match=r"the shader t\.wgsl of execute can't be read: No such file"):
        exec(compile(source.replace("s.wgsl", "t.wgsl"), str(tmp_path / "job.py"), "exec"), space)


def test_clusters_of_others_run_no_shaders_and_say_so_before_anything_runs() -> None:
    assert not RemoteEngine.takes_shaders
    engine = SimpleNamespace(takes_shaders=False, place="Dask at 127.0.0.1:8786")
    with pytest.raises(NoAdapterError, match=r"j: execute is a shader, and Dask at .* runs none") as caught:
        prepare_shader(GpuProgram(MAIN), Limits(), engine, "j")  # type: ignore[arg-type]  # that is all that it asks
    assert "leave engine= out" in caught.value.hint


def test_what_would_be_forgotten_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match="has a body, which would never run"):
        JobBuilder().execute(something, gpu=MAIN)
    with pytest.raises(JobDefinitionError, match="entry= without a shader"):
        JobBuilder().execute(something, entry="main")
    with pytest.raises(JobDefinitionError, match="unknown option 'entri'"):
        JobBuilder().execute(nothing, gpu=MAIN, entri="main")
    with pytest.raises(JobDefinitionError, match="a kernel and a shader"):
        JobBuilder().execute(nothing, gpu=MAIN, kernel="uint32[:] -> uint32[:]")
