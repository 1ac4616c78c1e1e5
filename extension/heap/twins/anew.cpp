#include "heap/twins/anew.hpp"

#include <algorithm>

#include "heap/segments.hpp"
#include "heap/twins/resolved.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {

using faces::Ref;

namespace {

// Of what was noted, that which is there still.
std::vector<std::size_t> noted(const Resolved& own, std::vector<std::size_t>& places) {
  std::erase_if(places, [&](std::size_t at) {
    return !own.table.object_at(at) || !is_in_use(heap_base + at);
  });
  return places;
}

PyObject* twin_at(std::size_t offset) { return reinterpret_cast<PyObject*>(heap_base + offset); }

}  // namespace

bool has_made() {
  Resolved* const own = resolved();
  if (!own) PyErr_Clear();
  return own && !own->made.empty();
}

std::vector<std::pair<Ref, Ref>> made_anew(PyObject* wanted) {
  std::vector<std::pair<Ref, Ref>> found;
  Resolved* const own = resolved();
  if (!own) {
    PyErr_Clear();
    return found;
  }
  const std::vector<std::size_t> before = noted(*own, own->made);
  std::vector<std::pair<std::size_t, Ref>> taken;
  for (const std::size_t at : before) {
    PyObject* const object = own->table.object_at(at);
    if (!object) continue;
    const Ref held = faces::borrowed(object);
    const Ref answer(
        PyObject_CallFunction(wanted, "On", object, reinterpret_cast<Py_ssize_t>(twin_at(at))));
    if (!answer) PyErr_Clear();
    if (answer && answer.get() == Py_True && own->table.object_at(at) == object) {
      taken.emplace_back(at, Ref(own->table.take_at(at)));
    }
  }
  const std::uint64_t forgotten_before = own->forgotten;
  std::vector<Ref> fresh;
  fresh.reserve(taken.size());
  for (const auto& [at, object] : taken) {
    fresh.emplace_back(resolve(twin_at(at)));
    if (!fresh.back()) PyErr_Clear();
  }
  // Something else may stand at these places by now.
  if (!resolved()) PyErr_Clear();
  const bool usable = own->forgotten == forgotten_before;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    auto& [at, object] = taken[i];
    if (usable) {
      const Ref dropped(own->table.take_at(at));
      const auto nature = Resolutions::Nature::given;
      const Ref other(own->table.set(twin_at(at), Py_NewRef(object.get()), nature));
    }
    if (fresh[i]) found.emplace_back(std::move(object), std::move(fresh[i]));
  }
  own->made = before;
  return found;
}

PyObject* made_again(PyObject* object) {
  Resolved* own = resolved();
  if (!own) return nullptr;
  PyObject* const twin = origin_of(object);
  if (!twin) {
    PyErr_SetString(PyExc_ValueError, "this object was not made of a frozen value");
    return nullptr;
  }
  const std::vector<std::size_t> made = own->made;
  const std::uint64_t forgotten_before = own->forgotten;
  const Ref held(own->table.take(twin));
  Ref fresh(resolve(twin));
  own = resolved();
  if (!own || own->forgotten != forgotten_before) return fresh.release();
  const Ref dropped(own->table.take(twin));
  const Ref other(own->table.set(twin, Py_NewRef(object), Resolutions::Nature::given));
  own->made = made;
  return fresh.release();
}

void note_kept(PyObject* twin) {
  Resolved* const own = resolved();
  if (!own) return PyErr_Clear();
  if (!may_change(twin)) return;
  std::erase(own->kept, heap_offset(twin));
  if (own->kept.size() == Resolved::kNoted) own->kept.erase(own->kept.begin());
  own->kept.push_back(heap_offset(twin));
}

std::vector<std::pair<Ref, PyObject*>> kept_objects() {
  std::vector<std::pair<Ref, PyObject*>> found;
  Resolved* const own = resolved();
  if (!own) {
    PyErr_Clear();
    return found;
  }
  for (const std::size_t at : noted(*own, own->kept)) {
    found.emplace_back(faces::borrowed(own->table.object_at(at)), twin_at(at));
  }
  return found;
}

void forget_made() {
  Resolved* const own = resolved();
  if (!own) return PyErr_Clear();
  for (const std::size_t at : noted(*own, own->made)) {
    if (PyObject* object = own->table.take_at(at)) own->leaving.push_back(object);
  }
  own->made.clear();
  let_leaving_go(*own);
}

}  // namespace firn::heap
