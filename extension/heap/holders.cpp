// Exchanges originals for their frozen forms in what holds them.
#include "heap/holders.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "heap/arena.hpp"
#include "heap/static_objects.hpp"
#include "heap/twins/twins.hpp"
#include "heap/types.hpp"

namespace firn::heap {

Holders::~Holders() {
  for (const auto& [holder, value] : found_) Py_DECREF(holder);
  for (const auto& [original, form] : kept_) {
    Py_DECREF(original);
    Py_DECREF(form);
  }
}

void Holders::note(PyObject* holder, std::size_t value) {
  found_.emplace_back(Py_NewRef(holder), value);
}

void Holders::put(PyObject* original, PyObject* form) {
  kept_.emplace_back(Py_NewRef(original), Py_NewRef(form));
  forms_.insert(original, form);
}

void Holders::resolve_forms() {
  const auto is_own = [](const auto& kept) { return is_twin(kept.second); };
  if (std::ranges::none_of(kept_, is_own)) return;
  forms_.clear();
  for (auto& [original, form] : kept_) {
    if (is_twin(form)) {
      PyObject* const own = resolve(form);
      if (!own) PyErr_Clear();
      form = own ? own : Py_NewRef(original);  // the twin itself counts nothing
    }
    if (form != original) forms_.insert(original, form);
  }
}

namespace {

// What is exchanged in a table; nullptr: stays.
struct Exchange {
  PyObject** key;
  PyObject** value;  // nullptr in a set
  PyObject* key_form;
  PyObject* value_form;
  Py_hash_t hash;  // of the key, in the table
};

// The original is kept by the holders: this is not its end.
void put_in(PyObject** place, PyObject* form) {
  if (!form) return;
  PyObject* const original = *place;
  *place = Py_NewRef(form);
  Py_DECREF(original);
}

// Whether the forms of the keys hash as the table says. Nothing: a class does not let it be told.
std::optional<bool> hash_alike(const std::vector<Exchange>& found) {
  bool alike = true;
  for (const Exchange& each : found) {
    if (!each.key_form) continue;
    const Py_hash_t hash = PyObject_Hash(each.key_form);
    if (hash == -1) {
      PyErr_Clear();
      return {};
    }
    alike &= hash == each.hash;
  }
  return alike;
}

// Makes the container anew, all at once: by its own type's functions, that no key's class is asked
// half-way. False when its keys do not go together (then it is as it was).
bool fill_anew(PyObject* container, PyObject* fresh) {
  if (!fresh || PyErr_Occurred() || PyObject_Size(fresh) != PyObject_Size(container)) {
    PyErr_Clear();
    return false;
  }
  if (PyAnySet_Check(container)) {
    PySet_Clear(container);
    _PySet_Update(container, fresh);
  } else {
    PyDict_Clear(container);
    PyDict_Update(container, fresh);
  }
  PyErr_Clear();
  return true;
}

}  // namespace

bool Holders::swap(PyObject* container) const {
  if (PyList_Check(container)) {
    auto* list = reinterpret_cast<PyListObject*>(container);
    for (Py_ssize_t i = 0; i < Py_SIZE(list); ++i)
      put_in(&list->ob_item[i], form_of(list->ob_item[i]));
    return true;
  }
  if (PyAnySet_Check(container)) return swap_set(container);
  return PyDict_Check(container) ? swap_dict(container) : swap_cache(container);
}

bool Holders::swap_cache(PyObject* cache) const {
  PyObject* dict = nullptr;
  const auto find = [](PyObject* child, void* found) {
    if (!PyDict_CheckExact(child) || !PyDict_GET_SIZE(child)) return 0;
    Py_ssize_t at = 0;
    PyObject* value = nullptr;
    PyDict_Next(child, &at, nullptr, &value);
    if (std::string_view(Py_TYPE(value)->tp_name) != "functools._lru_list_elem") return 0;
    *static_cast<PyObject**>(found) = child;
    return 1;
  };
  Py_TYPE(cache)->tp_traverse(cache, find, &dict);
  Py_ssize_t at = 0;
  PyObject* link = nullptr;
  while (dict && PyDict_Next(dict, &at, nullptr, &link)) {
    if (Py_TYPE(link)->tp_basicsize != sizeof(CachedResult)) return false;
    auto* cached = reinterpret_cast<CachedResult*>(link);
    put_in(&cached->result, form_of(cached->result));
  }
  return true;
}

bool Holders::rehash(PyObject* container) const {
  std::vector<std::pair<PyObject*, Py_hash_t>> keys;
  if (PyAnySet_Check(container)) {
    auto* set = reinterpret_cast<PySetObject*>(container);
    for (Py_ssize_t i = 0; i <= set->mask; ++i) {
      if (set->table[i].key && set->table[i].hash != -1)
        keys.emplace_back(Py_NewRef(set->table[i].key), set->table[i].hash);
    }
  } else {
    auto* dict = reinterpret_cast<PyDictObject*>(container);
    if (DK_IS_UNICODE(dict->ma_keys)) return true;
    for (Py_ssize_t i = 0; i < dict->ma_keys->dk_nentries; ++i) {
      const PyDictKeyEntry& entry = DK_ENTRIES(dict->ma_keys)[i];
      if (entry.me_value) keys.emplace_back(Py_NewRef(entry.me_key), entry.me_hash);
    }
  }
  bool alike = true;
  for (const auto& [key, known] : keys) {
    const Py_hash_t hash = alike ? PyObject_Hash(key) : known;
    if (hash == -1) PyErr_Clear();  // it stays where it is
    alike &= hash == known || hash == -1;
    Py_DECREF(key);
  }
  if (alike) return true;
  PyObject* const fresh = PyAnySet_Check(container) ? PySet_New(nullptr) : PyDict_New();
  if (fresh && PyAnySet_Check(container)) {
    PyObject* const old = PySequence_List(container);
    for (Py_ssize_t i = 0; old && !PyErr_Occurred() && i < PyList_GET_SIZE(old); ++i)
      PySet_Add(fresh, PyList_GET_ITEM(old, i));
    Py_XDECREF(old);
  } else if (fresh) {
    PyObject* const old = PyDict_Items(container);
    for (Py_ssize_t i = 0; old && !PyErr_Occurred() && i < PyList_GET_SIZE(old); ++i) {
      PyObject* const item = PyList_GET_ITEM(old, i);
      PyDict_SetItem(fresh, PyTuple_GET_ITEM(item, 0), PyTuple_GET_ITEM(item, 1));
    }
    Py_XDECREF(old);
  }
  const bool done = fill_anew(container, fresh);
  Py_XDECREF(fresh);
  return done;
}

bool Holders::swap_set(PyObject* container) const {
  auto* set = reinterpret_cast<PySetObject*>(container);
  std::vector<Exchange> found;
  for (Py_ssize_t i = 0; i <= set->mask; ++i) {
    setentry& entry = set->table[i];
    if (!entry.key || entry.hash == -1) continue;
    if (PyObject* form = form_of(entry.key))
      found.push_back({&entry.key, nullptr, form, nullptr, entry.hash});
  }
  const setentry* const table = set->table;
  const std::optional<bool> alike = hash_alike(found);
  if (!alike || set->table != table) return false;  // a __hash__ has changed it
  if (*alike) {
    for (const Exchange& each : found) {
      if (form_of(*each.key) == each.key_form) put_in(each.key, each.key_form);
    }
    return true;
  }
  PyObject* const fresh = PySet_New(nullptr);
  for (Py_ssize_t i = 0; fresh && !PyErr_Occurred() && set->table == table && i <= set->mask; ++i) {
    PyObject* const key = set->table[i].key;
    if (!key || set->table[i].hash == -1) continue;
    PyObject* const form = form_of(key);
    PySet_Add(fresh, form ? form : key);
  }
  const bool done = fill_anew(container, fresh);
  Py_XDECREF(fresh);
  return done;
}

bool Holders::swap_dict(PyObject* container) const {
  auto* dict = reinterpret_cast<PyDictObject*>(container);
  PyDictKeysObject* const keys = dict->ma_keys;
  if (DK_IS_UNICODE(keys)) {
    Py_ssize_t at = 0;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    while (PyDict_Next(container, &at, &key, &value)) {
      PyObject* const form = form_of(value);
      if (form && PyDict_SetItem(container, key, form) < 0) PyErr_Clear();
    }
    return true;
  }
  std::vector<Exchange> found;
  for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
    PyDictKeyEntry& entry = DK_ENTRIES(keys)[i];
    if (!entry.me_value) continue;
    PyObject* const key_form = form_of(entry.me_key);
    PyObject* const value_form = form_of(entry.me_value);
    if (key_form || value_form)
      found.push_back({&entry.me_key, &entry.me_value, key_form, value_form, entry.me_hash});
  }
  const std::optional<bool> alike = hash_alike(found);
  if (!alike || dict->ma_keys != keys) return false;
  if (*alike) {
    for (const Exchange& each : found) {
      if (form_of(*each.key) == each.key_form) put_in(each.key, each.key_form);
      if (form_of(*each.value) == each.value_form) put_in(each.value, each.value_form);
    }
    return true;
  }
  PyObject* const fresh = PyDict_New();
  Py_ssize_t at = 0;
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  while (fresh && !PyErr_Occurred() && dict->ma_keys == keys &&
         PyDict_Next(container, &at, &key, &value)) {
    PyObject* const key_form = form_of(key);
    PyObject* const value_form = form_of(value);
    PyDict_SetItem(fresh, key_form ? key_form : key, value_form ? value_form : value);
  }
  const bool done = fill_anew(container, fresh);
  Py_XDECREF(fresh);
  return done;
}

bool takes_its_place(PyObject* original, PyObject* frozen) {
  if (PyList_CheckExact(original) || PyDict_CheckExact(original) || PySet_CheckExact(original))
    return true;
  if (!PyObject_IS_GC(original) || !in_heap(frozen)) return false;
  const PyTypeObject* type = Py_TYPE(frozen);
  if (type == &PyTuple_Type || type == &PyFrozenSet_Type) return true;
  if (PyTuple_CheckExact(original) || PyFrozenSet_CheckExact(original)) return true;  // a shell
  return (type == frozen_list_type() || type == frozen_dict_type() || type == frozen_face_type() ||
          type == frozen_callable_type()) &&
         !is_twin(frozen);
}

}  // namespace firn::heap
