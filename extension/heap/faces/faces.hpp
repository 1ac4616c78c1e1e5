// What the frozen types share: kinds, plain copies, owned references, per-interpreter objects.
#pragma once

#include "heap/cpython_layout.hpp"

#include <utility>

#include "heap/twins/twins.hpp"
#include "heap/types.hpp"

namespace firn::heap::faces {

// An owned reference.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* owned) : object_(owned) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

inline Ref borrowed(PyObject* object) { return Ref(Py_NewRef(object)); }

// An instance of one of the frozen types.
inline bool is_face(PyObject* o) {
  return reinterpret_cast<std::uintptr_t>(Py_TYPE(o)) - types_address <= 3 * type_stride;
}

inline PyObject* items_of(PyObject* o) { return reinterpret_cast<FrozenList*>(o)->items; }
inline PyObject* mapping_of(PyObject* o) { return reinterpret_cast<FrozenDict*>(o)->mapping; }
inline PyObject* inner_of(PyObject* o) { return reinterpret_cast<FrozenFace*>(o)->inner; }
inline PyObject* extra_of(PyObject* o) { return reinterpret_cast<FrozenFace*>(o)->extra; }

inline FaceKind kind_of(PyObject* o) { return reinterpret_cast<FrozenFace*>(o)->kind; }

// Lists and deques, dicts, sets; instances of their subclasses too.
inline bool is_list_face(PyObject* o) {
  if (!is_face(o)) return false;
  const FaceKind kind = kind_of(o);
  return kind == FaceKind::list || kind == FaceKind::deque || kind == FaceKind::list_record;
}
inline bool is_dict_face(PyObject* o) {
  return Py_IS_TYPE(o, frozen_dict_type()) || (is_face(o) && kind_of(o) == FaceKind::dict_record);
}
inline bool is_set_face(PyObject* o) {
  if (!is_face(o)) return false;
  const FaceKind kind = kind_of(o);
  return kind == FaceKind::set || kind == FaceKind::set_record;
}

inline bool holds_twins(PyObject* o) {
  return (reinterpret_cast<FrozenFace*>(o)->flags & kHoldsTwins) != 0;
}
inline bool is_keyed_by_twins(PyObject* o) {
  return (reinterpret_cast<FrozenFace*>(o)->flags & kKeyedByTwins) != 0;
}

inline constexpr int kinds = static_cast<int>(FaceKind::counter) + 1;
inline int index_of(FaceKind kind) { return static_cast<int>(kind); }

enum class View : int { keys, values, items };

// The objects of one interpreter; made by init_types(), freed with the interpreter.
struct InterpreterObjects {
  PyTypeObject* views[3] = {};      // by View; heap types, for views are made and dropped here
  PyTypeObject* iterators[3] = {};  // by View
  PyTypeObject* reverse_iterators[3] = {};
  PyTypeObject* part = nullptr;
  PyObject* classes[kinds] = {};  // what each kind reads as; filled on first use
};

// Those of the calling thread's interpreter; nullptr once it has given them up at its end.
InterpreterObjects* interpreter_objects();
// Makes them. 1: made, 0: they were there, -1: an exception is set.
int make_interpreter_objects();

// The class that `kind` reads as, borrowed; nullptr with an exception set when its module fails to
// load.
PyObject* class_of(FaceKind kind);

// resolution.cpp: what is read from where twins are.

// The elements of an exact tuple of the heap, each read: a new tuple.
Ref resolve_items(PyObject* items);
// An exact tuple of a sequence's elements, without twins.
inline Ref plain_items(PyObject* list_face) {
  PyObject* items = items_of(list_face);
  return holds_twins(list_face) ? resolve_items(items) : borrowed(items);
}
// The interpreter's own dict of a mapping that is keyed by twins; its values may be twins. Never
// reaches Python code. Null with an exception set. To be held while code of keys' classes may run:
// the interpreter lets go of it when its segment retires.
Ref own_mapping(PyObject* dict_face);
// The dict to look for keys in: read() what is found when holds_twins(). Null with an exception
// set.
inline Ref table_of(PyObject* dict_face) {
  return is_keyed_by_twins(dict_face) ? own_mapping(dict_face) : borrowed(mapping_of(dict_face));
}
// A new dict without twins.
Ref copy_mapping(PyObject* dict_face);
// An exact dict without twins, which may be the inner one and must not reach Python code.
inline Ref plain_mapping(PyObject* dict_face) {
  const bool plain = !holds_twins(dict_face) && !is_keyed_by_twins(dict_face);
  return plain ? borrowed(mapping_of(dict_face)) : copy_mapping(dict_face);
}
// The interpreter's own frozenset of a set whose members are twins. Null with an exception set. As
// own_mapping().
Ref own_members(PyObject* set_face);
// The members of a set as an exact frozenset. Null with an exception set.
inline Ref members_of(PyObject* set_face) {
  return is_keyed_by_twins(set_face) ? own_members(set_face) : borrowed(inner_of(set_face));
}

// A new plain, mutable, shallow copy of a frozen container; anything else as it is. What is seldom
// used and not worth a second implementation is done by the original's own code on such a copy.
Ref to_plain(PyObject* object);

// Whether the operator that is being asked for was written as an augmented assignment.
bool in_augmented_assignment();

// dict_views.cpp
int make_view_types(InterpreterObjects* objects);
PyObject* new_view(PyObject* dict_face, View view);
PyObject* new_dict_iterator(PyObject* dict_face, View view, bool reverse);

// list_part.cpp
PyTypeObject* make_part_type();

// Each fills the type that it is named after.
void fill_list_type(PyTypeObject* type);
void fill_dict_type(PyTypeObject* type);
void fill_set_type(PyTypeObject* type);

// members.cpp: what every face answers in the same way.
PyObject* get_class(PyObject* self, void*);
PyObject* get_from_class(PyObject* self, void* name);  // an attribute of the class it reads as
// A member that only some kinds have: read from a plain copy, or, with a PyMethodDef, refused.
PyObject* get_if_present(PyObject* self, void* name);
PyObject* get_refusal_if_present(PyObject* self, void* method_definition);
PyObject* dir_of(PyObject* self, PyObject*);
PyObject* reduce_ex(PyObject* self, PyObject* protocol);
PyObject* reduce(PyObject* self, PyObject*);
Py_hash_t refuse_hash(PyObject* self);
// Takes from the type's dict of this interpreter what list, dict or set do not have, so that
// hasattr() and ABCs answer as they do. What only deque, Counter ... have is a getset that asks.
int tidy_members(PyTypeObject* type);

// Writes: every slot and method that would change a frozen value.
PyObject* refuse_method(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*);
PyObject* refuse_binary(PyObject* self, PyObject* other);
PyObject* refuse_repeat(PyObject* self, Py_ssize_t);
int refuse_item(PyObject* self, Py_ssize_t, PyObject*);
int refuse_key(PyObject* self, PyObject*, PyObject*);
int refuse_attribute(PyObject* self, PyObject*, PyObject*);
int refuse_init(PyObject* self, PyObject*, PyObject*);

template <PyObject* (*operation)(PyObject*, PyObject*)>
PyObject* on_plain(PyObject* left, PyObject* right) {
  Ref plain_left = to_plain(left);
  if (!plain_left) return nullptr;
  Ref plain_right = to_plain(right);
  if (!plain_right) return nullptr;
  return operation(plain_left.get(), plain_right.get());
}

template <PyObject* (*operation)(PyObject*)>
PyObject* on_plain(PyObject* self) {
  Ref plain = to_plain(self);
  return plain ? operation(plain.get()) : nullptr;
}

// PyMethodDef wants one function type for all call conventions.
template <typename Function>
PyCFunction method(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// Gives methods the documentation (and with it the signature) that the original's have.
void borrow_documentation(PyMethodDef* methods, PyTypeObject* original);

inline PyMethodDef refused(const char* name) {
  return {name, method(refuse_method), METH_FASTCALL | METH_KEYWORDS, nullptr};
}
inline PyGetSetDef only_some(const char* name) {
  return {name, get_if_present, nullptr, nullptr, const_cast<char*>(name)};
}
inline PyGetSetDef refused_by_some(PyMethodDef* definition) {
  return {definition->ml_name, get_refusal_if_present, nullptr, nullptr, definition};
}
inline PyGetSetDef of_class(const char* name) {
  return {name, get_from_class, nullptr, nullptr, const_cast<char*>(name)};
}

}  // namespace firn::heap::faces
