#include "heap/cpython_layout.hpp"

#include "heap/twins/only_kept.hpp"

#include <cstring>
#include <utility>

#include "heap/arena.hpp"
#include "heap/buffers/array.hpp"

namespace firn::heap {
namespace {

constexpr std::size_t kMostNodes = 1'000'000;  // a graph that is larger counts as reached

// What the notebook and its modules hold anyway, and what leads to everything.
bool is_outside(PyObject* object) {
  return in_heap(object) || _Py_IsImmortal(object) || PyType_Check(object) ||
         PyModule_Check(object) || PyFunction_Check(object) || PyCode_Check(object);
}

// The collector does not track tuples that hold nothing for it; it would know what they refer to.
bool is_walked(PyObject* object) {
  return PyObject_IS_GC(object) && Py_TYPE(object)->tp_traverse &&
         (PyObject_GC_IsTracked(object) || PyTuple_CheckExact(object));
}

bool is_numpy_array(PyObject* object) {
  const PyTypeObject* type = Py_TYPE(object);
  return !(type->tp_flags & Py_TPFLAGS_HEAPTYPE) && !std::strcmp(type->tp_name, "numpy.ndarray");
}

// The collector knows nothing of arrays, but they point into segments and keep what they are of.
template <typename Visit>
void each_owner(PyObject* object, const Visit& visit) {
  if (buffers::is_array(object)) {
    const buffers::Array* array = buffers::as_array(object);
    for (PyObject* owner : {array->base, array->layout}) {
      if (owner) visit(owner);
    }
  } else if (is_numpy_array(object)) {
    PyObject* owner = PyObject_GetAttrString(object, "base");
    if (!owner) return PyErr_Clear();
    Py_DECREF(owner);  // the array holds it, and a reference of ours would count
    visit(owner);
  }
}

bool may_lead_on(PyObject* object) {
  return is_walked(object) || buffers::is_array(object) || is_numpy_array(object);
}

template <typename Visit>
void each_child(PyObject* object, const Visit& visit) {
  if (!is_walked(object)) return each_owner(object, visit);
  Py_TYPE(object)->tp_traverse(
      object,
      [](PyObject* child, void* argument) {
        if (child) (*static_cast<const Visit*>(argument))(child);
        return 0;
      },
      const_cast<Visit*>(&visit));
}

}  // namespace

bool is_watched(PyObject* object) {
  // Not of types, which have them elsewhere and are nothing that anybody drops.
  return _PyType_SUPPORTS_WEAKREFS(Py_TYPE(object)) && !PyType_Check(object) &&
         *_PyObject_GET_WEAKREFS_LISTPTR_FROM_OFFSET(object);
}

OnlyKept::Node OnlyKept::node_of(PyObject* object) {
  return {Py_REFCNT(object) + is_watched(object)};
}

OnlyKept::OnlyKept(const std::vector<PyObject*>& objects) {
  std::vector<PyObject*> todo;
  for (PyObject* object : objects) {
    if (is_outside(object)) continue;
    const auto [at, added] = nodes_.try_emplace(object, node_of(object));
    --at->second.unexplained;
    if (added) todo.push_back(object);
  }
  const auto enter = [&](PyObject* child) {
    auto at = nodes_.find(child);
    if (at == nodes_.end()) {
      if (nodes_.size() > kMostNodes || is_outside(child) || !may_lead_on(child)) return;
      at = nodes_.emplace(child, node_of(child)).first;
      todo.push_back(child);
    }
    --at->second.unexplained;
    ++at->second.inside;
  };
  while (!todo.empty()) {
    PyObject* next = todo.back();
    todo.pop_back();
    each_child(next, enter);
  }
  if (nodes_.size() > kMostNodes) nodes_.clear();

  for (auto& [object, node] : nodes_) {
    if (node.unexplained <= 0) continue;
    node.reached = true;
    todo.push_back(object);
  }
  const auto reach = [&](PyObject* child) {
    const auto at = nodes_.find(child);
    if (at != nodes_.end() && !std::exchange(at->second.reached, true)) todo.push_back(child);
  };
  while (!todo.empty()) {
    PyObject* next = todo.back();
    todo.pop_back();
    each_child(next, reach);
  }
}

bool OnlyKept::has_cycles() {
  // Taken away one after the other, each when nothing refers to it any more: cycles are left.
  std::vector<PyObject*> todo;
  std::size_t left = 0;
  for (auto& [object, node] : nodes_) {
    if (node.reached) continue;
    ++left;
    if (!node.inside) todo.push_back(object);
  }
  const auto leave = [&](PyObject* child) {
    const auto at = nodes_.find(child);
    if (at != nodes_.end() && !at->second.reached && --at->second.inside == 0) {
      todo.push_back(child);
    }
  };
  while (!todo.empty()) {
    PyObject* next = todo.back();
    todo.pop_back();
    --left;
    each_child(next, leave);
  }
  return left != 0;
}

std::vector<PyObject*> OnlyKept::below(PyObject* object, std::uint64_t mark) {
  std::vector<PyObject*> found;
  const auto add = [&](PyObject* child) {
    const auto at = nodes_.find(child);
    if (at == nodes_.end() || at->second.reached || at->second.mark == mark) return;
    at->second.mark = mark;
    found.push_back(child);
  };
  add(object);
  for (std::size_t i = 0; i < found.size(); ++i) each_child(found[i], add);
  return found;
}

}  // namespace firn::heap
