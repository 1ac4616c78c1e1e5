// Copies of strings that no reader ever writes to.
#pragma once

#include "heap/cpython_layout.hpp"

#include <cstddef>
#include <cstring>

#include "heap/sip_hash.hpp"
#include "heap/static_objects.hpp"

namespace firn::heap {

// Writes the UTF-8 form of a string and returns its length, or -1 for a lone surrogate. `out` has
// room for two, three or four bytes a character, by the string's kind.
Py_ssize_t encode_utf8(PyObject* string, char* out);

inline Py_hash_t hash_of_string(PyObject* string) {
  const Py_hash_t known = reinterpret_cast<PyASCIIObject*>(string)->hash;
  if (known != -1) return known;
  if (!PyUnicode_GET_LENGTH(string)) return 0;
  const StringBytes bytes(string);
  if (hashes_with_sip) return sip_hash(bytes.data, bytes.size);
  return Py_HashBuffer(bytes.data, static_cast<Py_ssize_t>(bytes.size));
}

// What is read to hash an ASCII string is written at once.
template <typename Memory>
PyObject* copy_and_hash(Memory& memory, PyObject* object, bool shared) {
  const auto* source = reinterpret_cast<PyASCIIObject*>(object);
  const auto length = static_cast<std::size_t>(source->length);
  char* at = memory.allocate(sizeof(PyASCIIObject) + (length & ~std::size_t{7}) + 8);
  char* to = at + sizeof(PyASCIIObject);
  const Py_hash_t hash =
      sip_hash(reinterpret_cast<const char*>(source + 1), length,
               [to](std::size_t offset, std::uint64_t word) { store_word(to + offset, word); });
  if (PyObject* known = static_strings.find(object, hash)) {
    memory.shrink(at, 0);
    return known;
  }
  auto* copy = reinterpret_cast<PyASCIIObject*>(at);
  set_header(reinterpret_cast<PyObject*>(copy), &PyUnicode_Type, shared);
  copy->length = source->length;
  copy->hash = hash;
  copy->state = source->state;
  copy->state.interned = SSTATE_INTERNED_IMMORTAL_STATIC;
  return reinterpret_cast<PyObject*>(copy);
}

// `memory` has allocate(bytes) and shrink(what was allocated last, bytes). A string that equals one
// of CPython's static ones is that very one: CPython compares the names of slots by address (hazard
// 2). Needs no thread state.
template <typename Memory>
PyObject* copy_string(Memory& memory, PyObject* object, bool shared) {
  const auto* source = reinterpret_cast<PyASCIIObject*>(object);
  const auto length = static_cast<std::size_t>(source->length);
  const auto kind = static_cast<std::size_t>(source->state.kind);
  if (!length) return static_strings.empty();
  if (source->state.ascii && source->hash == -1 && hashes_with_sip)
    return copy_and_hash(memory, object, shared);
  const Py_hash_t hash = hash_of_string(object);
  if (PyObject* known = static_strings.find(object, hash)) return known;

  const bool ascii = source->state.ascii;
  const std::size_t size = ascii ? sizeof(PyASCIIObject) + length + 1
                                 : sizeof(PyCompactUnicodeObject) + (length + 1) * kind;
  char* at = memory.allocate(size);
  std::memcpy(at, object, size);
  auto* copy = reinterpret_cast<PyASCIIObject*>(at);
  set_header(reinterpret_cast<PyObject*>(copy), &PyUnicode_Type, shared);
  copy->hash = hash;
  // Nobody interns it, for that would write to it.
  copy->state.interned = SSTATE_INTERNED_IMMORTAL_STATIC;
  if (ascii) return reinterpret_cast<PyObject*>(copy);

  // The UTF-8 form would be cached by whoever asks first, in memory of its interpreter (hazard 3).
  // With a lone surrogate there is none, and asking raises before anything is written.
  auto* compact = reinterpret_cast<PyCompactUnicodeObject*>(copy);
  const auto* original = reinterpret_cast<PyCompactUnicodeObject*>(object);
  compact->utf8 = nullptr;
  compact->utf8_length = 0;
  if (original->utf8) {
    const auto bytes = static_cast<std::size_t>(original->utf8_length);
    char* utf8 = memory.allocate(bytes + 1);
    std::memcpy(utf8, original->utf8, bytes);
    utf8[bytes] = 0;
    compact->utf8 = utf8;
    compact->utf8_length = original->utf8_length;
  } else {
    char* utf8 = memory.allocate(length * (kind == 1 ? 2 : kind == 2 ? 3 : 4) + 1);
    const Py_ssize_t bytes = encode_utf8(object, utf8);
    memory.shrink(utf8, bytes < 0 ? 0 : static_cast<std::size_t>(bytes) + 1);
    if (bytes >= 0) {
      utf8[bytes] = 0;
      compact->utf8 = utf8;
      compact->utf8_length = bytes;
    }
  }
  return reinterpret_cast<PyObject*>(copy);
}

}  // namespace firn::heap
