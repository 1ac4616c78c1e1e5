// What the faces read from when an element, a value, a key or a member is a twin.
//
// Elements and values are resolved one by one, as they are read. Keys and members have to be
// hashed: each interpreter makes a dict or frozenset of its own on first touch and keeps it beside
// what it makes of twins. What is rare works on plain containers that are made for the occasion.
#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"
#include "heap/twins/resolved.hpp"

namespace firn::heap::faces {

namespace {

// The object that the calling interpreter keeps for a face; `make` gives it on first touch.
template <typename Make>
Ref kept(PyObject* face, Make&& make) {
  Resolved* const own = resolved();
  if (!own) return Ref();
  if (PyObject* known = own->table.object_of(face)) return borrowed(known);
  Ref made = make();
  if (!made) return Ref();
  // Hashing the keys may have led here again: the first one stays, for somebody may hold it.
  if (PyObject* known = own->table.object_of(face)) return borrowed(known);
  return remember(face, made.get()) < 0 ? Ref() : std::move(made);
}

}  // namespace

Ref resolve_items(PyObject* items) {
  const Py_ssize_t size = PyTuple_GET_SIZE(items);
  Ref made(PyTuple_New(size));
  for (Py_ssize_t i = 0; made && i < size; i++) {
    PyObject* element = read(PyTuple_GET_ITEM(items, i));
    if (!element) return Ref();
    PyTuple_SET_ITEM(made.get(), i, element);
  }
  return made;
}

Ref own_mapping(PyObject* face) {
  return kept(face, [face] {
    Ref made(PyDict_New());
    Py_ssize_t position = 0;
    PyObject *key, *value;
    while (made && PyDict_Next(mapping_of(face), &position, &key, &value)) {
      const Ref own(read(key));
      if (!own || PyDict_SetItem(made.get(), own.get(), value) < 0) return Ref();
    }
    return made;
  });
}

Ref own_members(PyObject* face) {
  return kept(face, [face] {
    PyObject* inner = inner_of(face);
    Ref members(PyList_New(0));
    Py_ssize_t position = 0;
    PyObject* member;
    Py_hash_t hash;
    while (members && _PySet_NextEntry(inner, &position, &member, &hash)) {
      const Ref own(read(member));
      if (!own || PyList_Append(members.get(), own.get()) < 0) return Ref();
    }
    return Ref(members ? PyFrozenSet_New(members.get()) : nullptr);
  });
}

Ref copy_mapping(PyObject* face) {
  const Ref mapping = table_of(face);
  if (!mapping) return Ref();
  Ref made(PyDict_Copy(mapping.get()));
  if (!made || !holds_twins(face)) return made;
  // Nobody else has the copy. The hashes are those of the table: what a __hash__ says now may
  // differ.
  PyDictKeysObject* keys = reinterpret_cast<PyDictObject*>(made.get())->ma_keys;
  Py_ssize_t position = 0;
  PyObject *key, *value;
  while (PyDict_Next(made.get(), &position, &key, &value)) {
    if (!is_twin(value)) continue;
    const Py_hash_t hash =
        DK_IS_UNICODE(keys) ? PyObject_Hash(key) : DK_ENTRIES(keys)[position - 1].me_hash;
    const Ref own(resolve(value));
    if (!own || _PyDict_SetItem_KnownHash(made.get(), key, own.get(), hash) < 0) return Ref();
  }
  return made;
}

}  // namespace firn::heap::faces
