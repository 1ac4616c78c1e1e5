// What an interpreter makes of a frozen buffer: a read-only numpy array where numpy is loaded, else
// a firn.Array; a memoryview; what reads as a bytearray or array.array.
#include <cstring>

#include "heap/arena.hpp"
#include "heap/buffers/array.hpp"
#include "heap/buffers/frozen.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap::buffers {
namespace {

FrozenBuffer* as_buffer(PyObject* object) { return reinterpret_cast<FrozenBuffer*>(object); }

// The inner tuple, its elements as this interpreter's own objects; Py_None when there is none.
Ref read_inner(const FrozenBuffer* frozen) {
  if (!frozen->inner) return faces::borrowed(Py_None);
  Ref tuple(read(frozen->inner));
  if (!tuple) throw Raised{};
  Ref resolved(check(PyTuple_New(PyTuple_GET_SIZE(tuple.get()))));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple.get()); ++i) {
    PyTuple_SET_ITEM(resolved.get(), i, check(read(PyTuple_GET_ITEM(tuple.get(), i))));
  }
  return resolved;
}

ArrayRef view_of_block(const FrozenBuffer* frozen, PyObject* inner) {
  DType dtype;
  const bool numpys = frozen->origin != Origin::byte_array &&
                      frozen->origin != Origin::typed_array &&
                      frozen->origin != Origin::memory_view;
  if (!numpys || !parse_typestr(frozen->typestr, &dtype) || dtype.itemsize != frozen->itemsize) {
    parse_format(frozen->format, frozen->itemsize, &dtype);
  }
  const auto ndim = static_cast<std::size_t>(frozen->ndim);
  const Shape shape(frozen->extents, frozen->extents + ndim);
  const Shape strides(frozen->extents + ndim, frozen->extents + 2 * ndim);
  Ref layout;
  if (inner != Py_None) {  // (pickle of the dtype, fields)
    PyObject* const fields = PyTuple_GET_ITEM(inner, 1);
    if (fields != Py_None) layout = faces::borrowed(fields);
  } else if (!numpys) {  // exported as it was
    layout = Ref(check(PyUnicode_FromString(frozen->format)));
  }
  ArrayRef array = new_view(nullptr, frozen->data, dtype, shape, strides, layout.get());
  array->hashable =
      frozen->origin == Origin::memory_view && !std::strcmp(frozen->typestr, "hashable");
  return array;
}

PyObject* call(const char* function, const FrozenBuffer* frozen) {
  Ref inner = read_inner(frozen);
  ArrayRef array;
  if (frozen->origin != Origin::objects) array = view_of_block(frozen, inner.get());
  Ref shape(check(PyTuple_New(frozen->ndim)));
  for (Py_ssize_t i = 0; i < frozen->ndim; ++i) {
    PyTuple_SET_ITEM(shape.get(), i, check(PyLong_FromSsize_t(frozen->extents[i])));
  }
  Ref half(check(PyImport_ImportModuleAttrString("firn.buffers", function)));
  return PyObject_CallFunction(half.get(), "iOOsO", static_cast<int>(frozen->origin),
                               array ? array.get()->object() : Py_None, shape.get(),
                               frozen->typestr, inner.get());
}

PyObject* materialise(PyObject* twin) {
  return guarded([&] { return call("materialise", as_buffer(twin)); });
}

}  // namespace

bool keeps_form(PyObject* twin, PyObject* object) {
  const FrozenBuffer* const frozen = as_buffer(twin);
  if (frozen->kind != FaceKind::buffer || frozen->origin != Origin::ndarray || is_array(object)) {
    return true;
  }
  Py_buffer view;
  if (PyObject_GetBuffer(object, &view, PyBUF_STRIDED_RO) < 0) {
    PyErr_Clear();
    return true;
  }
  const auto axes = static_cast<std::size_t>(frozen->ndim);
  const std::size_t bytes = axes * sizeof(Py_ssize_t);
  bool same = view.ndim == frozen->ndim && view.itemsize == frozen->itemsize &&
              !std::memcmp(view.shape, frozen->extents, bytes);
  // Strides of axes with at most one element say nothing.
  for (std::size_t i = 0; same && view.len && i < axes; ++i) {
    same = view.shape[i] == 1 || view.strides[i] == frozen->extents[axes + i];
  }
  PyBuffer_Release(&view);
  Ref dtype(same ? PyObject_GetAttrString(object, "dtype") : nullptr);
  Ref name(dtype ? PyObject_GetAttrString(dtype.get(), "str") : nullptr);
  if (same && !name) PyErr_Clear();
  return same && name && !PyUnicode_CompareWithASCIIString(name.get(), frozen->typestr);
}

void init_buffers() { set_materialise(FaceKind::buffer, materialise); }

PyObject* thaw_buffer(PyObject* frozen) {
  return guarded([&] { return call("thaw", as_buffer(frozen)); });
}

PyObject* thaw_view(PyObject* object) {
  Ref function(PyImport_ImportModuleAttrString("firn.buffers", "thaw_view"));
  return function ? PyObject_CallOneArg(function.get(), object) : nullptr;
}

const void* memory_in_heap(PyObject* object) {
  const void* at = nullptr;
  if (is_array(object)) {
    at = as_array(object)->data;
  } else if (PyObject_CheckBuffer(object) && !PyBytes_Check(object) && !PyByteArray_Check(object)) {
    Ref function(PyImport_ImportModuleAttrString("firn.buffers", "memory_of"));
    Ref address(function ? PyObject_CallOneArg(function.get(), object) : nullptr);
    if (address) at = PyLong_AsVoidPtr(address.get());
    if (PyErr_Occurred()) PyErr_Clear();
  }
  return at && in_lasting(at) ? at : nullptr;
}

}  // namespace firn::heap::buffers
