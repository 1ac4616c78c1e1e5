// Arrays of what Python code has: buffers, numbers, nested sequences.
#include <cstring>

#include "heap/buffers/loops.hpp"

namespace firn::heap::buffers {
namespace {

// ---- nested sequences ----

// What a nested sequence holds: its shape, and the dtype that fits all its elements.
class Discovery {
 public:
  void visit(PyObject* object, std::size_t depth) {
    if (is_array(object)) return visit_array(as_array(object), depth);
    if (!is_sequence(object)) return visit_element(object, depth);
    Ref items(check(PySequence_Fast(object, "an array is made of sequences")));
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(items.get());
    see_extent(count, depth);
    if (depth + 1 > static_cast<std::size_t>(kMostDimensions)) {
      raise(PyExc_ValueError, "sequences nested more than 64 deep: is it its own element?");
    }
    for (Py_ssize_t i = 0; i < count; ++i) {
      PyObject* const item = PySequence_Fast_GET_ITEM(items.get(), i);
      visit(item, depth + 1);
    }
    if (count == 0) leaf_seen_at(depth + 1);
  }

  static bool is_sequence(PyObject* object) {
    if (PyUnicode_Check(object) || PyBytes_Check(object)) return false;
    return PyList_Check(object) || PyTuple_Check(object) ||
           Py_IS_TYPE(object, frozen_list_type()) ||
           (PySequence_Check(object) && !PyDict_Check(object) &&
            !Py_IS_TYPE(object, frozen_dict_type()) && !PyAnySet_Check(object));
  }

  Shape shape;
  DType dtype = dtype_of(Num::float64);
  bool any = false;

 private:
  void visit_array(Array* array, std::size_t depth) {
    for (int i = 0; i < array->ndim; ++i) {
      see_extent(array->shape()[i], depth + static_cast<std::size_t>(i));
    }
    leaf_seen_at(depth + static_cast<std::size_t>(array->ndim));
    see_dtype(array->dtype);
  }

  void visit_element(PyObject* object, std::size_t depth) {
    leaf_seen_at(depth);
    if (PyBool_Check(object)) return see_dtype(dtype_of(Num::boolean));
    if (PyFloat_Check(object)) return see_dtype(dtype_of(Num::float64));
    if (PyComplex_Check(object)) return see_dtype(dtype_of(Num::complex128));
    if (PyUnicode_Check(object)) {
      return see_dtype({Num::text, false, kGenericUnit, 1, PyUnicode_GET_LENGTH(object) * 4});
    }
    if (PyBytes_Check(object)) {
      return see_dtype({Num::bytes, false, kGenericUnit, 1, PyBytes_GET_SIZE(object)});
    }
    if (PyIndex_Check(object)) {
      Ref index(check(PyNumber_Index(object)));
      int overflow = 0;
      const long long number = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
      if (number == -1 && PyErr_Occurred()) throw Raised{};
      if (overflow == 0) return see_dtype(dtype_of(Num::int64));
      if (overflow > 0) {
        PyLong_AsUnsignedLongLong(index.get());
        if (!PyErr_Occurred()) return see_dtype(dtype_of(Num::uint64));
        PyErr_Clear();
      }
      raise(PyExc_OverflowError, "an integer that has more than 64 bits fits into no array");
    }
    if (PyNumber_Check(object)) return see_dtype(dtype_of(Num::float64));
    raise(PyExc_TypeError, std::string("an array holds numbers, strings or bytes, not '") +
                               Py_TYPE(object)->tp_name + "'");
  }

  void see_extent(Py_ssize_t count, std::size_t depth) {
    if (leaves_at_ >= 0 && static_cast<std::size_t>(leaves_at_) <= depth) raise_ragged();
    if (depth == shape.size()) {
      shape.push_back(count);
    } else if (shape[depth] != count) {
      raise_ragged();
    }
  }

  void leaf_seen_at(std::size_t depth) {
    if (depth < shape.size()) raise_ragged();
    leaves_at_ = static_cast<Py_ssize_t>(depth);
  }

  void see_dtype(const DType& seen) {
    dtype = any ? promote(dtype, seen) : seen;
    dtype.swapped = false;
    any = true;
  }

  [[noreturn]] void raise_ragged() {
    raise(PyExc_ValueError,
          "an array needs sequences of one length: the requested array has an inhomogeneous shape "
          "after " +
              std::to_string(shape.size()) + " dimensions");
  }

  Py_ssize_t leaves_at_ = -1;
};

// Converting an element may run code of the user's, which may change the sequences: nothing is
// written beyond the shape that was found.
char* fill(PyObject* object, const DType& dtype, char* at, const Shape& shape, std::size_t depth) {
  const auto changed = [] {
    raise(PyExc_RuntimeError, "the sequence changed while an array was made of it");
  };
  if (is_array(object)) {
    Array* const array = as_array(object);
    if (shape_of(array) != Shape(shape.begin() + static_cast<Py_ssize_t>(depth), shape.end()))
      changed();
    ArrayRef part = converted(array, dtype);
    part = compact(part.get());
    const auto bytes = static_cast<std::size_t>(size_of(part.get()) * dtype.itemsize);
    if (bytes) std::memcpy(at, part->data, bytes);
    return at + bytes;
  }
  if (depth == shape.size()) {
    set_element(dtype, at, object);
    return at + dtype.itemsize;
  }
  Ref items(check(PySequence_Fast(object, "an array is made of sequences")));
  for (Py_ssize_t i = 0; i < shape[depth]; ++i) {
    if (PySequence_Fast_GET_SIZE(items.get()) != shape[depth]) changed();
    Ref item = faces::borrowed(PySequence_Fast_GET_ITEM(items.get(), i));
    at = fill(item.get(), dtype, at, shape, depth + 1);
  }
  return at;
}

ArrayRef array_from_sequence(PyObject* object, const DType* wanted) {
  Discovery discovery;
  discovery.visit(object, 0);
  DType dtype = discovery.dtype;
  if (wanted) {
    const bool sized = wanted->num == Num::text || wanted->num == Num::bytes;
    const std::int64_t itemsize = dtype.itemsize;
    const bool fits = sized && dtype.num == wanted->num;
    dtype = *wanted;
    if (sized && !dtype.itemsize)
      dtype.itemsize = fits ? itemsize : dtype.num == Num::text ? 128 : 32;
  }
  const DType result_dtype = dtype;
  dtype.swapped = false;
  ArrayRef result = new_array(dtype, discovery.shape);
  fill(object, dtype, result->data, discovery.shape, 0);
  if (result_dtype.swapped) return converted(result.get(), result_dtype);
  return result;
}

}  // namespace

ArrayRef array_from_buffer(PyObject* exporter) {
  Ref memory(check(PyMemoryView_FromObject(exporter)));
  const Py_buffer* buffer = PyMemoryView_GET_BUFFER(memory.get());
  if (buffer->suboffsets) {
    for (int i = 0; i < buffer->ndim; ++i) {
      if (buffer->suboffsets[i] >= 0) {
        raise(PyExc_BufferError, "an array cannot read a buffer of pointers (suboffsets)");
      }
    }
  }
  DType dtype;
  parse_format(buffer->format ? buffer->format : "B", buffer->itemsize, &dtype);
  const Shape shape(buffer->shape, buffer->shape + buffer->ndim);
  Shape strides(buffer->strides, buffer->strides + buffer->ndim);
  return new_view(memory.get(), static_cast<char*>(buffer->buf), dtype, shape, strides);
}

ArrayRef array_from(PyObject* object, const DType* dtype) {
  ArrayRef array;
  if (is_array(object)) {
    array = share(as_array(object));
  } else if (PyObject_CheckBuffer(object) && !PyBytes_Check(object)) {
    array = array_from_buffer(object);
  } else {
    return array_from_sequence(object, dtype);
  }
  const bool unsized = dtype && dtype->itemsize == 0 && dtype->num == array->dtype.num;
  if (!dtype || unsized || array->dtype == *dtype) return array;
  return converted(array.get(), *dtype);
}

}  // namespace firn::heap::buffers
