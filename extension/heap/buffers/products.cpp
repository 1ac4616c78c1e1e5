// Products of vectors and matrices, through Eigen's blocked multiplication.
#include <Eigen/Core>

#include "heap/buffers/loops.hpp"
#include "heap/buffers/operators.hpp"

namespace firn::heap::buffers {
namespace {

template <typename T>
using Matrix = Eigen::Map<Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <typename T>
using Strided = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>,
                           Eigen::Unaligned, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;

struct Factor {
  const char* data;
  Py_ssize_t rows, columns;
  Py_ssize_t row_stride, column_stride;  // in bytes
};

template <typename T>
void multiply(const Factor& a, const Factor& b, char* out) {
  const auto map = [](const Factor& factor) {
    constexpr auto size = static_cast<Py_ssize_t>(sizeof(T));
    using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
    return Strided<T>(reinterpret_cast<const T*>(factor.data), factor.rows, factor.columns,
                      Strides(factor.row_stride / size, factor.column_stride / size));
  };
  Matrix<T> result(reinterpret_cast<T*>(out), a.rows, b.columns);
  if (a.columns == 0) {
    result.setZero();
  } else {
    result.noalias() = map(a) * map(b);
  }
}

// Without Eigen: what wraps around or has no arithmetic of its own.
template <typename T, typename Sum, typename Add>
void multiply_plainly(const Factor& a, const Factor& b, char* out, Add add) {
  T* to = reinterpret_cast<T*>(out);
  for (Py_ssize_t i = 0; i < a.rows; ++i) {
    for (Py_ssize_t j = 0; j < b.columns; ++j) {
      Sum sum{};
      for (Py_ssize_t k = 0; k < a.columns; ++k) {
        const T& x = *reinterpret_cast<const T*>(a.data + i * a.row_stride + k * a.column_stride);
        const T& y = *reinterpret_cast<const T*>(b.data + k * b.row_stride + j * b.column_stride);
        sum = add(sum, x, y);
      }
      *to++ = static_cast<T>(sum);
    }
  }
}

void multiply_numbers(Num num, const Factor& a, const Factor& b, char* out) {
  with_type(num, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (is_boolean<T>) {
      multiply_plainly<T, Boolean>(a, b, out, [](Boolean sum, Boolean x, Boolean y) {
        return Boolean(sum.value || (x.value && y.value));
      });
    } else if constexpr (is_half<T>) {
      multiply_plainly<T, float>(a, b, out, [](float sum, T x, T y) {
        return sum + static_cast<float>(x) * static_cast<float>(y);
      });
    } else if constexpr (std::is_integral_v<T>) {
      using Wide = std::uint64_t;
      multiply_plainly<T, Wide>(a, b, out, [](Wide sum, T x, T y) {
        return sum + static_cast<Wide>(x) * static_cast<Wide>(y);
      });
    } else {
      multiply<T>(a, b, out);
    }
  });
}

// As it is when Eigen can read it, else a copy.
ArrayRef readable(Array* array, Num num) {
  const std::int64_t itemsize = dtype_of(num).itemsize;
  bool good = array->dtype.num == num && !array->dtype.swapped && is_aligned(array->data, itemsize);
  for (int i = 0; i < array->ndim && good; ++i) {
    good = array->strides()[i] > 0 && array->strides()[i] % itemsize == 0;
  }
  if (good) return share(array);
  ArrayRef result = converted(array, dtype_of(num));
  return compact(result.get());
}

[[noreturn]] void raise_mismatch(const char* what, const Array* a, const Array* b, Py_ssize_t m,
                                 Py_ssize_t n) {
  raise(PyExc_ValueError, std::string(what) + ": shapes " + shape_text(a->shape(), a->ndim) +
                              " and " + shape_text(b->shape(), b->ndim) +
                              " not aligned: " + std::to_string(m) + " != " + std::to_string(n));
}

ArrayRef product(Array* left, Array* right, const char* what) {
  if (!is_numeric(left->dtype.num) || !is_numeric(right->dtype.num)) {
    raise(PyExc_TypeError, std::string("'") + what + "' is not supported for dtypes " +
                               name_of(left->dtype) + " and " + name_of(right->dtype));
  }
  if (left->ndim == 0 || right->ndim == 0) {
    raise(PyExc_ValueError,
          std::string(what) + ": a 0-dimensional operand has no rows or columns (use `*`)");
  }
  const Num num = promote(left->dtype.num, right->dtype.num);
  const ArrayRef a = readable(left, num), b = readable(right, num);
  const bool row = a->ndim == 1, column = b->ndim == 1;
  const auto factor = [](const ArrayRef& array, bool vector, bool is_left) -> Factor {
    const int n = array->ndim;
    if (vector && is_left)
      return {nullptr, 1, array->shape()[0], array->dtype.itemsize, array->strides()[0]};
    if (vector) return {nullptr, array->shape()[0], 1, array->strides()[0], array->dtype.itemsize};
    return {nullptr, array->shape()[n - 2], array->shape()[n - 1], array->strides()[n - 2],
            array->strides()[n - 1]};
  };
  Factor x = factor(a, row, true), y = factor(b, column, false);
  if (x.columns != y.rows) raise_mismatch(what, left, right, x.columns, y.rows);
  // The axes in front are those of stacks of matrices, broadcast together.
  const auto stack = [](const ArrayRef& array, bool vector) {
    Shape shape = shape_of(array.get()), strides(array->strides(), array->strides() + array->ndim);
    const std::size_t kept = vector ? 0 : shape.size() - 2;
    shape.resize(kept);
    strides.resize(kept);
    return new_view(array.get()->object(), array->data, array->dtype, shape, strides);
  };
  const ArrayRef a_stack = stack(a, row), b_stack = stack(b, column);
  const Shape outer = broadcast_shapes({a_stack.get(), b_stack.get()});
  Shape shape = outer;
  if (!row) shape.push_back(x.rows);
  if (!column) shape.push_back(y.columns);
  ArrayRef result = new_array(dtype_of(num), shape);
  Shape result_strides(result->strides(), result->strides() + outer.size());
  walk<3>(outer,
          {{result->data, a->data, b->data},
           {result_strides, broadcast_strides(a_stack.get(), outer),
            broadcast_strides(b_stack.get(), outer)}},
          [&](const auto& at, const auto& strides, Py_ssize_t count) {
            for (Py_ssize_t i = 0; i < count; ++i) {
              x.data = at[1] + i * strides[1];
              y.data = at[2] + i * strides[2];
              if (x.rows && y.columns) multiply_numbers(num, x, y, at[0] + i * strides[0]);
            }
          });
  return result;
}

bool can_multiply(PyObject* object) {
  if (is_array(object)) return true;
  PyObject* theirs = nullptr;
  if (PyObject_GetOptionalAttrString(reinterpret_cast<PyObject*>(Py_TYPE(object)),
                                     "__array_ufunc__", &theirs) < 0) {
    throw Raised{};
  }
  Py_XDECREF(theirs);
  return !theirs && !PyNumber_Check(object) &&
         (PySequence_Check(object) || PyObject_CheckBuffer(object));
}

}  // namespace

PyObject* matrix_product(PyObject* left, PyObject* right) {
  return guarded([&]() -> PyObject* {
    if (!can_multiply(left) || !can_multiply(right)) Py_RETURN_NOTIMPLEMENTED;
    const ArrayRef a = array_from(left, nullptr), b = array_from(right, nullptr);
    return item_or_array(product(a.get(), b.get(), "matmul"));
  });
}

PyObject* dot_product(PyObject* left, PyObject* right) {
  return guarded([&]() -> PyObject* {
    const ArrayRef a = array_from(left, nullptr), b = array_from(right, nullptr);
    if (a->ndim == 0 || b->ndim == 0) {
      return item_or_array(apply(Binary::multiply, a.get()->object(), b.get()->object()));
    }
    if (b->ndim > 2) {
      raise(
          PyExc_ValueError,
          "dot: the second operand has at most 2 dimensions here: use `@` for stacks of matrices");
    }
    return item_or_array(product(a.get(), b.get(), "dot"));
  });
}

}  // namespace firn::heap::buffers
