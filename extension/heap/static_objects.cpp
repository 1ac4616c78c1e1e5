#include "heap/static_objects.hpp"

#include <link.h>

#include <algorithm>
#include <cstring>

#include "heap/sip_hash.hpp"
#include "heap/types.hpp"

namespace firn::heap {

const char* static_begin = nullptr;
std::size_t static_bytes = 0;
bool hashes_with_sip = false;
StaticStrings static_strings;
PyDictKeysObject* empty_keys = nullptr;
DatetimeTypes datetime_types;

std::size_t DatetimeTypes::size_of(PyTypeObject* type, bool zoned) const {
  if (type == date) return sizeof(PyDateTime_Date);
  if (type == time) return zoned ? sizeof(PyDateTime_Time) : sizeof(_PyDateTime_BaseTime);
  if (type == datetime) {
    return zoned ? sizeof(PyDateTime_DateTime) : sizeof(_PyDateTime_BaseDateTime);
  }
  return sizeof(PyDateTime_Delta);
}

namespace {

// The writable segment that holds the type objects, whether CPython is an executable or a library.
int find_data(dl_phdr_info* info, std::size_t, void*) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(&PyType_Type);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& part = info->dlpi_phdr[i];
    if (part.p_type != PT_LOAD) continue;
    const std::uintptr_t begin = info->dlpi_addr + part.p_vaddr;
    if (wanted - begin >= part.p_memsz) continue;
    static_begin = reinterpret_cast<const char*>(begin);
    static_bytes = part.p_memsz;
    return 1;
  }
  return 0;
}

// For strings of all lengths up to three words.
bool sip_hash_holds() {
  constexpr Py_ssize_t most = 24;
  for (Py_ssize_t length = 1; length <= most; ++length) {
    PyObject* string = PyUnicode_FromStringAndSize("as CPython does, in C++ ", length);
    if (!string) return false;
    const StringBytes bytes(string);
    const bool same = sip_hash(bytes.data, bytes.size) == Py_HashBuffer(bytes.data, length);
    Py_DECREF(string);
    if (!same) return false;
  }
  return true;
}

}  // namespace

bool is_shareable_static(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyLong_Type || type == &PyUnicode_Type || type == &_PyNone_Type ||
      type == &PyBool_Type || type == &PyBytes_Type || type == &PyTuple_Type ||
      type == &PyEllipsis_Type || type == &_PyNotImplemented_Type) {
    return true;
  }
  if (type == &PyType_Type) {
    return (reinterpret_cast<PyTypeObject*>(object)->tp_flags & _Py_TPFLAGS_STATIC_BUILTIN) != 0;
  }
  // The mark of a deleted member in a set's table is a plain `object`; users cannot reach it.
  if (type == &PyBaseObject_Type) return true;
  // UTC, and the time zone's parts.
  return type == datetime_types.timezone || type == datetime_types.timedelta;
}

void StaticStrings::add(PyObject* string) {
  const Py_hash_t hash = PyObject_Hash(string);
  const auto bits = static_cast<std::uint64_t>(hash);
  filter_[bits >> 6 & (kFilterWords - 1)] |= std::uint64_t{1} << (bits & 63);
  const std::size_t mask = table_.size() - 1;
  std::size_t i = bits & mask;
  while (table_[i] && table_[i] != string) i = (i + 1) & mask;
  table_[i] = string;
}

void StaticStrings::fill() {
  _Py_hashtable_t* interned = _PyRuntime.cached_objects.interned_strings;
  const std::size_t count = _Py_hashtable_len(interned) + 256;
  std::size_t capacity = 1024;
  while (capacity < count * 3) capacity *= 2;
  table_.assign(capacity, nullptr);
  _Py_hashtable_foreach(
      interned,
      [](_Py_hashtable_t*, const void* key, const void*, void* self) {
        auto* string = static_cast<PyObject*>(const_cast<void*>(key));
        if (is_static(string)) static_cast<StaticStrings*>(self)->add(string);
        return 0;
      },
      this);
  for (int c = 0; c < 256; ++c) {
    PyObject* string = PyUnicode_FromOrdinal(c);
    if (string && is_static(string)) add(string);
    Py_XDECREF(string);
  }
  empty_ = PyUnicode_FromStringAndSize(nullptr, 0);
}

PyObject* StaticStrings::find_slowly(PyObject* string, Py_hash_t hash) const {
  const Py_ssize_t length = PyUnicode_GET_LENGTH(string);
  const auto kind = PyUnicode_KIND(string);
  const std::size_t mask = table_.size() - 1;
  for (std::size_t i = static_cast<std::size_t>(hash) & mask; table_[i]; i = (i + 1) & mask) {
    PyObject* other = table_[i];
    if (reinterpret_cast<PyASCIIObject*>(other)->hash == hash &&
        PyUnicode_GET_LENGTH(other) == length && PyUnicode_KIND(other) == kind &&
        !std::memcmp(PyUnicode_DATA(other), PyUnicode_DATA(string),
                     static_cast<std::size_t>(length) * kind)) {
      return other;
    }
  }
  return nullptr;
}

bool find_static_objects(const PyDateTime_CAPI& datetime) {
  if (static_begin) return true;
  dl_iterate_phdr(find_data, nullptr);
  if (!static_begin || !is_static(Py_None) || !is_static(&_PyRuntime)) {
    static_begin = nullptr;
    return false;
  }
  datetime_types = {datetime.DateType, datetime.DateTimeType, datetime.TimeType, datetime.DeltaType,
                    Py_TYPE(datetime.TimeZone_UTC)};
  hashes_with_sip = sip_hash_holds();
  static_strings.fill();
  // Threads that freeze hash what is static, and may not make the tuple from which UTC's hash
  // comes.
  if (PyObject_Hash(datetime.TimeZone_UTC) == -1) return false;
  PyObject* dict = PyDict_New();
  if (!dict) return false;
  empty_keys = reinterpret_cast<PyDictObject*>(dict)->ma_keys;
  Py_DECREF(dict);
  return is_static(empty_keys);
}

}  // namespace firn::heap
