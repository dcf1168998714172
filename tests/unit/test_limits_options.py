"""Limits and options: every field is checked, and every error names the field, the value and what is allowed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from pangea.compute.model import limits as limits_module
from pangea.compute.model import options as options_module
from pangea.compute.model.errors import EXIT_USAGE, ManifestError
from pangea.compute.model.limits import FUEL_MODULE, FUEL_PYTHON, Limits
from pangea.compute.model.options import JobOptions, Locality, Priority, SplitStrategy, VerificationMode

LIMIT_FLOATS = {"time", "compile_time"}
OPTION_FLOATS = {"timeout", "confidence", "estimated_flops"}
CHOICES = {
    "split_strategy": SplitStrategy,
    "verification_mode": VerificationMode,
    "priority": Priority,
    "locality": Locality,
}


def refused_limit(name: str, value: object) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        Limits.of({name: value})
    return caught.value


def refused_option(name: str, value: object) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        JobOptions.of({name: value})
    return caught.value


def test_the_defaults_are_those_of_the_design() -> None:
    assert Limits() == Limits(
        fuel=0,
        memory=256 << 20,
        time=30,
        module=64 << 20,
        compile_time=60,
        compile_memory=2 << 30,
        chunk=64 << 20,
        result=64 << 20,
        items=16 << 20,
    )
    options = JobOptions()
    assert (options.min_chunk_size, options.max_chunk_size, options.retry_count) == (65536, 1048576, 3)
    assert options.timeout == 7 * 24 * 3600, "no job is stopped that isn't asked to be"
    assert (options.split_strategy, options.verification_mode) == ("custom", "adaptive")
    assert (options.priority, options.locality, options.redundancy) == ("normal", "prefer_local", 1)


class TestLimits:
    @pytest.mark.parametrize("name", limits_module.RANGES)
    def test_both_ends_of_each_range_are_allowed(self, name: str) -> None:
        for value in limits_module.RANGES[name]:
            assert getattr(Limits.of({name: value}), name) == value

    @pytest.mark.parametrize("name", limits_module.RANGES)
    @pytest.mark.parametrize("side", ["below", "above", "text", "none", "bool", "nan", "infinite", "float"])
    def test_each_field_s_error_names_field_value_and_range(self, name: str, side: str) -> None:
        low, high = limits_module.RANGES[name]
        values: dict[str, Any] = {
            "below": low - 1, "above": high + 1, "text": "64 MiB", "none": None, "bool": True,
            "nan": math.nan, "infinite": math.inf, "float": low + 0.5,
        }  # fmt: skip
        if side == "float" and name in LIMIT_FLOATS:
            assert getattr(Limits.of({name: low + 0.5}), name) == low + 0.5
            return
        error = refused_limit(name, values[side])
        kind = "a number" if name in LIMIT_FLOATS else "an integer"
        assert error.message == f"limits.{name} is {values[side]!r}; it must be {kind} between {low:,} and {high:,}"
        assert error.details["field"] == f"limits.{name}"
        assert f"limits.{name}" in error.hint
        assert error.exit_code == EXIT_USAGE

    def test_every_field_has_a_range(self) -> None:
        assert set(limits_module.RANGES) == set(Limits.__slots__)

    @pytest.mark.parametrize(("given", "near"), [("memmory", "memory"), ("mem", "memory"), ("compiletime", "compile_time")])
    def test_an_unknown_name_suggests_the_nearest(self, given: str, near: str) -> None:
        error = refused_limit(given, 1)
        assert error.message == f"unknown field 'limits.{given}'"
        assert error.hint == f"did you mean 'limits.{near}'?"

    def test_a_name_like_no_other_lists_them_all(self) -> None:
        with pytest.raises(ManifestError) as caught:
            JobOptions.of({"zzz": 1})
        assert caught.value.hint.startswith("known names: associative_merge, chunks_per_pack, confidence, delimiter, ")

    @pytest.mark.parametrize("value", [5, "memory=5", [("memory", 5)]])
    def test_limits_are_a_mapping_or_limits(self, value: Any) -> None:
        with pytest.raises(ManifestError, match=f"limits is a {type(value).__name__}; it must be a Limits or a mapping"):
            Limits.of(value)

    def test_nothing_stands_for_the_defaults_and_limits_for_themselves(self) -> None:
        narrow = Limits(memory=1 << 20)
        assert (Limits.of(None), Limits.of(narrow), Limits.of({"memory": 1 << 20})) == (Limits(), narrow, narrow)

    def test_fuel_left_out_is_that_of_the_job_s_kind(self) -> None:
        assert Limits().with_fuel_for(python=True).fuel == FUEL_PYTHON == 10**11
        assert Limits().with_fuel_for(python=False).fuel == FUEL_MODULE == 10**9
        assert Limits(fuel=7).with_fuel_for(python=True).fuel == 7

    def test_limits_travel_as_json_and_come_back_equal(self) -> None:
        for limits in (Limits(), Limits(fuel=5, time=0.5, memory=1 << 20)):
            assert Limits.of(json.loads(json.dumps(limits.to_json()))) == limits
        assert Limits().to_json() == {}


class TestOptions:
    @pytest.mark.parametrize("name", options_module.RANGES)
    def test_both_ends_of_each_range_are_allowed(self, name: str) -> None:
        low, high = options_module.RANGES[name]
        others = {"min_chunk_size": {"max_chunk_size": high}, "max_chunk_size": {"min_chunk_size": low}}.get(name, {})
        for value in (low, high):
            assert getattr(JobOptions.of({**others, name: value}), name) == value

    @pytest.mark.parametrize("name", options_module.RANGES)
    @pytest.mark.parametrize("side", ["below", "above", "text", "bool", "nan", "float"])
    def test_each_field_s_error_names_field_value_and_range(self, name: str, side: str) -> None:
        low, high = options_module.RANGES[name]
        values: dict[str, Any] = {
            "below": low - 1, "above": high + 1, "text": "1MiB", "bool": True, "nan": math.nan, "float": 1.5
        }  # fmt: skip
        if side == "float" and name in {"timeout", "estimated_flops"}:
            return
        error = refused_option(name, values[side])
        kind = "a number" if name in OPTION_FLOATS else "an integer"
        assert error.message == f"{name} is {values[side]!r}; it must be {kind} between {low:,} and {high:,}"
        assert error.details["field"] == name
        assert error.exit_code == EXIT_USAGE

    @pytest.mark.parametrize("name", CHOICES)
    def test_each_choice_is_taken_as_text(self, name: str) -> None:
        for choice in CHOICES[name]:
            assert getattr(JobOptions.of({name: str(choice)}), name) is choice

    @pytest.mark.parametrize("name", CHOICES)
    def test_each_choice_s_error_names_field_value_and_choices(self, name: str) -> None:
        for value in ("nonsense", 5):
            error = refused_option(name, value)
            assert error.message == f"{name} is {value!r}; it must be one of {', '.join(CHOICES[name])}"
            assert error.details["field"] == name

    def test_a_choice_misspelt_suggests_the_nearest(self) -> None:
        assert refused_option("split_strategy", "rows_based").hint == "did you mean 'row_based'?"

    def test_an_option_misspelt_suggests_the_nearest(self) -> None:
        error = refused_option("retries_count", 1)
        assert (error.message, error.hint) == ("unknown field 'retries_count'", "did you mean 'retry_count'?")

    @pytest.mark.parametrize("delimiter", ["\n", b"", b"x" * 257, 10])
    def test_a_delimiter_is_1_to_256_bytes(self, delimiter: object) -> None:
        error = refused_option("delimiter", delimiter)
        assert error.message == f"delimiter is {delimiter!r}; it must be 1 to 256 bytes"

    def test_chunk_sizes_that_contradict_each_other_are_refused_with_both_figures(self) -> None:
        with pytest.raises(ManifestError) as caught:
            JobOptions(min_chunk_size=2000, max_chunk_size=1000)
        assert caught.value.message == "min_chunk_size 2,000 is larger than max_chunk_size 1,000"

    def test_small_chunks_need_but_one_figure(self) -> None:
        assert JobOptions(max_chunk_size=1000).min_chunk_size == 1000
        assert JobOptions.of({"max_chunk_size": 1000, "min_chunk_size": None}).min_chunk_size == 1000

    def test_none_stands_for_the_default(self) -> None:
        assert JobOptions.of(dict.fromkeys(("timeout", "priority", "limits", "delimiter"))) == JobOptions()

    def test_limits_may_be_a_mapping(self) -> None:
        assert JobOptions.of({"limits": {"fuel": 9}}).limits == Limits(fuel=9)
        assert refused_option("limits", {"fule": 9}).hint == "did you mean 'limits.fuel'?"

    @pytest.mark.parametrize(
        ("name", "good", "bad"),
        [
            ("operation_type", "matrix_multiply", "Matrix Multiply"),
            ("job_id", "12345678-1234-1234-1234-123456789abc", "../x"),
            ("associative_merge", True, "yes"),
            ("delimiter", b"\r\n", "\n"),
        ],
    )
    def test_each_other_field_s_error_names_field_and_value(self, name: str, good: object, bad: object) -> None:
        assert getattr(JobOptions.of({name: good}), name) == good
        error = refused_option(name, bad)
        assert error.message.startswith(f"{name} is {bad!r}; it must be ")
        assert error.details["field"] == name
