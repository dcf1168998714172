"""The one door to `wgpu`: an adapter, and a program that runs on it.

Only the jailed process of `gpu_worker` opens it. wgpu-native carries naga, which validates each shader and translates it for the
driver, with checks of indexes into local arrays; buffers begin as zeros. What the device says is wrong becomes a `GpuError`: the
shader's, the machine's memory, or the device's own.

Sources: the WebGPU specification (https://www.w3.org/TR/webgpu/); wgpu-py's documentation.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

from pangea.compute.engine.gpu_memory import adapter_bytes
from pangea.compute.model.frames import Buffer
from pangea.compute.model.gpu import ADAPTERS, ENTRY_POINT, ITEM_BYTES, METER, PRELUDE_LINES, GpuProgram, Metered, is_driver

#: Kinds of adapters, best first; software last.
_ORDER = ("DiscreteGPU", "IntegratedGPU", "VirtualGPU", "CPU")
#: That tell the Vulkan loader which drivers there are: now, and before 1.3.207.
_DRIVER_VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
#: Adapters whose memory is this machine's, and what lets buffers be mapped that shaders work on (wgpu-native's own).
_OF_SHARED_MEMORY, _MAPPABLE = ("CPU", "IntegratedGPU"), "mappable-primary-buffers"
#: Of a compiler's message, in characters.
_REASON_MAX = 600


class Fault(Enum):
    """Whose fault it is that a program doesn't run."""

    SHADER = "shader"
    MEMORY = "memory"
    DEVICE = "device"


class GpuError(Exception):
    """An adapter didn't do what it was asked to."""

    def __init__(self, fault: Fault, message: str) -> None:
        """An error of that kind."""
        super().__init__(message)
        self.fault = fault
        self.message = message


class Device:
    """An adapter that is open."""

    def __init__(self, which: str) -> None:
        """Open the best adapter of a kind.

        Args:
            which: "auto" (hardware before software), "software", "hardware", "off", or the path of a Vulkan driver's file.

        Raises:
            GpuError: there is none; the message says what is missing.
        """
        if which not in ADAPTERS and not is_driver(which):
            message = f"PANGEA_GPU is {which!r}; it is one of {', '.join(ADAPTERS)}, or the path of a Vulkan driver's .json file"
            raise GpuError(Fault.DEVICE, message)
        if which == "off":
            raise GpuError(Fault.DEVICE, "this machine's adapters aren't to be used (PANGEA_GPU=off)")
        adapters = [each for each in _adapters(which) if _suits(each, which)]
        if not adapters:
            kind = f"{which} " if which in ("software", "hardware") else ""
            whose = f" by the driver {which}" if is_driver(which) else ""
            raise GpuError(Fault.DEVICE, f"this machine has no {kind}adapter that Vulkan knows{whose}")
        adapter = min(adapters, key=lambda each: _rank(each.info["adapter_type"]))
        info = adapter.info
        self.is_software: bool = info["adapter_type"] == "CPU"
        self.name: str = str(info["device"])
        self.driver: str = str(info["description"] or info["vendor"])
        self.memory_bytes: int = adapter_bytes(info["vendor_id"], info["device_id"])
        # Where the adapter's memory is this machine's, buffers are written and read where they lie.
        self._is_shared = info["adapter_type"] in _OF_SHARED_MEMORY and _MAPPABLE in adapter.features
        try:
            self._device = adapter.request_device_sync(label="pangea", required_features=[_MAPPABLE] if self._is_shared else [])
        except Exception as error:
            raise GpuError(Fault.DEVICE, f"the adapter {self.name} can't be opened: {_line(error)}") from error

    def build(self, program: GpuProgram) -> Program:
        """Have a program validated and compiled.

        Raises:
            GpuError: the shader isn't valid, or the device fails.
        """
        return Program(self._device, program, is_shared=self._is_shared)


class Program:
    """A compiled program on a device, with the buffers of its last run."""

    def __init__(self, device: Any, program: GpuProgram, *, is_shared: bool) -> None:
        """Compile; see `Device.build`."""
        self._device = device
        self._program = program
        self._is_shared = is_shared
        self._buffers: Buffers | None = None
        kinds = ("read-only-storage", "storage", "storage")
        entries = [{"binding": at, "visibility": "COMPUTE", "buffer": {"type": kind}} for at, kind in enumerate(kinds)]
        try:
            self._layout = device.create_bind_group_layout(entries=entries)
            module = device.create_shader_module(code=program.text)
            self._pipeline = device.create_compute_pipeline(
                layout=device.create_pipeline_layout(bind_group_layouts=[self._layout]),
                compute={"module": module, "entry_point": ENTRY_POINT},
            )
        except Exception as error:
            raise _told(error, Fault.SHADER) from error

    def run(self, data: Buffer, rows: int, take: Callable[[memoryview], None]) -> Metered:
        """Compute all rows for one chunk.

        Args:
            data: the input's numbers, little-endian; one at least.
            rows: of the output, from 1 to the program's `rows_max`.
            take: is given the output's bytes, which are good for as long as it runs; not called where they are worth nothing.

        Returns:
            The turns that its loops took.

        Raises:
            GpuError: the machine has no memory for it, or the device fails.
        """
        sizes = (len(data), ITEM_BYTES * rows * max(1, self._program.returned.width))
        try:
            if self._buffers is None or self._buffers.sizes != sizes:
                self._forget()
                self._buffers = Buffers(self._device, self._layout, sizes, is_shared=self._is_shared)
            self._buffers.fill(data)
            self._dispatch(self._buffers, -(-rows // self._program.invocations))
            metered = self._program.metered(self._buffers.meter(), rows)
            if not metered.is_cut and not metered.is_over:
                self._buffers.give(take)
        except Exception as error:
            self._forget()
            raise _told(error, Fault.DEVICE) from error
        return metered

    def _dispatch(self, buffers: Buffers, groups: int) -> None:
        encoder = self._device.create_command_encoder()
        work = encoder.begin_compute_pass()
        work.set_pipeline(self._pipeline)
        work.set_bind_group(0, buffers.group)
        work.dispatch_workgroups(groups)
        work.end()
        buffers.fetch(encoder)
        self._device.queue.submit([encoder.finish()])

    def _forget(self) -> None:
        """Give the buffers back: those of a run of another size, or that failed."""
        if self._buffers is not None:
            self._buffers.destroy()
            self._buffers = None


class Buffers:
    """Input, output and meter of one run, and of those after it that have the same sizes: each row is written by each run.

    Attributes:
        sizes: of input and output, in bytes.
        group: binds them.
    """

    def __init__(self, device: Any, layout: Any, sizes: tuple[int, int], *, is_shared: bool) -> None:
        """Make them; `is_shared`: they lie in this machine's memory, and needn't be copied from and to others that do."""
        self.sizes = sizes
        self._device = device
        put, get = ("MAP_WRITE", "MAP_READ") if is_shared else ("COPY_DST", "COPY_SRC")
        uses = ((sizes[0], put), (sizes[1], get), (len(METER), f"{get} | COPY_DST"))
        self._made = [device.create_buffer(size=size, usage=f"STORAGE | {use}") for size, use in uses]
        bound = [
            {"binding": at, "resource": {"buffer": each, "offset": 0, "size": each.size}} for at, each in enumerate(self._made)
        ]
        self.group = device.create_bind_group(layout=layout, entries=bound)
        self._input, self._output, self._meter = self._made
        self._is_shared = is_shared
        self._readable = self._made[1:]
        if not is_shared:
            self._readable = [device.create_buffer(size=each.size, usage="MAP_READ | COPY_DST") for each in self._made[1:]]

    def fill(self, data: Buffer) -> None:
        """Write the input, and set the meter back."""
        self._device.queue.write_buffer(self._meter, 0, METER)
        if not self._is_shared:
            self._device.queue.write_buffer(self._input, 0, data)
            return
        self._input.map_sync("WRITE")
        self._input.write_mapped(data)
        self._input.unmap()

    def fetch(self, encoder: Any) -> None:
        """Have output and meter brought to where they can be read."""
        for made, readable in zip(self._made[1:], self._readable, strict=True):
            if made is not readable:
                encoder.copy_buffer_to_buffer(made, 0, readable, 0, made.size)

    def meter(self) -> memoryview:
        """What stands on the meter, a copy."""
        meter = self._readable[1]
        meter.map_sync("READ")
        try:
            return memoryview(meter.read_mapped())
        finally:
            meter.unmap()

    def give(self, take: Callable[[memoryview], None]) -> None:
        """Show the output to `take`."""
        output = self._readable[0]
        output.map_sync("READ")
        try:
            view = output.read_mapped(copy=False).cast("B")
            assert view.nbytes == self.sizes[1], f"{view.nbytes} bytes of {self.sizes[1]}"
            take(view)
        finally:
            output.unmap()

    def destroy(self) -> None:
        """Free them."""
        for buffer in {id(each): each for each in (*self._made, *self._readable)}.values():
            buffer.destroy()


def _suits(adapter: Any, which: str) -> bool:
    return which not in ("software", "hardware") or (adapter.info["adapter_type"] == "CPU") == (which == "software")


def _adapters(which: str) -> list[Any]:
    """All that the loader finds: of every driver, or of the one that is named."""
    if is_driver(which):
        if not Path(which).is_file():
            raise GpuError(Fault.DEVICE, f"there is no file of a Vulkan driver at {which}")
        os.environ.update(dict.fromkeys(_DRIVER_VARIABLES, which))
    try:
        import wgpu
        from wgpu.backends.wgpu_native.extras import set_instance_extras
    except ImportError as error:
        raise GpuError(Fault.DEVICE, "the package wgpu is missing") from error
    try:
        ctypes.CDLL("libvulkan.so.1")
    except OSError as error:
        raise GpuError(Fault.DEVICE, "this machine has no Vulkan loader (libvulkan.so.1)") from error
    set_instance_extras(backends=["Vulkan"])
    return [each for each in wgpu.gpu.enumerate_adapters_sync() if each.info["backend_type"] == "Vulkan"]


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _told(error: Exception, fault: Fault) -> GpuError:
    kind = type(error).__name__
    if "OutOfMemory" in kind or isinstance(error, MemoryError) or "Not enough memory" in str(error):
        return GpuError(Fault.MEMORY, f"the adapter has no memory left for the task's buffers: {_line(error)}")
    if fault is Fault.SHADER and kind == "GPUValidationError":
        return GpuError(Fault.SHADER, f"the shader isn't valid: {_reason(str(error))}")
    return GpuError(Fault.DEVICE, f"the device failed: {kind}: {_line(error)}")


def _reason(text: str) -> str:
    """What the compiler says is wrong, on one line, with the line of the job's own text."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line.partition("error: ")[2] for line in lines if "error: " in line] or [text]
    said += [line.removeprefix("= ") for line in lines if line.startswith("= ")]
    place = next((line.split(":") for line in lines if line.startswith("┌─ ")), [])
    number = int(place[1]) - PRELUDE_LINES if len(place) > 1 and place[1].isdecimal() else 0
    return f"{f'line {number}: ' if number > 0 else ''}{'; '.join(said)}"[:_REASON_MAX]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
