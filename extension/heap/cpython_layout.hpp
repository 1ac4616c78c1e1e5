// Everything firn knows about CPython's internals: the one place that looks at the version.
//
// Include it before any other header that includes Python.h.
#pragma once

#define PY_SSIZE_T_CLEAN
#define Py_BUILD_CORE_MODULE 1
#include <Python.h>

#if PY_VERSION_HEX < 0x030e0000 || PY_VERSION_HEX >= 0x03100000
#error "firn supports CPython 3.14 and 3.15"
#endif
#ifdef Py_GIL_DISABLED
#error "firn does not support the free-threaded build of CPython"
#endif
#if defined(Py_TRACE_REFS) || SIZEOF_VOID_P != 8
#error "firn needs a 64-bit CPython without Py_TRACE_REFS"
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#include <datetime.h>
#include <internal/pycore_dict.h>
#include <internal/pycore_gc.h>
#include <internal/pycore_hashtable.h>
#include <internal/pycore_interp.h>
#include <internal/pycore_interpframe_structs.h>
#include <internal/pycore_long.h>
#include <internal/pycore_pyhash.h>
#include <internal/pycore_runtime.h>
#include <internal/pycore_setobject.h>
#include <internal/pycore_typeobject.h>
#pragma GCC diagnostic pop

#include <csignal>
#include <cstddef>
#include <cstdint>

namespace firn::heap {

// ---- interrupts ----

// Not 0 while an interrupt waits for Python to handle it, which only the thread does that this is
// called in; nullptr in all others.
inline const int* pending_interrupt() {
  const bool handles = PyThread_get_thread_ident() == _PyRuntime.main_thread &&
                       PyInterpreterState_Get() == PyInterpreterState_Main();
  return handles ? &_PyRuntime.signals.handlers[SIGINT].tripped : nullptr;
}

// ---- the header of every frozen object ----

// Both halves matter: the evaluation loop of 3.14 looks at the flag, everything else at the count
// (hazard 1).
inline constexpr std::uint16_t kImmortalFlags = _Py_IMMORTAL_FLAGS;

// A flag that CPython does not use. It marks a copy whose original had more than one reference,
// which is what thawing needs to know to keep sharing.
inline constexpr std::uint16_t kSharedFlag = 1 << 14;

inline void set_header(PyObject* object, PyTypeObject* type, bool shared) {
  object->ob_refcnt_full = 0;
  object->ob_refcnt = static_cast<std::uint32_t>(_Py_IMMORTAL_INITIAL_REFCNT);
  object->ob_flags = static_cast<std::uint16_t>(kImmortalFlags | (shared ? kSharedFlag : 0));
  object->ob_type = type;
}

inline bool is_marked_shared(const PyObject* object) {
  return (object->ob_flags & kSharedFlag) != 0;
}

// A static extension type of ours, before it is readied. Its name is immortal like every static
// type's.
inline void set_static_type_header(PyTypeObject* type) {
  type->ob_base.ob_base.ob_refcnt_full = _Py_STATIC_IMMORTAL_INITIAL_REFCNT;
}

// Registers a static extension type with the calling interpreter (hazard 7).
inline int init_static_type(PyTypeObject* type) {
  return _PyStaticType_InitForExtension(PyInterpreterState_Get(), type);
}

// How many static extension types the running interpreter can still take.
inline std::size_t free_static_type_slots() {
  const PyInterpreterState* interpreter = PyInterpreterState_Get();
  return _Py_MAX_MANAGED_STATIC_EXT_TYPES - interpreter->types.for_extensions.num_initialized;
}

// Gives a static extension type another dict in the calling interpreter, a subclass's instance
// maybe: CPython's own look-ups go past what a subclass overrides.
inline void exchange_static_type_dict(PyTypeObject* type, PyObject* dict) {
  auto& types = PyInterpreterState_Get()->types.for_extensions;
  for (auto& one : types.initialized) {
    if (one.type == type) Py_XSETREF(one.tp_dict, Py_NewRef(dict));
  }
  PyType_Modified(type);
}

// ---- integers ----

inline std::size_t integer_digits(PyObject* integer) {
  return reinterpret_cast<PyLongObject*>(integer)->long_value.lv_tag >> _PyLong_NON_SIZE_BITS;
}

// The value of one that has at most two digits.
inline std::int64_t short_integer(PyObject* integer) {
  const auto& value = reinterpret_cast<PyLongObject*>(integer)->long_value;
  std::int64_t size = value.ob_digit[0];  // zero has no digits, but this one is 0
  if (value.lv_tag >> _PyLong_NON_SIZE_BITS > 1) {
    size |= static_cast<std::int64_t>(value.ob_digit[1]) << PyLong_SHIFT;
  }
  return (value.lv_tag & _PyLong_SIGN_MASK) == 2 ? -size : size;
}

// What the calling interpreter has of objects that are freed already, linked by their first words.
// CPython puts ints of one digit there, floats, and tuples by their length, while there are fewer
// than Py_..._MAXFREELIST, and takes new ones from there however many there are.
using FreeList = struct _Py_freelist;
inline FreeList& integer_free_list() {
  return PyInterpreterState_Get()->object_state.freelists.ints;
}
inline FreeList& real_free_list() {
  return PyInterpreterState_Get()->object_state.freelists.floats;
}
inline FreeList* tuple_free_lists() {  // of the lengths from 1 to PyTuple_MAXSAVESIZE
  return PyInterpreterState_Get()->object_state.freelists.tuples;
}

// Gives an integer that has room for three digits its value.
inline void set_integer(PyLongObject* integer, std::uint64_t value) {
  std::size_t count = 0;
  integer->long_value.ob_digit[0] = 0;  // zero has no digits, but this one is read
  integer->long_value.lv_tag = _PyLong_FALSE_TAG;
  if (!value) return;
  for (; value; value >>= PyLong_SHIFT) {
    integer->long_value.ob_digit[count++] = static_cast<digit>(value & PyLong_MASK);
  }
  integer->long_value.lv_tag = count << _PyLong_NON_SIZE_BITS;
}

// ---- attributes ----

// "__class__", of which CPython has one string for all interpreters.
inline PyObject* class_string() { return &_Py_ID(__class__); }

// Whether an instance of a heap type has attributes of its own, as a Counter may.
inline bool has_attributes(PyObject* object) {
  const unsigned long flags = Py_TYPE(object)->tp_flags;
  if (!(flags & Py_TPFLAGS_MANAGED_DICT)) return false;
  auto* dict = reinterpret_cast<PyObject*>(_PyObject_ManagedDictPointer(object)->dict);
  if (dict) return PyDict_GET_SIZE(dict) > 0;
  if (!(flags & Py_TPFLAGS_INLINE_VALUES)) return false;
  const PyDictValues* values = _PyObject_InlineValues(object);
  return values->valid && values->size > 0;
}

// From 3.15 on a loop takes the elements of tuples and lists by index, without an iterator object,
// and those of any type that offers it. `element` returns a new reference; nullptr at the end, or
// with an exception set.
#if PY_VERSION_HEX >= 0x030f0000
template <PyObject* (*element)(PyObject*, Py_ssize_t)>
void offer_elements_by_index(PyTypeObject* type) {
  type->_tp_iteritem = [](PyObject* self, Py_ssize_t index) -> _PyObjectIndexPair {
    PyObject* found = element(self, index);
    return {found, found ? index + 1 : index};
  };
}
#else
template <PyObject* (*element)(PyObject*, Py_ssize_t)>
void offer_elements_by_index(PyTypeObject*) {}
#endif

// ---- tables ----

#ifdef _Py_DICT_IMMORTAL_INITIAL_REFCNT
inline constexpr Py_ssize_t kImmortalKeys = _Py_DICT_IMMORTAL_INITIAL_REFCNT;
#else
inline constexpr Py_ssize_t kImmortalKeys = PY_SSIZE_T_MIN;
#endif

inline std::size_t bytes_of_keys(const PyDictKeysObject* keys) {
  const std::size_t entry =
      keys->dk_kind == DICT_KEYS_GENERAL ? sizeof(PyDictKeyEntry) : sizeof(PyDictUnicodeEntry);
  return sizeof(PyDictKeysObject) + (std::size_t{1} << keys->dk_log2_index_bytes) +
         (std::size_t{2} << keys->dk_log2_size) / 3 * entry;
}

// ---- objects whose structs CPython keeps to its source files ----
// init_interpreter() reads an instance of each through these before anything is frozen.

struct RangeLayout {  // rangeobject.c
  PyObject_HEAD PyObject* start;
  PyObject* stop;
  PyObject* step;
  PyObject* length;
};

struct MappingProxyLayout {  // descrobject.c
  PyObject_HEAD PyObject* mapping;
};

struct DefaultDictLayout {  // _collectionsmodule.c
  PyDictObject dict;
  PyObject* default_factory;
};

struct DequeBlock {  // _collectionsmodule.c
  static constexpr Py_ssize_t length = 64;
  DequeBlock* left;
  PyObject* data[length];
  DequeBlock* right;
};

struct DequeLayout {
  PyObject_VAR_HEAD DequeBlock* left_block;
  DequeBlock* right_block;
  Py_ssize_t left_index;
  Py_ssize_t right_index;
  std::size_t state;
  Py_ssize_t maxlen;  // -1 without a bound
};

struct OrderedDictNode {  // odictobject.c
  PyObject* key;
  Py_hash_t hash;
  OrderedDictNode* next;
  OrderedDictNode* previous;
};

struct OrderedDictLayout {
  PyDictObject dict;
  OrderedDictNode* first;
  OrderedDictNode* last;
  OrderedDictNode** fast_nodes;
  Py_ssize_t fast_nodes_size;
  void* resize_sentinel;
  std::size_t state;
  PyObject* instance_dict;
  PyObject* weak_references;
};

struct CachedResult {  // _functoolsmodule.c: lru_list_elem, the values in the dict of a bounded
                       // cache
  PyObject_HEAD CachedResult* before;
  CachedResult* after;
  Py_hash_t hash;
  PyObject* key;
  PyObject* result;
};

struct TimezoneLayout {  // _datetimemodule.c
  PyObject_HEAD PyObject* offset;
  PyObject* name;  // may be null
};

#if PY_VERSION_HEX >= 0x030f0000
inline PyTypeObject* builtin_frozendict_type() { return &PyFrozenDict_Type; }
inline constexpr std::size_t kFrozenDictSize = sizeof(PyFrozenDictObject);
inline Py_hash_t& frozendict_hash(PyObject* object) {
  return reinterpret_cast<PyFrozenDictObject*>(object)->ma_hash;
}
inline PyObject* new_builtin_frozendict() {
  PyTypeObject* type = builtin_frozendict_type();
  PyObject* made = type->tp_alloc(type, 0);
  if (!made) return nullptr;
  PyObject* empty = PyDict_New();
  if (!empty) {
    Py_DECREF(made);
    return nullptr;
  }
  reinterpret_cast<PyDictObject*>(made)->ma_keys = reinterpret_cast<PyDictObject*>(empty)->ma_keys;
  frozendict_hash(made) = -1;
  Py_DECREF(empty);
  return made;
}
#else
inline PyTypeObject* builtin_frozendict_type() { return nullptr; }  // there is none before 3.15
inline constexpr std::size_t kFrozenDictSize = sizeof(PyDictObject);
inline Py_hash_t& frozendict_hash(PyObject* object) {
  return reinterpret_cast<PyTupleObject*>(object)->ob_hash;
}
inline PyObject* new_builtin_frozendict() { return nullptr; }
#endif

// Also into a frozendict that nobody has seen yet.
inline int set_item_in_new_dict(PyObject* dict, PyObject* key, PyObject* value) {
  return _PyDict_SetItem_Take2(reinterpret_cast<PyDictObject*>(dict), Py_NewRef(key),
                               Py_NewRef(value));
}

}  // namespace firn::heap
