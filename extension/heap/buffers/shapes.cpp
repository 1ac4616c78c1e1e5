// The same elements in another shape: views where that is possible.
#include <numeric>
#include <algorithm>
#include <cstring>

#include "heap/buffers/loops.hpp"

namespace firn::heap::buffers {
namespace {

// The strides with which the elements can be read in a new shape without a copy; false when they
// cannot.
bool strides_for(const Array* array, const Shape& shape, bool fortran, Shape* strides) {
  Shape old_shape, old_strides;
  for (int i = 0; i < array->ndim; ++i) {
    if (array->shape()[i] == 1) continue;
    old_shape.push_back(array->shape()[i]);
    old_strides.push_back(array->strides()[i]);
  }
  strides->assign(shape.size(), 0);
  std::size_t oi = 0, ni = 0, oj = 1, nj = 1;
  while (ni < shape.size() && oi < old_shape.size()) {
    Py_ssize_t np = shape[ni], op = old_shape[oi];
    while (np != op) {
      if (np < op) {
        np *= shape[nj++];
      } else {
        op *= old_shape[oj++];
      }
    }
    for (std::size_t k = oi; k + 1 < oj; ++k) {
      const bool joins = fortran ? old_strides[k + 1] == old_shape[k] * old_strides[k]
                                 : old_strides[k] == old_shape[k + 1] * old_strides[k + 1];
      if (!joins) return false;
    }
    if (fortran) {
      (*strides)[ni] = old_strides[oi];
      for (std::size_t k = ni + 1; k < nj; ++k) (*strides)[k] = (*strides)[k - 1] * shape[k - 1];
    } else {
      (*strides)[nj - 1] = old_strides[oj - 1];
      for (std::size_t k = nj - 1; k > ni; --k) (*strides)[k - 1] = (*strides)[k] * shape[k];
    }
    ni = nj++;
    oi = oj++;
  }
  const Py_ssize_t last = ni ? (*strides)[ni - 1] : array->dtype.itemsize;
  for (std::size_t k = ni; k < shape.size(); ++k) (*strides)[k] = last;
  return true;
}

bool parse_order(PyObject* keywords, const char** order) {
  *order = "C";
  if (!keywords) return true;
  PyObject* const given = PyDict_GetItemString(keywords, "order");
  if (PyDict_GET_SIZE(keywords) > (given ? 1 : 0)) {
    PyErr_SetString(PyExc_TypeError, "the only keyword argument is 'order'");
    return false;
  }
  if (!given) return true;
  *order = PyUnicode_Check(given) ? PyUnicode_AsUTF8(given) : nullptr;
  if (!*order || !std::strchr("CFAK", **order) || std::strlen(*order) != 1) {
    if (!PyErr_Occurred())
      PyErr_SetString(PyExc_ValueError, "order must be one of 'C', 'F', 'A', or 'K'");
    return false;
  }
  return true;
}

// reshape(2, 3) as well as reshape((2, 3)).
Shape shape_argument(PyObject* arguments, const char* what) {
  if (PyTuple_GET_SIZE(arguments) == 1) return parse_shape(PyTuple_GET_ITEM(arguments, 0), what);
  return parse_shape(arguments, what);
}

bool is_fortran(const char* order, const Array* array) {
  return *order == 'F' || ((*order == 'A' || *order == 'K') && is_fortran_contiguous(array) &&
                           !is_contiguous(array));
}

PyObject* reshape(PyObject* self, PyObject* arguments, PyObject* keywords) {
  return guarded([&]() -> PyObject* {
    const char* order = nullptr;
    if (!parse_order(keywords, &order)) throw Raised{};
    if (PyTuple_GET_SIZE(arguments) == 0) raise(PyExc_TypeError, "reshape() takes the new shape");
    return reshaped(as_array(self), shape_argument(arguments, "reshape()"),
                    is_fortran(order, as_array(self)))
        .release();
  });
}

PyObject* ravel(PyObject* self, PyObject* arguments, PyObject* keywords) {
  const auto flat = [self](const char* order) {
    ArrayRef made =
        reshaped(as_array(self), {size_of(as_array(self))}, is_fortran(order, as_array(self)));
    if (!is_contiguous(made.get())) made = converted(made.get(), made->dtype);
    return made.release();
  };
  return guarded([&]() -> PyObject* {
    const char* order = nullptr;
    if (PyTuple_GET_SIZE(arguments) == 1) {
      Ref words(check(Py_BuildValue("{s:O}", "order", PyTuple_GET_ITEM(arguments, 0))));
      if (!parse_order(words.get(), &order)) throw Raised{};
      return flat(order);
    }
    if (!parse_order(keywords, &order)) throw Raised{};
    return flat(order);
  });
}

PyObject* flatten(PyObject* self, PyObject* arguments, PyObject* keywords) {
  Ref flat(ravel(self, arguments, keywords));
  if (!flat) return nullptr;
  return guarded([&] {
    DType native = as_array(flat.get())->dtype;
    return converted(as_array(flat.get()), native).release();
  });
}

PyObject* transpose(PyObject* self, PyObject* arguments) {
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    std::vector<int> axes;
    const bool none =
        PyTuple_GET_SIZE(arguments) == 0 ||
        (PyTuple_GET_SIZE(arguments) == 1 && PyTuple_GET_ITEM(arguments, 0) == Py_None);
    if (none) {
      for (int i = array->ndim; i-- > 0;) axes.push_back(i);
    } else {
      for (const Py_ssize_t axis : shape_argument(arguments, "transpose()"))
        axes.push_back(parse_axis(axis, array->ndim));
    }
    return transposed(array, axes).release();
  });
}

PyObject* swapaxes(PyObject* self, PyObject* arguments) {
  Py_ssize_t first = 0, second = 0;
  if (!PyArg_ParseTuple(arguments, "nn", &first, &second)) return nullptr;
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    std::vector<int> axes(static_cast<std::size_t>(array->ndim));
    std::iota(axes.begin(), axes.end(), 0);
    std::swap(axes[static_cast<std::size_t>(parse_axis(first, array->ndim))],
              axes[static_cast<std::size_t>(parse_axis(second, array->ndim))]);
    return transposed(array, axes).release();
  });
}

PyObject* squeeze(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    std::vector<bool> gone(static_cast<std::size_t>(array->ndim));
    if (count == 0 || arguments[0] == Py_None) {
      for (int i = 0; i < array->ndim; ++i)
        gone[static_cast<std::size_t>(i)] = array->shape()[i] == 1;
    } else {
      for (const Py_ssize_t given : parse_shape(arguments[0], "squeeze()")) {
        const int axis = parse_axis(given, array->ndim);
        if (array->shape()[axis] != 1) {
          raise(PyExc_ValueError,
                "cannot select an axis to squeeze out which has size not equal to one");
        }
        gone[static_cast<std::size_t>(axis)] = true;
      }
    }
    Shape shape, strides;
    for (int i = 0; i < array->ndim; ++i) {
      if (gone[static_cast<std::size_t>(i)]) continue;
      shape.push_back(array->shape()[i]);
      strides.push_back(array->strides()[i]);
    }
    return view_of(array, array->data, shape, strides).release();
  });
}

// The same bytes as elements of another dtype, of the same size unless the last axis is contiguous.
PyObject* view(PyObject* self, PyObject* wanted) {
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    const DType dtype = parse_dtype(wanted);
    Shape shape = shape_of(array), strides(array->strides(), array->strides() + array->ndim);
    const std::int64_t before = array->dtype.itemsize, after = dtype.itemsize;
    if (after == 0) raise(PyExc_TypeError, "view() takes a dtype that has a size");
    if (before != after) {
      if (shape.empty() || strides.back() != before) {
        raise(PyExc_ValueError,
              "To change to a dtype of a different size, the last axis must be contiguous");
      }
      const Py_ssize_t bytes = shape.back() * before;
      if (bytes % after) {
        raise(PyExc_ValueError,
              "When changing to a larger dtype, its size must be a divisor of the total size in "
              "bytes of the last axis of the array.");
      }
      shape.back() = bytes / after;
      strides.back() = after;
    }
    PyObject* const base = array->owned ? array->object() : array->base;
    return new_view(base, array->data, dtype, shape, strides).release();
  });
}

// numpy.broadcast_to: a view whose repeated axes have the stride 0.
PyObject* broadcast_to(PyObject* self, PyObject* wanted) {
  return guarded([&]() -> PyObject* {
    Array* const array = as_array(self);
    const Shape shape = parse_shape(wanted, "broadcast_to()");
    bool fits = shape.size() >= static_cast<std::size_t>(array->ndim);
    for (int i = 0; fits && i < array->ndim; ++i) {
      const Py_ssize_t extent = shape[shape.size() - static_cast<std::size_t>(array->ndim - i)];
      fits = array->shape()[i] == extent || array->shape()[i] == 1;
    }
    if (!fits) {
      raise(PyExc_ValueError, "could not broadcast input array from shape " +
                                  shape_text(array->shape(), array->ndim) + " into shape " +
                                  shape_text(shape.data(), static_cast<int>(shape.size())));
    }
    return view_of(array, array->data, shape, broadcast_strides(array, shape)).release();
  });
}

// numpy.concatenate of arrays that the Python half has looked at: one number of axes, shapes that
// differ along `axis` only.
PyObject* concatenate(PyObject*, PyObject* arguments) {
  PyObject* parts = nullptr;
  int axis = 0;
  if (!PyArg_ParseTuple(arguments, "O!i", &PyList_Type, &parts, &axis)) return nullptr;
  return guarded([&]() -> PyObject* {
    Array* const first = as_array(PyList_GET_ITEM(parts, 0));
    DType dtype = first->dtype;
    Shape shape = shape_of(first);
    for (Py_ssize_t i = 1; i < PyList_GET_SIZE(parts); ++i) {
      Array* const part = as_array(PyList_GET_ITEM(parts, i));
      dtype = promote(dtype, part->dtype);
      shape[static_cast<std::size_t>(axis)] += part->shape()[axis];
    }
    dtype.swapped = false;
    ArrayRef result = new_array(dtype, shape);
    result->layout = Py_XNewRef(first->layout);
    char* at = result->data;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parts); ++i) {
      ArrayRef part = converted(as_array(PyList_GET_ITEM(parts, i)), dtype);
      const Shape extents = shape_of(part.get());
      walk<2>(extents,
              {{at, part->data},
               {Shape(result->strides(), result->strides() + result->ndim),
                broadcast_strides(part.get(), extents)}},
              [&](const auto& to, const auto& strides, Py_ssize_t count) {
                const auto itemsize = static_cast<std::size_t>(dtype.itemsize);
                if (strides[0] == dtype.itemsize && strides[1] == dtype.itemsize) {
                  std::memcpy(to[0], to[1], itemsize * static_cast<std::size_t>(count));
                  return;
                }
                for (Py_ssize_t k = 0; k < count; ++k) {
                  std::memcpy(to[0] + k * strides[0], to[1] + k * strides[1], itemsize);
                }
              });
      at += part->shape()[axis] * result->strides()[axis];
    }
    return result.release();
  });
}

}  // namespace

Shape parse_shape(PyObject* object, const char* what) {
  Shape shape;
  const auto number = [&](PyObject* one) {
    const Py_ssize_t extent = PyNumber_AsSsize_t(one, PyExc_ValueError);
    if (extent == -1 && PyErr_Occurred()) {
      if (PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Format(PyExc_TypeError, "%s takes integers, not '%.200s'", what,
                     Py_TYPE(one)->tp_name);
      }
      throw Raised{};
    }
    shape.push_back(extent);
  };
  if (PyIndex_Check(object) && !is_array(object)) {
    number(object);
    return shape;
  }
  Ref items(check(PySequence_Fast(object, "a shape is an integer or a sequence of integers")));
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
    number(PySequence_Fast_GET_ITEM(items.get(), i));
  }
  return shape;
}

ArrayRef reshaped(Array* array, Shape shape, bool fortran) {
  const Py_ssize_t size = size_of(array);
  Py_ssize_t known = 1;
  std::ptrdiff_t unknown = -1;
  const std::string wanted = shape_text(shape.data(), static_cast<int>(shape.size()));
  const auto raise_size = [&] {
    raise(PyExc_ValueError,
          "cannot reshape array of size " + std::to_string(size) + " into shape " + wanted);
  };
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0) {
      if (unknown >= 0) raise(PyExc_ValueError, "can only specify one unknown dimension");
      if (shape[i] != -1) raise_size();
      unknown = static_cast<std::ptrdiff_t>(i);
    } else if (__builtin_mul_overflow(known, shape[i], &known)) {
      raise_size();
    }
  }
  if (unknown >= 0) {
    if (known == 0 || size % known) raise_size();
    shape[static_cast<std::size_t>(unknown)] = size / known;
  } else if (known != size) {
    raise_size();
  }
  Shape strides;
  if (size == 0) {
    strides.assign(shape.size(), array->dtype.itemsize);
    return view_of(array, array->data, shape, strides);
  }
  if (strides_for(array, shape, fortran, &strides))
    return view_of(array, array->data, shape, strides);
  if (!fortran) {
    ArrayRef copy = new_array(array->dtype, shape_of(array));
    Array* const plain = copy.get();
    plain->layout = Py_XNewRef(array->layout);
    const auto itemsize = static_cast<std::size_t>(array->dtype.itemsize);
    walk<2>(
        shape_of(array),
        {{plain->data, array->data},
         {broadcast_strides(plain, shape_of(array)), broadcast_strides(array, shape_of(array))}},
        [&](const auto& at, const auto& steps, Py_ssize_t count) {
          for (Py_ssize_t i = 0; i < count; ++i)
            std::memcpy(at[0] + i * steps[0], at[1] + i * steps[1], itemsize);
        });
    return reshaped(plain, shape, false);
  }
  // In Fortran's order: the transposed array, in C order, in the reversed shape.
  std::vector<int> axes(static_cast<std::size_t>(array->ndim));
  std::iota(axes.rbegin(), axes.rend(), 0);
  ArrayRef turned = transposed(array, axes);
  ArrayRef flat = reshaped(turned.get(), Shape(shape.rbegin(), shape.rend()), false);
  std::vector<int> back(shape.size());
  std::iota(back.rbegin(), back.rend(), 0);
  return transposed(flat.get(), back);
}

ArrayRef transposed(Array* array, const std::vector<int>& axes) {
  if (axes.size() != static_cast<std::size_t>(array->ndim))
    raise(PyExc_ValueError, "axes don't match array");
  Shape shape, strides;
  std::vector<bool> seen(axes.size());
  for (const int axis : axes) {
    if (seen[static_cast<std::size_t>(axis)]) raise(PyExc_ValueError, "repeated axis in transpose");
    seen[static_cast<std::size_t>(axis)] = true;
    shape.push_back(array->shape()[axis]);
    strides.push_back(array->strides()[axis]);
  }
  return view_of(array, array->data, shape, strides);
}

int parse_axis(Py_ssize_t axis, int ndim) {
  if (axis < -ndim || axis >= ndim) {
    const std::string message = "axis " + std::to_string(axis) +
                                " is out of bounds for array of dimension " + std::to_string(ndim);
    Ref error_class(PyObject_GetAttrString(check(python_half()), "AxisError"));
    raise(error_class ? error_class.get() : PyExc_ValueError, message);
  }
  return static_cast<int>(axis < 0 ? axis + ndim : axis);
}

PyMethodDef shape_methods[] = {
    {"reshape", faces::method(reshape), METH_VARARGS | METH_KEYWORDS,
     "The same elements in another shape: a view where that is possible, else a copy."},
    {"ravel", faces::method(ravel), METH_VARARGS | METH_KEYWORDS, "The elements along one axis."},
    {"flatten", faces::method(flatten), METH_VARARGS | METH_KEYWORDS, "A copy with one axis."},
    {"transpose", transpose, METH_VARARGS, "The axes in another order, or reversed: a view."},
    {"swapaxes", swapaxes, METH_VARARGS, "Two axes exchanged: a view."},
    {"squeeze", faces::method(squeeze), METH_FASTCALL, "Without the axes of length 1: a view."},
    {"view", view, METH_O, "The same bytes as elements of another dtype."},
    {"_concatenate", concatenate, METH_VARARGS | METH_STATIC,
     "What firn.arrays.concatenate() gives."},
    {"_broadcast_to", broadcast_to, METH_O, "What firn.arrays.broadcast_to() gives."},
    {},
};

}  // namespace firn::heap::buffers
