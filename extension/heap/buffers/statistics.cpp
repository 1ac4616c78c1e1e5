// The methods that reduce: sum, mean, min ..., with numpy's arguments.
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "heap/buffers/operators.hpp"
#include "heap/buffers/reductions.hpp"

namespace firn::heap::buffers {
namespace {

struct Arguments {
  PyObject* axis = Py_None;
  PyObject* dtype = Py_None;
  PyObject* out = Py_None;
  int keepdims = 0;
  double ddof = 0;
};

std::vector<int> parse_axes(PyObject* axis, int ndim) {
  std::vector<int> axes;
  if (axis == Py_None) {
    for (int i = 0; i < ndim; ++i) axes.push_back(i);
    return axes;
  }
  for (const Py_ssize_t given : parse_shape(axis, "axis")) {
    const int parsed = parse_axis(given, ndim);
    if (std::find(axes.begin(), axes.end(), parsed) != axes.end()) {
      raise(PyExc_ValueError, "duplicate value in 'axis'");
    }
    axes.push_back(parsed);
  }
  return axes;
}

void refuse_out(PyObject* out) {
  if (out != Py_None)
    raise(PyExc_TypeError, "arrays are immutable: there is nothing to write to with out=");
}

// Takes the axes of length 1 away that a reduction has left.
ArrayRef finished(ArrayRef result, const std::vector<int>& axes, bool keepdims) {
  if (keepdims) return result;
  Shape shape, strides;
  for (int i = 0; i < result->ndim; ++i) {
    if (std::find(axes.begin(), axes.end(), i) != axes.end()) continue;
    shape.push_back(result->shape()[i]);
    strides.push_back(result->strides()[i]);
  }
  return view_of(result.get(), result->data, shape, strides);
}

Num parse_num(PyObject* dtype) {
  if (dtype == Py_None) return Num::other;
  const Num num = parse_dtype(dtype).num;
  if (!is_numeric(num)) raise(PyExc_TypeError, "the dtype of a sum is that of a number");
  return num;
}

// A reduction of what was parsed: calculate(array, axes) leaves the axes with the length 1.
template <typename F>
PyObject* over_axes(PyObject* self, const Arguments& given, F&& calculate) {
  return guarded([&]() -> PyObject* {
    refuse_out(given.out);
    Array* const array = as_array(self);
    const std::vector<int> axes = parse_axes(given.axis, array->ndim);
    return item_or_array(finished(calculate(array, axes), axes, given.keepdims));
  });
}

template <Reduction reduction>
PyObject* totals(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"axis", "dtype", "out", "keepdims", nullptr};
  Arguments given;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OOOp", const_cast<char**>(names),
                                   &given.axis, &given.dtype, &given.out, &given.keepdims)) {
    return nullptr;
  }
  return over_axes(self, given, [&](Array* array, const std::vector<int>& axes) {
    return reduce(array, reduction, axes, parse_num(given.dtype));
  });
}

template <Reduction reduction>
PyObject* extremes(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"axis", "out", "keepdims", nullptr};
  Arguments given;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OOp", const_cast<char**>(names),
                                   &given.axis, &given.out, &given.keepdims)) {
    return nullptr;
  }
  return over_axes(self, given, [](Array* array, const std::vector<int>& axes) {
    return reduce(array, reduction, axes, Num::other);
  });
}

template <Reduction reduction>
PyObject* places(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"axis", "out", "keepdims", nullptr};
  Arguments given;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OO$p", const_cast<char**>(names),
                                   &given.axis, &given.out, &given.keepdims)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    refuse_out(given.out);
    Array* const array = as_array(self);
    if (given.axis == Py_None) {
      ArrayRef flat = reshaped(array, {size_of(array)});
      ArrayRef place = reduce(flat.get(), reduction, {0}, Num::other);
      const Shape shape(given.keepdims ? static_cast<std::size_t>(array->ndim) : 0, 1);
      return item_or_array(reshaped(place.get(), shape));
    }
    const Py_ssize_t axis = PyNumber_AsSsize_t(given.axis, PyExc_ValueError);
    if (axis == -1 && PyErr_Occurred()) throw Raised{};
    const std::vector<int> axes{parse_axis(axis, array->ndim)};
    return item_or_array(
        finished(reduce(array, reduction, axes, Num::other), axes, given.keepdims));
  });
}

Py_ssize_t count_of(const Array* array, const std::vector<int>& axes) {
  Py_ssize_t count = 1;
  for (const int axis : axes) count *= array->shape()[axis];
  return count;
}

// In float where the elements are whole or halves, as NumPy calculates means.
ArrayRef mean_of(Array* array, const std::vector<int>& axes, Num wanted) {
  Num num = wanted;
  if (wanted == Num::other) {
    num = array->dtype.num <= Num::uint64    ? Num::float64
          : array->dtype.num == Num::float16 ? Num::float32
                                             : array->dtype.num;
  }
  ArrayRef total = reduce(array, Reduction::sum, axes, num);
  Ref count(check(PyLong_FromSsize_t(count_of(array, axes))));
  return apply(Binary::divide, total.get()->object(), count.get());
}

ArrayRef with_half(ArrayRef result, const Array* array, Num wanted) {
  if (array->dtype.num != Num::float16 || wanted != Num::other) return result;
  return converted(result.get(), dtype_of(Num::float16));
}

PyObject* mean(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"axis", "dtype", "out", "keepdims", nullptr};
  Arguments given;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OOOp", const_cast<char**>(names),
                                   &given.axis, &given.dtype, &given.out, &given.keepdims)) {
    return nullptr;
  }
  return over_axes(self, given, [&](Array* array, const std::vector<int>& axes) {
    const Num wanted = parse_num(given.dtype);
    return with_half(mean_of(array, axes, wanted), array, wanted);
  });
}

template <bool root>
PyObject* variance(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"axis", "dtype", "out", "ddof", "keepdims", "correction", nullptr};
  Arguments given;
  PyObject* correction = nullptr;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OOOdp$O", const_cast<char**>(names),
                                   &given.axis, &given.dtype, &given.out, &given.ddof,
                                   &given.keepdims, &correction)) {
    return nullptr;
  }
  return over_axes(self, given, [&](Array* array, const std::vector<int>& axes) {
    if (correction) {
      given.ddof = PyFloat_AsDouble(correction);
      if (given.ddof == -1 && PyErr_Occurred()) throw Raised{};
    }
    const Num wanted = parse_num(given.dtype);
    ArrayRef center = mean_of(array, axes, wanted);
    ArrayRef distance = apply(Binary::subtract, self, center.get()->object());
    const Num part = distance->dtype.num == Num::complex64    ? Num::float32
                     : distance->dtype.num == Num::complex128 ? Num::float64
                                                              : distance->dtype.num;
    ArrayRef squares;
    if (is_complex_num(distance->dtype.num)) {
      ArrayRef length = apply(Unary::absolute, distance.get());
      squares = apply(Unary::square, length.get());
    } else {
      squares = apply(Unary::square, distance.get());
    }
    ArrayRef total = reduce(squares.get(), Reduction::sum, axes, part);
    const double left = static_cast<double>(count_of(array, axes)) - given.ddof;
    Ref divisor(check(PyFloat_FromDouble(std::max(left, 0.0))));
    ArrayRef result = apply(Binary::divide, total.get()->object(), divisor.get());
    if (root) result = apply(Unary::sqrt, result.get());
    return with_half(std::move(result), array, wanted);
  });
}

// Sums or products of all elements up to each.
template <bool product>
PyObject* cumulate(PyObject* self, PyObject* arguments, PyObject* keywords) {
  static const char* names[] = {"axis", "dtype", "out", nullptr};
  Arguments given;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OOO", const_cast<char**>(names),
                                   &given.axis, &given.dtype, &given.out)) {
    return nullptr;
  }
  return guarded([&]() -> PyObject* {
    refuse_out(given.out);
    ArrayRef array = share(as_array(self));
    int axis = 0;
    if (given.axis == Py_None) {
      array = reshaped(array.get(), {size_of(array.get())});
    } else {
      const Py_ssize_t number = PyNumber_AsSsize_t(given.axis, PyExc_ValueError);
      if (number == -1 && PyErr_Occurred()) throw Raised{};
      axis = parse_axis(number, array->ndim);
    }
    if (!is_numeric(array->dtype.num)) {
      raise(PyExc_TypeError,
            "a cumulative sum is not supported for dtype " + name_of(array->dtype));
    }
    Num num = parse_num(given.dtype);
    if (num == Num::other) {
      num = array->dtype.num == Num::boolean || is_signed(array->dtype.num) ? Num::int64
            : is_unsigned(array->dtype.num)                                 ? Num::uint64
                                                                            : array->dtype.num;
    }
    // A new array in C order, in which each element is then joined with the one before it.
    ArrayRef flat = new_array(dtype_of(num), shape_of(array.get()));
    ArrayRef copy = converted(array.get(), dtype_of(num));
    copy = compact(copy.get());
    Py_ssize_t inner = 1, outer = 1;
    for (int i = axis + 1; i < copy->ndim; ++i) inner *= copy->shape()[i];
    for (int i = 0; i < axis; ++i) outer *= copy->shape()[i];
    const Py_ssize_t length = copy->shape()[axis];
    with_type(num, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* from = reinterpret_cast<const T*>(copy->data);
      T* to = reinterpret_cast<T*>(flat->data);
      for (Py_ssize_t o = 0; o < outer; ++o) {
        for (Py_ssize_t k = 0; k < length; ++k) {
          for (Py_ssize_t i = 0; i < inner; ++i, ++from, ++to) {
            if (k == 0) {
              *to = *from;
            } else if constexpr (std::is_integral_v<T>) {
              const auto a = static_cast<std::uint64_t>(to[-inner]),
                         b = static_cast<std::uint64_t>(*from);
              *to = static_cast<T>(product ? a * b : a + b);
            } else if constexpr (is_boolean<T>) {
              *to = Boolean(product ? to[-inner].value && from->value
                                    : to[-inner].value || from->value);
            } else {
              *to = product ? T(to[-inner] * *from) : T(to[-inner] + *from);
            }
          }
        }
      }
    });
    return flat.release();
  });
}

}  // namespace

PyMethodDef reduction_methods[] = {
    {"sum", faces::method(totals<Reduction::sum>), METH_VARARGS | METH_KEYWORDS,
     "sum(axis=None, dtype=None, *, keepdims=False): integers in 64 bits, floats pairwise."},
    {"prod", faces::method(totals<Reduction::product>), METH_VARARGS | METH_KEYWORDS,
     "prod(axis=None, dtype=None, *, keepdims=False)"},
    {"min", faces::method(extremes<Reduction::minimum>), METH_VARARGS | METH_KEYWORDS,
     "min(axis=None, *, keepdims=False): NaN if there is one."},
    {"max", faces::method(extremes<Reduction::maximum>), METH_VARARGS | METH_KEYWORDS,
     "max(axis=None, *, keepdims=False): NaN if there is one."},
    {"any", faces::method(extremes<Reduction::any>), METH_VARARGS | METH_KEYWORDS,
     "any(axis=None, *, keepdims=False)"},
    {"all", faces::method(extremes<Reduction::all>), METH_VARARGS | METH_KEYWORDS,
     "all(axis=None, *, keepdims=False)"},
    {"argmin", faces::method(places<Reduction::argmin>), METH_VARARGS | METH_KEYWORDS,
     "argmin(axis=None, *, keepdims=False): where the first least element is."},
    {"argmax", faces::method(places<Reduction::argmax>), METH_VARARGS | METH_KEYWORDS,
     "argmax(axis=None, *, keepdims=False): where the first greatest element is."},
    {"mean", faces::method(mean), METH_VARARGS | METH_KEYWORDS,
     "mean(axis=None, dtype=None, *, keepdims=False)"},
    {"var", faces::method(variance<false>), METH_VARARGS | METH_KEYWORDS,
     "var(axis=None, dtype=None, *, ddof=0, keepdims=False)"},
    {"std", faces::method(variance<true>), METH_VARARGS | METH_KEYWORDS,
     "std(axis=None, dtype=None, *, ddof=0, keepdims=False)"},
    {"cumsum", faces::method(cumulate<false>), METH_VARARGS | METH_KEYWORDS,
     "cumsum(axis=None, dtype=None)"},
    {"cumprod", faces::method(cumulate<true>), METH_VARARGS | METH_KEYWORDS,
     "cumprod(axis=None, dtype=None)"},
    {},
};

}  // namespace firn::heap::buffers
