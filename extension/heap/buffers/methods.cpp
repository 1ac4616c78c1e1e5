// The methods about elements: item, tolist, astype ...
#include <numeric>
#include <cmath>
#include <cstring>

#include "heap/buffers/loops.hpp"
#include "heap/buffers/operators.hpp"

namespace firn::heap::buffers {
namespace {

PyObject* tolist(PyObject* self, PyObject*) {
  return guarded([&] { return to_list(as_array(self)); });
}

PyObject* item(PyObject* self, PyObject* arguments) {
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    if (PyTuple_GET_SIZE(arguments) == 0) {
      if (size_of(array) != 1) {
        raise(PyExc_ValueError, "can only convert an array of size 1 to a Python scalar");
      }
      return to_python(array, array->data);
    }
    PyObject* key = arguments;
    if (PyTuple_GET_SIZE(arguments) == 1) key = PyTuple_GET_ITEM(arguments, 0);
    if (PyTuple_Check(key)) {
      if (PyTuple_GET_SIZE(key) != array->ndim)
        raise(PyExc_ValueError, "incorrect number of indices for array");
      return subscript(array, key);
    }
    Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) throw Raised{};
    const Py_ssize_t size = size_of(array);
    if (index < -size || index >= size) {
      raise(PyExc_IndexError, "index " + std::to_string(index) + " is out of bounds for size " +
                                  std::to_string(size));
    }
    if (index < 0) index += size;
    const char* at = array->data;
    for (int i = array->ndim; i-- > 0;) {
      at += index % array->shape()[i] * array->strides()[i];
      index /= array->shape()[i];
    }
    return to_python(array, at);
  });
}

PyObject* tobytes(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"order", nullptr};
  const char* order = "C";
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|z", const_cast<char**>(names), &order))
    return nullptr;
  return guarded([&]() -> PyObject* {
    Array* array = as_array(self);
    ArrayRef turned;
    if (order && (*order == 'F' || (*order == 'A' && is_fortran_contiguous(array)))) {
      std::vector<int> axes(static_cast<std::size_t>(array->ndim));
      std::iota(axes.rbegin(), axes.rend(), 0);
      turned = transposed(array, axes);
      array = turned.get();
    }
    const Py_ssize_t itemsize = array->dtype.itemsize;
    Ref bytes(check(PyBytes_FromStringAndSize(nullptr, size_of(array) * itemsize)));
    Shape shape = shape_of(array), strides(shape.size());
    Py_ssize_t stride = itemsize;
    for (std::size_t i = shape.size(); i-- > 0;) {
      strides[i] = stride;
      stride *= shape[i];
    }
    walk<2>(
        shape,
        {{PyBytes_AS_STRING(bytes.get()), array->data}, {strides, broadcast_strides(array, shape)}},
        [&](const auto& at, const auto& steps, Py_ssize_t count) {
          const auto size = static_cast<std::size_t>(itemsize);
          if (steps[0] == itemsize && steps[1] == itemsize) {
            std::memcpy(at[0], at[1], size * static_cast<std::size_t>(count));
            return;
          }
          for (Py_ssize_t i = 0; i < count; ++i)
            std::memcpy(at[0] + i * steps[0], at[1] + i * steps[1], size);
        });
    return bytes.release();
  });
}

PyObject* astype(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"dtype", "copy", nullptr};
  PyObject* wanted = nullptr;
  int copy = 1;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|$p", const_cast<char**>(names), &wanted,
                                   &copy))
    return nullptr;
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    const DType dtype = parse_dtype(wanted);
    if (!copy && dtype == array->dtype) return Py_NewRef(self);
    const bool as_text = dtype.num == Num::text && is_numeric(array->dtype.num);
    if (as_text || (is_numeric(dtype.num) &&
                    (array->dtype.num == Num::text || array->dtype.num == Num::bytes))) {
      Ref list(check(to_list(array)));
      Ref shape(check(PyObject_GetAttrString(self, "shape")));
      return PyObject_CallMethod(check(python_half()), "_convert_elements", "OOO", list.get(),
                                 wanted, shape.get());
    }
    return converted(array, dtype).release();
  });
}

PyObject* copy(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"order", nullptr};
  const char* order = "C";
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|z", const_cast<char**>(names), &order))
    return nullptr;
  return guarded([&] { return converted(as_array(self), as_array(self)->dtype).release(); });
}

PyObject* itself(PyObject* self, PyObject*) { return Py_NewRef(self); }

// ---- values ----

PyObject* clip(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"min", "max", nullptr};
  PyObject *least = Py_None, *most = Py_None;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OO", const_cast<char**>(names), &least,
                                   &most))
    return nullptr;
  return guarded([&]() -> PyObject* {
    ArrayRef result = share(as_array(self));
    if (least != Py_None) result = apply(Binary::maximum, result.get()->object(), least);
    if (most != Py_None) result = apply(Binary::minimum, result.get()->object(), most);
    return item_or_array(std::move(result));
  });
}

PyObject* round(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"decimals", nullptr};
  int decimals = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|i", const_cast<char**>(names), &decimals))
    return nullptr;
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    const bool whole = is_integer(array->dtype.num);
    if (whole && decimals >= 0) return item_or_array(share(array));
    if (decimals == 0) return item_or_array(apply(Unary::rint, array));
    Ref factor(check(PyFloat_FromDouble(std::pow(10.0, std::abs(decimals)))));
    const Binary there = decimals > 0 ? Binary::multiply : Binary::divide;
    const Binary back = decimals > 0 ? Binary::divide : Binary::multiply;
    ArrayRef scaled = apply(there, self, factor.get());
    scaled = apply(Unary::rint, scaled.get());
    scaled = apply(back, scaled.get()->object(), factor.get());
    if (whole) scaled = converted(scaled.get(), array->dtype);
    return item_or_array(std::move(scaled));
  });
}

PyObject* nonzero(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    if (array->ndim == 0) raise(PyExc_ValueError, "nonzero() needs an axis: use reshape(1) first");
    const int ndim = array->ndim;
    ArrayRef mask =
        is_numeric(array->dtype.num) ? converted(array, dtype_of(Num::boolean)) : ArrayRef();
    if (!mask)
      raise(PyExc_TypeError, "nonzero() is not supported for dtype " + name_of(array->dtype));
    mask = compact(mask.get());
    const Py_ssize_t size = size_of(mask.get());
    const Py_ssize_t count = size - std::count(mask->data, mask->data + size, 0);
    std::vector<ArrayRef> places;
    for (int i = 0; i < ndim; ++i) places.push_back(new_array(dtype_of(Num::int64), {count}));
    Py_ssize_t found = 0;
    for (Py_ssize_t at = 0; at < size; ++at) {
      if (!mask->data[at]) continue;
      Py_ssize_t rest = at;
      for (int i = ndim; i-- > 0;) {
        reinterpret_cast<std::int64_t*>(places[static_cast<std::size_t>(i)]->data)[found] =
            rest % mask->shape()[i];
        rest /= mask->shape()[i];
      }
      ++found;
    }
    Ref tuple(check(PyTuple_New(ndim)));
    for (int i = 0; i < ndim; ++i)
      PyTuple_SET_ITEM(tuple.get(), i, places[static_cast<std::size_t>(i)].release());
    return tuple.release();
  });
}

PyObject* conjugate(PyObject* self, PyObject*) {
  return guarded([&] { return item_or_array(apply(Unary::conjugate, as_array(self))); });
}

PyObject* dot(PyObject* self, PyObject* other) { return dot_product(self, other); }

// numpy's way: by the Python half.
PyObject* reduce_ex(PyObject* self, PyObject* protocol) {
  return guarded(
      [&] { return PyObject_CallMethod(check(python_half()), "_reduce", "OO", self, protocol); });
}

PyObject* format(PyObject* self, PyObject* specification) {
  return guarded([&]() -> PyObject* {
    if (as_array(self)->ndim == 0) {
      Ref element(check(to_python(as_array(self), as_array(self)->data)));
      return PyObject_Format(element.get(), specification);
    }
    if (PyUnicode_GET_LENGTH(specification)) {
      raise(PyExc_TypeError, "unsupported format string passed to firn.Array.__format__");
    }
    return PyObject_Str(self);
  });
}

PyObject* complex_number(PyObject* self, PyObject*) {
  return guarded([&]() -> PyObject* {
    if (as_array(self)->ndim)
      raise(PyExc_TypeError, "only 0-dimensional arrays can be converted to Python scalars");
    Ref element(check(to_python(as_array(self), as_array(self)->data)));
    return PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyComplex_Type), element.get());
  });
}

}  // namespace

PyMethodDef element_methods[] = {
    {"tolist", tolist, METH_NOARGS, "Nested lists of Python's own numbers, strings, dates."},
    {"item", item, METH_VARARGS, "One element as a Python object: item(), item(5), item(1, 2)."},
    {"tobytes", faces::method(tobytes), METH_VARARGS | METH_KEYWORDS,
     "The elements' bytes, in C order."},
    {"astype", faces::method(astype), METH_VARARGS | METH_KEYWORDS, "A copy with another dtype."},
    {"copy", faces::method(copy), METH_VARARGS | METH_KEYWORDS, "The same in memory of its own."},
    {"clip", faces::method(clip), METH_VARARGS | METH_KEYWORDS, "clip(min=None, max=None)"},
    {"round", faces::method(round), METH_VARARGS | METH_KEYWORDS,
     "round(decimals=0), halves to the even one"},
    {"__round__", faces::method(round), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"nonzero", nonzero, METH_NOARGS,
     "Where elements are not zero: an array of places for each axis."},
    {"conj", conjugate, METH_NOARGS, "The conjugate complex numbers."},
    {"conjugate", conjugate, METH_NOARGS, "The conjugate complex numbers."},
    {"dot", dot, METH_O, "The product of vectors or matrices."},
    {"__copy__", itself, METH_NOARGS, nullptr},
    {"__deepcopy__", itself, METH_O, nullptr},
    {"__reduce_ex__", reduce_ex, METH_O, nullptr},
    {"__format__", format, METH_O, nullptr},
    {"__complex__", complex_number, METH_NOARGS, nullptr},
    {},
};

}  // namespace firn::heap::buffers
