#include "heap/cpython_layout.hpp"
#include "heap/interpreter.hpp"
#include "heap/records/state.hpp"
#include "heap/twins/resolved.hpp"

#include "heap/records/definitions.hpp"

#include <atomic>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace firn::heap {
namespace {

constexpr const char* kCapsule = "firn.heap.definitions";

// ---- what all interpreters share ----

// Any thread; no Python runs under the lock, and no other lock is taken.
class Numbers {
 public:
  std::uint32_t make(DefinitionName name, bool importable) {
    const std::lock_guard hold(mutex_);
    names_.push_back(std::move(name));
    const auto number = static_cast<std::uint32_t>(names_.size());
    if (importable) importable_[path_of(names_.back())] = number;
    return number;
  }

  // The latest number of an importable definition, or 0.
  std::uint32_t find(const DefinitionName& name) {
    const std::lock_guard hold(mutex_);
    const auto found = importable_.find(path_of(name));
    return found == importable_.end() ? 0 : found->second;
  }

  DefinitionName name(std::uint32_t number) {
    const std::lock_guard hold(mutex_);
    return number && number <= names_.size() ? names_[number - 1] : DefinitionName{};
  }

  std::uint32_t count() {
    const std::lock_guard hold(mutex_);
    return static_cast<std::uint32_t>(names_.size());
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  static std::string path_of(const DefinitionName& name) {
    return name.module + ":" + name.qualname;
  }

  std::mutex mutex_;
  std::vector<DefinitionName> names_;
  std::unordered_map<std::string, std::uint32_t> importable_;
};

// Never destroyed: threads may use it while the process ends.
Numbers& numbers() {
  static Numbers& numbers = *new Numbers;
  return numbers;
}

// ---- what each interpreter has for itself ----

struct Own {
  std::vector<PyObject*> objects;  // by number; owned
  std::unordered_map<PyObject*, std::uint32_t> numbers;
};

// Counts interpreters that came or went, so that a thread never trusts what it remembers of one: a
// later interpreter can stand at the same address.
std::atomic<std::uint64_t> changes{0};

struct Remembered {
  PyInterpreterState* interpreter = nullptr;
  std::uint64_t changes = 0;
  Own* own = nullptr;
};
thread_local Remembered remembered;

void free_own(PyObject* capsule) {
  auto* own = static_cast<Own*>(PyCapsule_GetPointer(capsule, kCapsule));
  changes.fetch_add(1, std::memory_order_release);
  own->numbers.clear();
  std::vector<PyObject*> objects;
  objects.swap(own->objects);
  for (PyObject* object : objects) Py_XDECREF(object);
  delete own;
}

Own* find_own() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  PyObject* capsule = dict ? PyDict_GetItemString(dict, kCapsule) : nullptr;
  return capsule ? static_cast<Own*>(PyCapsule_GetPointer(capsule, kCapsule)) : nullptr;
}

// Of the calling interpreter, or nullptr when it has not imported firn or is ending.
Own* own_of_interpreter() {
  PyInterpreterState* const interpreter = PyInterpreterState_Get();
  const std::uint64_t now = changes.load(std::memory_order_acquire);
  if (remembered.interpreter != interpreter || remembered.changes != now) [[unlikely]] {
    remembered = {interpreter, now, find_own()};
  }
  return remembered.own;
}

// Takes the number for the object; keeps a reference to it.
void enter(Own& own, std::uint32_t number, PyObject* object) {
  if (own.objects.size() <= number) own.objects.resize(number + 1);
  own.numbers[object] = number;
  PyObject* const before = std::exchange(own.objects[number], Py_NewRef(object));
  if (before && before != object) {
    const auto known = own.numbers.find(before);
    if (known != own.numbers.end() && known->second == number) own.numbers.erase(known);
  }
  Py_XDECREF(before);  // last: it may run code
}

// ---- names, read without running the definition's code ----

std::string text_of(PyObject* object) {
  if (!object || !PyUnicode_CheckExact(object)) return {};
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(object, &size);
  if (!utf8) {
    PyErr_Clear();
    return {};
  }
  return {utf8, static_cast<std::size_t>(size)};
}

// Borrowed; a class's dict holds it as long as nobody changes the class.
PyObject* in_type_dict(PyTypeObject* type, const char* name) {
  PyObject* dict = PyType_GetDict(type);
  PyObject* found = dict ? PyDict_GetItemString(dict, name) : nullptr;
  Py_XDECREF(dict);
  return found;
}

DefinitionName read_name(PyObject* object) {
  if (PyType_Check(object)) {
    auto* type = reinterpret_cast<PyTypeObject*>(object);
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
      return {text_of(in_type_dict(type, "__module__")),
              text_of(reinterpret_cast<PyHeapTypeObject*>(type)->ht_qualname)};
    }
    const std::string_view full = type->tp_name;
    const auto dot = full.rfind('.');
    if (dot == std::string_view::npos) return {"builtins", std::string(full)};
    return {std::string(full.substr(0, dot)), std::string(full.substr(dot + 1))};
  }
  if (PyFunction_Check(object)) {
    const auto* function = reinterpret_cast<PyFunctionObject*>(object);
    return {text_of(function->func_module), text_of(function->func_qualname)};
  }
  if (PyCFunction_Check(object)) {
    const auto* function = reinterpret_cast<PyCFunctionObject*>(object);
    if (function->m_self && !PyModule_Check(function->m_self)) return {};
    return {text_of(function->m_module), function->m_ml->ml_name};
  }
  return {};
}

// Whether sys.modules[module].qualname is the object; looks into dicts only.
bool is_importable(const DefinitionName& name, PyObject* object) {
  if (name.module.empty() || name.qualname.empty() || name.module == "__main__") return false;
  PyObject* module = loaded_module(name.module.c_str());
  if (!module) return false;
  PyObject* at = nullptr;
  PyObject* dict = Py_NewRef(PyModule_GetDict(module));
  for (std::size_t begin = 0; begin <= name.qualname.size();) {
    const std::size_t end = std::min(name.qualname.find('.', begin), name.qualname.size());
    const std::string part = name.qualname.substr(begin, end - begin);
    begin = end + 1;
    at = dict ? PyDict_GetItemString(dict, part.c_str()) : nullptr;
    Py_CLEAR(dict);
    if (!at) return false;
    if (begin > name.qualname.size()) break;
    if (!PyType_Check(at)) return false;
    dict = PyType_GetDict(reinterpret_cast<PyTypeObject*>(at));
  }
  Py_XDECREF(dict);
  return at == object;
}

void set_not_running() {
  PyErr_SetString(PyExc_RuntimeError,
                  "this interpreter has not imported firn, or is shutting down");
}

std::uint32_t find_number(PyObject* definition, bool make) {
  Own* const own = own_of_interpreter();
  if (!own) {
    set_not_running();
    return 0;
  }
  const auto known = own->numbers.find(definition);
  if (known != own->numbers.end()) return known->second;
  DefinitionName name = read_name(definition);
  const bool importable = is_importable(name, definition);
  if (!importable && !make) return 0;
  std::uint32_t number = importable ? numbers().find(name) : 0;
  // A module that was loaded again has a class of that name that is another one.
  if (number && number < own->objects.size() && own->objects[number]) number = 0;
  if (!number) number = numbers().make(std::move(name), importable);
  enter(*own, number, definition);
  return number;
}

}  // namespace

std::uint32_t number_of(PyObject* definition) {
  try {
    return find_number(definition, true);
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return 0;
  }
}

std::uint32_t shared_number_of(PyObject* definition) {
  try {
    const std::uint32_t number = find_number(definition, false);
    PyErr_Clear();
    return number;
  } catch (const std::bad_alloc&) {
    return 0;
  }
}

PyObject* known_replica(std::uint32_t number) {
  const Own* const own = own_of_interpreter();
  return own && number < own->objects.size() ? own->objects[number] : nullptr;
}

PyObject* replica(std::uint32_t number) {
  if (PyObject* known = known_replica(number)) return known;
  const DefinitionName name = name_of_definition(number);
  if (!own_of_interpreter()) {
    set_not_running();
    return nullptr;
  }
  PyObject* find = PyImport_ImportModuleAttrString("firn.definitions", "find");
  if (!find) return nullptr;
  PyObject* found = PyObject_CallFunction(
      find, "Is#s#", number, name.module.data(), static_cast<Py_ssize_t>(name.module.size()),
      name.qualname.data(), static_cast<Py_ssize_t>(name.qualname.size()));
  Py_DECREF(find);
  if (!found) return nullptr;
  PyObject* known = known_replica(number);  // the call may have defined it
  if (!known && define(number, found) == 0) known = known_replica(number);
  Py_DECREF(found);
  return known;
}

int define(std::uint32_t number, PyObject* object) {
  Own* const own = own_of_interpreter();
  if (!own) {
    set_not_running();
    return -1;
  }
  if (!number || number > numbers().count()) {
    PyErr_Format(PyExc_ValueError, "there is no definition with the number %u", number);
    return -1;
  }
  try {
    PyObject* const before = number < own->objects.size() ? own->objects[number] : nullptr;
    const bool replaced = before && before != object;
    enter(*own, number, object);
    if (replaced) forget_what_can_be_made_again();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
    return -1;
  }
  records::forget_class(number);
  return 0;
}

void undefine(std::uint32_t number) {
  Own* const own = own_of_interpreter();
  if (!own || number >= own->objects.size() || !own->objects[number]) return;
  PyObject* const before = std::exchange(own->objects[number], nullptr);
  const auto known = own->numbers.find(before);
  if (known != own->numbers.end() && known->second == number) own->numbers.erase(known);
  forget_what_can_be_made_again();
  records::forget_class(number);
  Py_DECREF(before);  // last: it may run code
}

DefinitionName name_of_definition(std::uint32_t number) { return numbers().name(number); }

int init_definitions() {
  if (find_own()) return 0;
  auto* own = new Own;
  PyObject* capsule = PyCapsule_New(own, kCapsule, free_own);
  if (!capsule) {
    delete own;
    return -1;
  }
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  const int status = dict ? PyDict_SetItemString(dict, kCapsule, capsule) : -1;
  Py_DECREF(capsule);
  changes.fetch_add(1, std::memory_order_release);  // forget that this interpreter had none
  return status;
}

void hold_definitions() { numbers().lock(); }
void release_definitions() { numbers().unlock(); }

}  // namespace firn::heap
