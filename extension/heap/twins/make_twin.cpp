#include "heap/cpython_layout.hpp"

#include "heap/twins/make_twin.hpp"

#include <cstring>

#include "heap/buffers/frozen.hpp"
#include "heap/faces/faces.hpp"
#include "heap/freezer.hpp"
#include "heap/records/definitions.hpp"
#include "heap/records/rounds.hpp"
#include "heap/twins/recipes.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {
namespace {

using faces::Ref;

// The items of what firn.twin_parts.take_apart() returns.
enum Part : Py_ssize_t { recipe, unchanging, keep, parts, state };

PyObject* part(PyObject* reduced, Part which) { return PyTuple_GET_ITEM(reduced, which); }

// What every interpreter has its own of: the number that names it.
PyObject* number_for(PyObject* definition) {
  const std::uint32_t number = number_of(definition);
  return number ? PyLong_FromUnsignedLong(number) : nullptr;
}

// A tuple of the heap that only its twin refers to; its slots hold the originals until run() gets
// there.
PyObject* inner_tuple(Copier& copier, PyObject* source, PyObject* twin) {
  const auto size = static_cast<std::size_t>(PyTuple_GET_SIZE(source));
  PyTupleObject* tuple = copier.new_tuple(size, false);
  tuple->ob_hash = 1;  // whoever asks for it writes nothing
  std::memcpy(tuple->ob_item, reinterpret_cast<PyTupleObject*>(source)->ob_item,
              size * sizeof(PyObject*));
  copier.push(source, twin, tuple->ob_item, size, 1, Role::state);
  return reinterpret_cast<PyObject*>(tuple);
}

static_assert(sizeof(FrozenTwin) == sizeof(FrozenFace));

FrozenFace* new_face(Copier& copier, FaceKind kind, bool shared) {
  return reinterpret_cast<FrozenFace*>(copier.new_face(kind, shared));
}

}  // namespace

PyObject* reduce_for_twin(PyObject* original) {
  PyObject* const buffer = buffers::describe(original);
  if (buffer || PyErr_Occurred()) return buffer;
  if (PyType_Check(original)) return number_for(original);
  if (PyFunction_Check(original)) {
    const Ref captured(PyImport_ImportModuleAttrString("firn.functions", "captured"));
    const Ref function(captured ? PyObject_CallOneArg(captured.get(), original) : nullptr);
    return function ? number_for(function.get()) : nullptr;
  }
  const Ref take_apart(PyImport_ImportModuleAttrString("firn.twin_parts", "take_apart"));
  return take_apart ? PyObject_CallOneArg(take_apart.get(), original) : nullptr;
}

PyObject* make_twin(Copier& copier, PyObject* original, PyObject* reduced, bool shared) {
  if (buffers::is_description(reduced)) {
    return buffers::make_buffer(copier, original, reduced, shared);
  }
  if (PyLong_Check(reduced)) {
    FrozenFace* definition = new_face(copier, FaceKind::definition, shared);
    definition->flags = kUnchanging;
    definition->layout = static_cast<std::uint32_t>(PyLong_AsUnsignedLong(reduced));
    copier.note_definition(definition->layout);
    return reinterpret_cast<PyObject*>(definition);
  }
  auto* twin = reinterpret_cast<FrozenTwin*>(new_face(copier, FaceKind::twin, shared));
  auto* made = reinterpret_cast<PyObject*>(twin);
  twin->flags = flags_of(static_cast<Recipe>(PyLong_AsLong(part(reduced, recipe))));
  if (part(reduced, unchanging) == Py_True) twin->flags |= kUnchanging;
  if (part(reduced, state) != Py_None)
    twin->state = inner_tuple(copier, part(reduced, state), made);
  twin->parts = inner_tuple(copier, part(reduced, parts), made);
  // What an older twin stands for goes on being one object, too.
  if (part(reduced, keep) == Py_True || origin_of(original)) copier.keep_original(made, original);
  if (recipe_of(made) == Recipe::method) copier.note_method(made, original);
  return made;
}

void check_methods(Copier& copier) {
  for (const auto& [twin, original] : copier.methods()) {
    PyObject* owner = PyTuple_GET_ITEM(reinterpret_cast<FrozenTwin*>(twin)->parts, 1);
    if (!may_change(owner)) continue;
    const Ref lost(PyImport_ImportModuleAttrString("firn.twin_parts", "lost_method"));
    Ref cause(lost ? PyObject_CallOneArg(lost.get(), original) : nullptr);
    if (!cause) throw Raised{};
    Py_XSETREF(copier.freezing().python.cause, cause.release());
    throw Unfreezable{original, nullptr};
  }
}

}  // namespace firn::heap
