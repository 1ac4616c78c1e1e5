// The type firn.Array of one interpreter.
#include <cstring>
#include <new>
#include <structmember.h>

#include "heap/buffers/loops.hpp"
#include "heap/heap.hpp"

namespace firn::heap::buffers {
namespace {

constexpr const char* kCapsule = "firn.heap.buffers";

// What each interpreter has for itself.
struct InterpreterState {
  PyTypeObject* type = nullptr;
  PyObject* python_half = nullptr;
};

void destroy_state(PyObject* capsule) {
  auto* state = static_cast<InterpreterState*>(PyCapsule_GetPointer(capsule, kCapsule));
  Py_XDECREF(state->type);
  Py_XDECREF(state->python_half);
  delete state;
}

InterpreterState* state() {
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
  if (!dict) {
    PyErr_SetString(PyExc_RuntimeError, "this interpreter is shutting down");
    return nullptr;
  }
  PyObject* capsule = PyDict_GetItemString(dict, kCapsule);
  if (capsule) return static_cast<InterpreterState*>(PyCapsule_GetPointer(capsule, kCapsule));
  auto* made = new InterpreterState;
  Ref owner(PyCapsule_New(made, kCapsule, destroy_state));
  if (!owner) {
    delete made;
    return nullptr;
  }
  return PyDict_SetItemString(dict, kCapsule, owner.get()) == 0 ? made : nullptr;
}

// ---- attributes ----

PyObject* tuple_of(const Py_ssize_t* numbers, int count) {
  Ref tuple(PyTuple_New(count));
  for (int i = 0; tuple && i < count; ++i) {
    PyObject* number = PyLong_FromSsize_t(numbers[i]);
    if (!number) return nullptr;
    PyTuple_SET_ITEM(tuple.get(), i, number);
  }
  return tuple.release();
}

PyObject* get_shape(PyObject* self, void*) {
  return tuple_of(as_array(self)->shape(), as_array(self)->ndim);
}
PyObject* get_strides(PyObject* self, void*) {
  return tuple_of(as_array(self)->strides(), as_array(self)->ndim);
}
PyObject* get_ndim(PyObject* self, void*) { return PyLong_FromLong(as_array(self)->ndim); }
PyObject* get_size(PyObject* self, void*) { return PyLong_FromSsize_t(size_of(as_array(self))); }
PyObject* get_itemsize(PyObject* self, void*) {
  return PyLong_FromLongLong(as_array(self)->dtype.itemsize);
}
PyObject* get_nbytes(PyObject* self, void*) {
  return PyLong_FromLongLong(as_array(self)->dtype.itemsize * size_of(as_array(self)));
}
PyObject* get_base(PyObject* self, void*) {
  PyObject* const base = as_array(self)->base;
  return Py_NewRef(base ? base : Py_None);
}
PyObject* get_data(PyObject* self, void*) { return PyMemoryView_FromObject(self); }

PyObject* get_dtype(PyObject* self, void*) {
  const Array* const array = as_array(self);
  PyObject* half = python_half();
  if (!half) return nullptr;
  const char kind[] = {kind_of(array->dtype), 0}, character[] = {char_of(array->dtype), 0};
  return PyObject_CallMethod(half, "_make_dtype", "ssLssO", name_of(array->dtype).c_str(), kind,
                             static_cast<long long>(array->dtype.itemsize), character,
                             typestr_of(array->dtype).c_str(),
                             array->layout ? array->layout : Py_None);
}

PyObject* get_transposed(PyObject* self, void*) {
  return guarded([&] {
    std::vector<int> axes;
    for (int i = as_array(self)->ndim; i-- > 0;) axes.push_back(i);
    return transposed(as_array(self), axes).release();
  });
}

template <bool imaginary>
PyObject* get_part(PyObject* self, void*) {
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    const Shape shape = shape_of(array);
    if (!is_complex_num(array->dtype.num)) {
      if (!imaginary) return Py_NewRef(self);
      if (!is_numeric(array->dtype.num))
        raise(PyExc_TypeError, "cannot take the imaginary part of " + name_of(array->dtype));
      ArrayRef zeros = new_array(array->dtype, shape);
      std::memset(zeros->data, 0,
                  static_cast<std::size_t>(size_of(zeros.get()) * array->dtype.itemsize));
      return zeros.release();
    }
    DType part = dtype_of(array->dtype.num == Num::complex64 ? Num::float32 : Num::float64);
    part.swapped = array->dtype.swapped;
    PyObject* const base = array->owned ? array->object() : array->base;
    return new_view(base, array->data + (imaginary ? part.itemsize : 0), part, shape,
                    {array->strides(), array->strides() + array->ndim})
        .release();
  });
}

// NumPy's way to read the memory of another library's array.
PyObject* get_interface(PyObject* self, void*) {
  const Array* const array = as_array(self);
  Ref shape(get_shape(self, nullptr)), strides(get_strides(self, nullptr));
  if (!shape || !strides) return nullptr;
  Ref description(Py_BuildValue(
      "{s:O,s:s,s:(KO),s:O,s:i}", "shape", shape.get(), "typestr", typestr_of(array->dtype).c_str(),
      "data", static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(array->data)),
      Py_True, "strides", strides.get(), "version", 3));
  if (!description || !array->layout || !PyTuple_Check(array->layout)) return description.release();
  PyObject* half = python_half();
  Ref fields(half ? PyObject_CallMethod(half, "_descr", "OL", array->layout,
                                        static_cast<long long>(array->dtype.itemsize))
                  : nullptr);
  if (!fields || PyDict_SetItemString(description.get(), "descr", fields.get()) < 0) return nullptr;
  return description.release();
}

// ---- the buffer protocol ----

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  Array* const array = as_array(self);
  view->obj = nullptr;
  if (flags & PyBUF_WRITABLE) {
    PyErr_SetString(PyExc_BufferError, "this array is immutable: its memory cannot be written to");
    return -1;
  }
  std::string format = format_of(array->dtype);
  if (array->layout && PyUnicode_Check(array->layout)) {  // exported as it was
    format = static_cast<const char*>(PyUnicode_DATA(array->layout));
  }
  if (format.empty()) {
    PyErr_Format(PyExc_BufferError,
                 "the buffer protocol has no format for %s: view('int64') gives the numbers",
                 name_of(array->dtype).c_str());
    return -1;
  }
  const bool c = is_contiguous(array), fortran = is_fortran_contiguous(array);
  const auto wants = [flags](int what) { return (flags & what) == what; };
  if ((wants(PyBUF_C_CONTIGUOUS) && !c) || (wants(PyBUF_F_CONTIGUOUS) && !fortran) ||
      (wants(PyBUF_ANY_CONTIGUOUS) && !c && !fortran) || (!wants(PyBUF_STRIDES) && !c)) {
    PyErr_SetString(PyExc_BufferError, "this array is not contiguous: copy() gives one that is");
    return -1;
  }
  view->internal = nullptr;
  if (wants(PyBUF_FORMAT)) {
    view->internal = PyMem_Malloc(format.size() + 1);
    if (!view->internal) {
      PyErr_NoMemory();
      return -1;
    }
    std::memcpy(view->internal, format.c_str(), format.size() + 1);
  }
  view->format = static_cast<char*>(view->internal);
  view->buf = array->data;
  view->obj = Py_NewRef(self);
  view->itemsize = array->dtype.itemsize;
  view->len = size_of(array) * array->dtype.itemsize;
  view->readonly = 1;
  view->ndim = array->ndim;
  view->shape = wants(PyBUF_ND) ? array->shape() : nullptr;
  view->strides = wants(PyBUF_STRIDES) ? array->strides() : nullptr;
  view->suboffsets = nullptr;
  return 0;
}

void release_buffer(PyObject*, Py_buffer* view) { PyMem_Free(view->internal); }

// ---- protocols ----

Py_ssize_t length(PyObject* self) {
  if (as_array(self)->ndim == 0) {
    PyErr_SetString(PyExc_TypeError, "len() of unsized object");
    return -1;
  }
  return as_array(self)->shape()[0];
}

PyObject* item(PyObject* self, Py_ssize_t index) {
  Array* const array = as_array(self);
  if (array->ndim == 0) {
    PyErr_SetString(PyExc_IndexError,
                    "too many indices for array: array is 0-dimensional, but 1 were indexed");
    return nullptr;
  }
  if (index < 0 || index >= array->shape()[0]) {
    PyErr_Format(PyExc_IndexError, "index %zd is out of bounds for axis 0 with size %zd", index,
                 array->shape()[0]);
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    char* const at = array->data + index * array->strides()[0];
    if (array->ndim == 1) return to_python(array, at);
    return view_of(array, at, {array->shape() + 1, array->shape() + array->ndim},
                   {array->strides() + 1, array->strides() + array->ndim})
        .release();
  });
}

PyObject* get_item(PyObject* self, PyObject* key) { return subscript(as_array(self), key); }

PyObject* iterate(PyObject* self) {
  if (as_array(self)->ndim == 0) {
    PyErr_SetString(PyExc_TypeError, "iteration over a 0-d array");
    return nullptr;
  }
  return PySeqIter_New(self);
}

int contains_value(PyObject* self, PyObject* value) {
  Ref equal(compare(self, value, Py_EQ));
  if (!equal) return -1;
  if (!is_array(equal.get())) return PyObject_IsTrue(equal.get());
  Ref any(PyObject_CallMethod(equal.get(), "any", nullptr));
  return any ? PyObject_IsTrue(any.get()) : -1;
}

int refuse_item(PyObject* self, PyObject*, PyObject*) {
  refuse_array_write(self);
  return -1;
}

int refuse_attribute(PyObject* self, PyObject* name, PyObject* value) {
  PyObject* const descriptor = _PyType_Lookup(Py_TYPE(self), name);
  if (!descriptor) return PyObject_GenericSetAttr(self, name, value);
  refuse_array_write(self);
  return -1;
}

// As NumPy's, arrays have no hash. A memoryview hashes its bytes if what it reads has one,
// whichever.
Py_hash_t hash(PyObject* self) {
  if (as_array(self)->hashable) return Py_HashPointer(self);
  PyErr_SetString(PyExc_TypeError, "unhashable type: 'firn.Array'");
  return -1;
}

PyObject* text(PyObject* self) {
  PyObject* half = python_half();
  return half ? PyObject_CallMethod(half, "_text", "O", self) : nullptr;
}
PyObject* represent(PyObject* self) {
  PyObject* half = python_half();
  return half ? PyObject_CallMethod(half, "_repr", "O", self) : nullptr;
}

PyObject* make(PyTypeObject*, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"object", "dtype", nullptr};
  PyObject *object = nullptr, *wanted = Py_None;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:Array", const_cast<char**>(names),
                                   &object, &wanted)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    if (wanted == Py_None) return array_from(object, nullptr).release();
    const DType dtype = parse_dtype(wanted);
    return array_from(object, &dtype).release();
  });
}

PyObject* size_in_memory(PyObject* self, PyObject*) {
  const Array* const array = as_array(self);
  const auto own = static_cast<Py_ssize_t>(
      sizeof(Array) + sizeof(Py_ssize_t) * 2 * static_cast<std::size_t>(array->ndim));
  return PyLong_FromSsize_t(own + (array->owned ? size_of(array) * array->dtype.itemsize : 0));
}

PyMethodDef type_methods[] = {
    {"__sizeof__", size_in_memory, METH_NOARGS, nullptr},
    {},
};

PyGetSetDef members[] = {
    {"shape", get_shape, nullptr, "The length of each axis.", nullptr},
    {"strides", get_strides, nullptr, "The bytes from one element to the next along each axis.",
     nullptr},
    {"ndim", get_ndim, nullptr, "The number of axes.", nullptr},
    {"size", get_size, nullptr, "The number of elements.", nullptr},
    {"itemsize", get_itemsize, nullptr, "The bytes of an element.", nullptr},
    {"nbytes", get_nbytes, nullptr, "The bytes of all elements.", nullptr},
    {"dtype", get_dtype, nullptr, "What the elements are; compares equal to numpy's names for it.",
     nullptr},
    {"T", get_transposed, nullptr, "The axes reversed: a view.", nullptr},
    {"real", get_part<false>, nullptr, "The real part: a view.", nullptr},
    {"imag", get_part<true>, nullptr, "The imaginary part: a view of complex numbers.", nullptr},
    {"base", get_base, nullptr, "What keeps the memory, or None.", nullptr},
    {"data", get_data, nullptr, "A memoryview of the memory.", nullptr},
    {"__array_interface__", get_interface, nullptr, nullptr, nullptr},
    {},
};

PyTypeObject* make_type() {
  // One list of methods out of those of several files; the type keeps it for ever.
  static const auto methods = [] {
    std::vector<PyMethodDef> all;
    for (const PyMethodDef* list :
         {element_methods, order_methods, reduction_methods, shape_methods, type_methods}) {
      for (; list->ml_name; ++list) all.push_back(*list);
    }
    all.push_back({});
    return all;
  }();
  static PyMemberDef weak_list[] = {
      {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Array, weak_references), Py_READONLY, nullptr},
      {}};
  const auto address = [](auto* function) { return reinterpret_cast<void*>(function); };
  std::vector<PyType_Slot> slots{
      {Py_tp_doc,
       const_cast<char*>(
           "Array(object, dtype=None)\n--\n\n"
           "An immutable n-dimensional array: what a frozen numpy.ndarray is in a worker.\n\n"
           "Reads and calculates as numpy.ndarray does; `import firn.arrays as np` has the "
           "functions. "
           "Elements are Python's own numbers.\nWhatever would change it raises TypeError; results "
           "of "
           "arithmetic are new arrays.")},
      {Py_tp_dealloc, address(destroy_array)},
      {Py_tp_new, address(make)},
      {Py_tp_repr, address(represent)},
      {Py_tp_str, address(text)},
      {Py_tp_hash, address(hash)},
      {Py_tp_iter, address(iterate)},
      {Py_tp_richcompare, address(compare)},
      {Py_tp_setattro, address(refuse_attribute)},
      {Py_tp_methods, const_cast<PyMethodDef*>(methods.data())},
      {Py_tp_getset, members},
      {Py_tp_members, weak_list},
      {Py_sq_length, address(length)},
      {Py_sq_item, address(item)},
      {Py_sq_contains, address(contains_value)},
      {Py_mp_length, address(length)},
      {Py_mp_subscript, address(get_item)},
      {Py_mp_ass_subscript, address(refuse_item)},
      {Py_bf_getbuffer, address(get_buffer)},
      {Py_bf_releasebuffer, address(release_buffer)},
  };
  const PyNumberMethods& n = number_slots;
  const auto add = [&](int slot, auto* function) { slots.push_back({slot, address(function)}); };
  add(Py_nb_add, n.nb_add);
  add(Py_nb_subtract, n.nb_subtract);
  add(Py_nb_multiply, n.nb_multiply);
  add(Py_nb_remainder, n.nb_remainder);
  add(Py_nb_divmod, n.nb_divmod);
  add(Py_nb_power, n.nb_power);
  add(Py_nb_negative, n.nb_negative);
  add(Py_nb_positive, n.nb_positive);
  add(Py_nb_absolute, n.nb_absolute);
  add(Py_nb_bool, n.nb_bool);
  add(Py_nb_invert, n.nb_invert);
  add(Py_nb_lshift, n.nb_lshift);
  add(Py_nb_rshift, n.nb_rshift);
  add(Py_nb_and, n.nb_and);
  add(Py_nb_xor, n.nb_xor);
  add(Py_nb_or, n.nb_or);
  add(Py_nb_int, n.nb_int);
  add(Py_nb_float, n.nb_float);
  add(Py_nb_index, n.nb_index);
  add(Py_nb_floor_divide, n.nb_floor_divide);
  add(Py_nb_true_divide, n.nb_true_divide);
  add(Py_nb_matrix_multiply, n.nb_matrix_multiply);
  add(Py_nb_inplace_add, n.nb_inplace_add);
  add(Py_nb_inplace_subtract, n.nb_inplace_subtract);
  add(Py_nb_inplace_multiply, n.nb_inplace_multiply);
  add(Py_nb_inplace_remainder, n.nb_inplace_remainder);
  add(Py_nb_inplace_power, n.nb_inplace_power);
  add(Py_nb_inplace_lshift, n.nb_inplace_lshift);
  add(Py_nb_inplace_rshift, n.nb_inplace_rshift);
  add(Py_nb_inplace_and, n.nb_inplace_and);
  add(Py_nb_inplace_xor, n.nb_inplace_xor);
  add(Py_nb_inplace_or, n.nb_inplace_or);
  add(Py_nb_inplace_floor_divide, n.nb_inplace_floor_divide);
  add(Py_nb_inplace_true_divide, n.nb_inplace_true_divide);
  add(Py_nb_inplace_matrix_multiply, n.nb_inplace_matrix_multiply);
  slots.push_back({0, nullptr});
  PyType_Spec specification{"firn.Array", static_cast<int>(offsetof(Array, extents)),
                            sizeof(Py_ssize_t), Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                            slots.data()};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&specification));
}

}  // namespace

PyTypeObject* array_type() {
  InterpreterState* const own = state();
  if (own && !own->type) own->type = make_type();
  return own ? own->type : nullptr;
}

PyObject* python_half() {
  InterpreterState* const own = state();
  if (own && !own->python_half) own->python_half = PyImport_ImportModule("firn.array_half");
  return own ? own->python_half : nullptr;
}

PyObject* refuse_array_write(PyObject* self) {
  if (contains(as_array(self)->data)) return refuse_write_to(as_array(self)->data, "array");
  PyErr_SetString(PyExc_TypeError,
                  "this array is immutable: calculate a new one, or change a list (x.tolist()).");
  return nullptr;
}

}  // namespace firn::heap::buffers
