// Elements in order: sort and argsort.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "heap/buffers/numbers.hpp"

namespace firn::heap::buffers {
namespace {

template <typename T>
bool comes_before(const T& a, const T& b) {  // NaN comes last
  if constexpr (is_complex<T>) {
    const bool only_b = std::isnan(b.imag()) && !std::isnan(a.imag());
    if (a.real() < b.real()) return !std::isnan(a.imag()) || std::isnan(b.imag());
    if (a.real() > b.real()) return only_b;
    if (a.real() == b.real() || (std::isnan(a.real()) && std::isnan(b.real()))) {
      return a.imag() < b.imag() || only_b;
    }
    return std::isnan(b.real());
  } else if constexpr (is_half<T>) {
    return a < b || (Eigen::numext::isnan(b) && !Eigen::numext::isnan(a));
  } else if constexpr (std::is_floating_point_v<T>) {
    return a < b || (std::isnan(b) && !std::isnan(a));
  } else {
    return a < b;
  }
}

// A copy whose last axis is the one to be sorted, in C order; and the axes to turn it back with.
ArrayRef lanes(Array* array, PyObject* axis, std::vector<int>* back) {
  ArrayRef source = share(array);
  int sorted = 0;
  if (axis == Py_None) {
    source = reshaped(array, {size_of(array)});
  } else {
    const Py_ssize_t number = PyNumber_AsSsize_t(axis, PyExc_ValueError);
    if (number == -1 && PyErr_Occurred()) throw Raised{};
    sorted = parse_axis(number, array->ndim);
  }
  std::vector<int> axes(static_cast<std::size_t>(source->ndim));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[static_cast<std::size_t>(sorted)], axes.back());
  *back = axes;
  ArrayRef turned = transposed(source.get(), axes);
  DType native = turned->dtype;
  native.swapped = false;
  ArrayRef copied = converted(turned.get(), native);
  return compact(copied.get());
}

struct AxisArgument {
  PyObject* axis;
  bool parse(PyObject* arguments, PyObject* keywords) {
    static const char* names[] = {"axis", "kind", "order", "stable", nullptr};
    PyObject *kind = nullptr, *order = nullptr, *stable = nullptr;
    axis = nullptr;
    return PyArg_ParseTupleAndKeywords(arguments, keywords, "|OOO$O", const_cast<char**>(names),
                                       &axis, &kind, &order, &stable);
  }
};

template <typename F>
void with_sortable(const Array* array, F&& f) {
  if (is_numeric(array->dtype.num)) {
    with_type(array->dtype.num, [&](auto tag) { f(tag); });
  } else if (is_time(array->dtype.num)) {
    f(Tag<std::int64_t>{});
  } else {
    raise(PyExc_TypeError, "firn.Array sorts numbers only, not " + name_of(array->dtype) +
                               ": sorted(x.tolist()) does it");
  }
}

// Not-a-time comes last, as NaN does.
template <typename T>
bool is_before(const T& a, const T& b, bool times) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    constexpr std::int64_t not_a_time = std::numeric_limits<std::int64_t>::min();
    if (times && (a == not_a_time || b == not_a_time)) return a != not_a_time;
  }
  return comes_before(a, b);
}

// The sorted elements, or their places.
template <bool places>
PyObject* in_order(PyObject* self, PyObject* arguments, PyObject* keywords) {
  AxisArgument given;
  if (!given.parse(arguments, keywords)) return nullptr;
  return guarded([&]() -> PyObject* {
    Ref last(check(PyLong_FromLong(-1)));
    std::vector<int> back;
    ArrayRef copy = lanes(as_array(self), given.axis ? given.axis : last.get(), &back);
    const Py_ssize_t length = copy->shape()[copy->ndim - 1], size = size_of(copy.get());
    const bool times = is_time(copy->dtype.num);
    ArrayRef result =
        places ? new_array(dtype_of(Num::int64), shape_of(copy.get())) : share(copy.get());
    with_sortable(copy.get(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (Py_ssize_t i = 0; i < size; i += length) {
        T* const values = reinterpret_cast<T*>(copy->data) + i;
        if constexpr (places) {
          auto* const first = reinterpret_cast<std::int64_t*>(result->data) + i;
          std::iota(first, first + length, 0);
          std::stable_sort(first, first + length, [values, times](std::int64_t a, std::int64_t b) {
            return is_before(values[a], values[b], times);
          });
        } else {
          std::sort(values, values + length,
                    [times](const T& a, const T& b) { return is_before(a, b, times); });
        }
      }
    });
    return transposed(result.get(), back).release();
  });
}

}  // namespace

PyMethodDef order_methods[] = {
    {"sort", faces::method(in_order<false>), METH_VARARGS | METH_KEYWORDS,
     "A sorted copy, along the last axis unless another is given (numpy's sort() works in place)."},
    {"argsort", faces::method(in_order<true>), METH_VARARGS | METH_KEYWORDS,
     "The places of the elements in sorted order."},
    {},
};

}  // namespace firn::heap::buffers
