"""How much memory an adapter has: WebGPU doesn't tell, the Vulkan driver below it does.

Source: the Vulkan 1.3 specification (https://registry.khronos.org/vulkan/), "Physical Devices", "Device Memory Properties": its
functions, the layout of their structures, and `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

_INSTANCE_CREATE_INFO, _DEVICE_LOCAL = 1, 1
_TYPES_MAX, _HEAPS_MAX = 32, 16
#: Of VkPhysicalDeviceProperties, which has 824 bytes in Vulkan 1.3; vendor and device are its third and fourth number.
_PROPERTIES_BYTES = 4_096


class _InstanceInfo(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.c_void_p),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


class _Heap(ctypes.Structure):
    _fields_ = (("size", ctypes.c_uint64), ("flags", ctypes.c_uint32))


class _MemoryProperties(ctypes.Structure):
    _fields_ = (
        ("type_count", ctypes.c_uint32),
        ("types", ctypes.c_uint32 * 2 * _TYPES_MAX),
        ("heap_count", ctypes.c_uint32),
        ("heaps", _Heap * _HEAPS_MAX),
    )


def adapter_bytes(vendor: int, device: int) -> int:
    """Bytes of the largest heap of memory that lies at an adapter itself; software's is this machine's.

    Args:
        vendor: PCI number of who makes it, or Vulkan's own for software.
        device: the vendor's number of its kind. Of several of a kind it is the first's memory.

    Returns:
        0 if the driver doesn't tell, or no longer has the adapter.
    """
    try:
        vulkan = ctypes.CDLL("libvulkan.so.1")
    except OSError:
        return 0
    instance = ctypes.c_void_p()
    if vulkan.vkCreateInstance(ctypes.byref(_InstanceInfo(kind=_INSTANCE_CREATE_INFO)), None, ctypes.byref(instance)):
        return 0
    try:
        return next(
            (_largest_heap(vulkan, each) for each in _devices(vulkan, instance) if _ids(vulkan, each) == (vendor, device)), 0
        )
    finally:
        vulkan.vkDestroyInstance(instance, None)


def _devices(vulkan: Any, instance: ctypes.c_void_p) -> Iterator[ctypes.c_void_p]:
    count = ctypes.c_uint32()
    if vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None):
        return
    found = (ctypes.c_void_p * count.value)()
    if not vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), found):
        yield from map(ctypes.c_void_p, found[: count.value])


def _ids(vulkan: Any, device: ctypes.c_void_p) -> tuple[int, int]:
    properties = (ctypes.c_uint32 * (_PROPERTIES_BYTES // 4))()
    vulkan.vkGetPhysicalDeviceProperties(device, properties)
    return properties[2], properties[3]


def _largest_heap(vulkan: Any, device: ctypes.c_void_p) -> int:
    memory = _MemoryProperties()
    vulkan.vkGetPhysicalDeviceMemoryProperties(device, ctypes.byref(memory))
    return max((heap.size for heap in memory.heaps[: memory.heap_count] if heap.flags & _DEVICE_LOCAL), default=0)
