// The shells of containers; their slots hold the originals of the children until the walk gets
// there.
#include <algorithm>
#include <cstring>

#include "heap/freezer.hpp"
#include "heap/leaf.hpp"
#include "heap/static_objects.hpp"

namespace firn::heap {
namespace {

PyTupleObject* as_tuple(PyObject* object) { return reinterpret_cast<PyTupleObject*>(object); }

}  // namespace

PyTupleObject* Copier::new_tuple(std::size_t size, bool shared) {
  auto* tuple = reinterpret_cast<PyTupleObject*>(
      allocate_gc(offsetof(PyTupleObject, ob_item) + size * sizeof(PyObject*)));
  set_header(reinterpret_cast<PyObject*>(tuple), &PyTuple_Type, shared);
  reinterpret_cast<PyVarObject*>(tuple)->ob_size = static_cast<Py_ssize_t>(size);
  tuple->ob_hash = -1;
  return tuple;
}

// The copies of the first elements, as many as are made at once; how many these are.
std::size_t Copier::copy_leaves(PyObject* const* items, std::size_t count, PyObject** copies) {
  std::size_t done = 0;
  for (; done < count; ++done) {
    PyObject* item = items[done];
    PyObject* copy = copy_leaf(item);
    if (!copy && !freezing_.marks && stays(item)) {
      if (in_lasting(item)) note_lasting(item);
      copy = item;
    }
    if (!copy) break;
    copies[done] = copy;
  }
  return done;
}

PyObject* Copier::make_tuple(PyObject* object, bool shared) {
  ++objects_;
  const auto size = static_cast<std::size_t>(Py_SIZE(object));
  PyTupleObject* copy = new_tuple(size, shared);
  PyObject* const* items = as_tuple(object)->ob_item;
  // A worker has just made what it sends, so nothing of it has to be brought up from memory first.
  const std::size_t done = freezing_.transfer ? copy_leaves(items, size, copy->ob_item) : 0;
  std::copy(items + done, items + size, copy->ob_item + done);
  const Frame frame{
      object, reinterpret_cast<PyObject*>(copy), copy->ob_item, done, size, 1, Role::elements,
      true};
  if (done == size) {
    complete(frame);
  } else {
    work_.frames.push_back(frame);
  }
  return frame.copy;
}

PyObject* Copier::new_face(FaceKind kind, bool shared) {
  ++objects_;
  const bool plain = kind == FaceKind::list || kind == FaceKind::dict;
  auto* face =
      reinterpret_cast<FrozenFace*>(allocate(plain ? sizeof(FrozenList) : sizeof(FrozenFace)));
  set_header(reinterpret_cast<PyObject*>(face), face_type(kind), shared);
  face->inner = nullptr;
  face->kind = kind;
  face->flags = 0;
  face->layout = 0;
  if (!plain) face->extra = nullptr;
  return reinterpret_cast<PyObject*>(face);
}

PyObject* Copier::make_list(PyObject* object, PyObject* const* items, std::size_t size, bool shared,
                            FaceKind kind) {
  PyObject* face = new_face(kind, shared);
  PyTupleObject* inner = new_tuple(size, false);
  if (size) std::memcpy(inner->ob_item, items, size * sizeof(PyObject*));
  reinterpret_cast<FrozenList*>(face)->items = reinterpret_cast<PyObject*>(inner);
  // Python code gets at the inner tuple only by looking behind an iterator (gc.get_referents);
  // whatever it does there, a tuple that has a hash is not written to.
  inner->ob_hash = 1;
  push(object, face, inner->ob_item, size, 1, Role::elements);
  return face;
}

void Copier::set_maxlen(PyObject* face, PyObject* maxlen) {
  if (is_static(maxlen)) {
    reinterpret_cast<FrozenFace*>(face)->extra = maxlen;
  } else {
    reinterpret_cast<FrozenFace*>(face)->extra = make_integer(maxlen, false);
  }
}

PyObject* Copier::make_deque(PyObject* object, bool shared) {
  const auto* deque = reinterpret_cast<DequeLayout*>(object);
  const auto size = static_cast<std::size_t>(Py_SIZE(object));
  std::vector<PyObject*> items;
  items.reserve(size);
  const DequeBlock* block = deque->left_block;
  Py_ssize_t at = deque->left_index;
  while (items.size() < size) {
    items.push_back(block->data[at]);
    if (++at == DequeBlock::length) {
      block = block->right;
      at = 0;
    }
  }
  PyObject* face = make_list(object, items.data(), size, shared, FaceKind::deque);
  PyObject*& extra = reinterpret_cast<FrozenFace*>(face)->extra;
  if (deque->maxlen < 0) {
    extra = Py_None;
  } else {
    // Threads that freeze may not ask CPython for an integer.
    constexpr std::size_t digits = 3;
    auto* number = reinterpret_cast<PyLongObject*>(
        allocate(offsetof(PyLongObject, long_value.ob_digit) + digits * sizeof(digit)));
    ++objects_;
    set_header(reinterpret_cast<PyObject*>(number), &PyLong_Type, false);
    set_integer(number, static_cast<std::uint64_t>(deque->maxlen));
    extra = reinterpret_cast<PyObject*>(number);
  }
  return face;
}

PySetObject* Copier::new_set(const PySetObject* original, bool shared) {
  auto* copy = reinterpret_cast<PySetObject*>(allocate_gc(sizeof(PySetObject)));
  std::memcpy(static_cast<void*>(copy), original, sizeof(PySetObject));
  set_header(reinterpret_cast<PyObject*>(copy), &PyFrozenSet_Type, shared);
  copy->hash = -1;
  copy->finger = 0;
  copy->weakreflist = nullptr;
  // The order of iteration is the table's, hence the table is copied as it is.
  if (original->table == original->smalltable) {
    copy->table = copy->smalltable;
  } else {
    const std::size_t bytes = (static_cast<std::size_t>(original->mask) + 1) * sizeof(setentry);
    copy->table = reinterpret_cast<setentry*>(allocate(bytes));
    std::memcpy(static_cast<void*>(copy->table), original->table, bytes);
  }
  return copy;
}

void Copier::push_members(PyObject* source, PyObject* copy, PySetObject* set) {
  const auto entries = static_cast<std::size_t>(set->mask) + 1;
  push(source, copy, &set->table->key, entries, 2, Role::members, true);
}

PyObject* Copier::make_set(PyObject* object, bool shared) {
  PyObject* face = nullptr;
  PyObject* source = object;
  const bool is_face = Py_TYPE(object) != &PyFrozenSet_Type;
  if (is_face) {
    face = new_face(FaceKind::set, shared);
    if (Py_TYPE(object) == frozen_face_type())
      source = reinterpret_cast<FrozenFace*>(object)->inner;
  } else {
    ++objects_;
  }
  PySetObject* copy = new_set(reinterpret_cast<PySetObject*>(source), shared && !is_face);
  if (is_face) {
    reinterpret_cast<FrozenFace*>(face)->inner = reinterpret_cast<PyObject*>(copy);
  } else {
    face = reinterpret_cast<PyObject*>(copy);
  }
  push_members(object, face, copy);
  return face;
}

PyDictObject* Copier::new_dict(PyTypeObject* type, std::size_t size, bool shared) {
  auto* dict = reinterpret_cast<PyDictObject*>(allocate_gc(size));
  std::memset(static_cast<void*>(dict), 0, size);
  set_header(reinterpret_cast<PyObject*>(dict), type, shared);
  return dict;
}

PyObject* Copier::make_dict(PyObject* object, FaceKind kind, bool shared) {
  PyObject* face = new_face(kind, shared);
  reinterpret_cast<FrozenDict*>(face)->mapping =
      reinterpret_cast<PyObject*>(new_dict(&PyDict_Type, sizeof(PyDictObject), false));
  push(object, face, nullptr, 0, 1, Role::unbuilt);
  return face;
}

PyObject* Copier::make_builtin_frozendict(PyObject* object, bool shared) {
  ++objects_;
  PyObject* copy = reinterpret_cast<PyObject*>(new_dict(Py_TYPE(object), kFrozenDictSize, shared));
  frozendict_hash(copy) = -1;
  push(object, copy, nullptr, 0, 1, Role::unbuilt, true);
  return copy;
}

}  // namespace firn::heap
