// Making arrays.
#include "heap/buffers/array.hpp"

#include <cstdlib>
#include <cstring>
#include <numeric>
#include <new>

#include "heap/buffers/loops.hpp"

namespace firn::heap::buffers {
namespace {

constexpr std::size_t kAlignment = 64;

Array* allocate(const DType& dtype, const Shape& shape) {
  const int ndim = static_cast<int>(shape.size());
  if (ndim > kMostDimensions) {
    raise(PyExc_ValueError,
          "an array has at most 64 dimensions, this one would have " + std::to_string(ndim));
  }
  PyTypeObject* type = array_type();
  if (!type) throw Raised{};
  Array* array = PyObject_NewVar(Array, type, 2 * ndim);
  if (!array) throw Raised{};
  array->data = nullptr;
  array->base = nullptr;
  array->owned = nullptr;
  array->hashable = false;
  array->layout = nullptr;
  array->weak_references = nullptr;
  new (&array->dtype) DType(dtype);
  array->ndim = ndim;
  for (int i = 0; i < ndim; ++i) array->shape()[i] = shape[static_cast<std::size_t>(i)];
  return array;
}

// Gives a new array memory; its strides are set.
void allocate_memory(Array* array) {
  Py_ssize_t bytes = array->dtype.itemsize;
  for (int i = 0; i < array->ndim; ++i) {
    if (array->shape()[i] && __builtin_mul_overflow(bytes, array->shape()[i], &bytes)) {
      raise(PyExc_ValueError, "an array of shape " + shape_text(array->shape(), array->ndim) +
                                  " and dtype " + name_of(array->dtype) +
                                  " is larger than any memory");
    }
  }
  if (size_of(array) == 0) bytes = 0;
  const std::size_t rounded =
      (static_cast<std::size_t>(bytes) + kAlignment) / kAlignment * kAlignment;
  array->owned = static_cast<char*>(std::aligned_alloc(kAlignment, rounded));
  if (!array->owned) throw std::bad_alloc();
  array->data = array->owned;
}

}  // namespace

void destroy_array(PyObject* self) {
  Array* array = as_array(self);
  if (array->weak_references) PyObject_ClearWeakRefs(self);
  std::free(array->owned);
  Py_XDECREF(array->base);
  Py_XDECREF(array->layout);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_Free(self);
  Py_DECREF(type);
}

Shape shape_of(const Array* array) { return {array->shape(), array->shape() + array->ndim}; }

std::string shape_text(const Py_ssize_t* shape, int ndim) {
  std::string text = "(";
  for (int i = 0; i < ndim; ++i) text += (i ? "," : "") + std::to_string(shape[i]);
  return text + (ndim == 1 ? ",)" : ")");
}

ArrayRef new_array(const DType& dtype, const Shape& shape) {
  ArrayRef array(allocate(dtype, shape));
  Py_ssize_t stride = dtype.itemsize;
  for (int i = array->ndim; i-- > 0;) {
    array->strides()[i] = stride;
    if (array->shape()[i] && __builtin_mul_overflow(stride, array->shape()[i], &stride)) {
      stride = 0;  // allocate_memory() refuses it
    }
  }
  allocate_memory(array.get());
  return array;
}

ArrayRef new_array_like(const DType& dtype, const Shape& shape, const Array* like) {
  if (!like || is_contiguous(like) || shape != shape_of(like)) return new_array(dtype, shape);
  ArrayRef array(allocate(dtype, shape));
  std::vector<int> order(shape.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return std::abs(like->strides()[a]) > std::abs(like->strides()[b]);
  });
  Py_ssize_t stride = dtype.itemsize;
  for (std::size_t i = order.size(); i-- > 0;) {
    array->strides()[order[i]] = stride;
    const Py_ssize_t extent = array->shape()[order[i]];
    if (extent && __builtin_mul_overflow(stride, extent, &stride)) stride = 0;
  }
  allocate_memory(array.get());
  return array;
}

ArrayRef new_view(PyObject* base, char* data, const DType& dtype, const Shape& shape,
                  const Shape& strides, PyObject* layout) {
  ArrayRef array(allocate(dtype, shape));
  std::copy(strides.begin(), strides.end(), array->strides());
  array->data = data;
  array->base = Py_XNewRef(base);
  array->layout = Py_XNewRef(layout);
  return array;
}

ArrayRef view_of(Array* array, char* data, const Shape& shape, const Shape& strides) {
  PyObject* base = array->owned ? array->object() : array->base;
  return new_view(base, data, array->dtype, shape, strides, array->layout);
}

bool is_contiguous(const Array* array) {
  Py_ssize_t stride = array->dtype.itemsize;
  for (int i = array->ndim; i-- > 0;) {
    if (array->shape()[i] == 0) return true;
  }
  for (int i = array->ndim; i-- > 0;) {
    if (array->shape()[i] != 1 && array->strides()[i] != stride) return false;
    stride *= array->shape()[i];
  }
  return true;
}

bool is_fortran_contiguous(const Array* array) {
  Py_ssize_t stride = array->dtype.itemsize;
  for (int i = 0; i < array->ndim; ++i) {
    if (array->shape()[i] == 0) return true;
  }
  for (int i = 0; i < array->ndim; ++i) {
    if (array->shape()[i] != 1 && array->strides()[i] != stride) return false;
    stride *= array->shape()[i];
  }
  return true;
}

}  // namespace firn::heap::buffers
