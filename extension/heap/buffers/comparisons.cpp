// Comparisons of what are no numbers.
#include <cstring>
#include <limits>

#include "heap/buffers/operands.hpp"

namespace firn::heap::buffers {
namespace {

// Whatever comes after it counts for nothing: text and bytes end with zeros.
int compare_text(const Array* left, const char* a, const Array* right, const char* b) {
  Ref x(check(to_python(left, a))), y(check(to_python(right, b)));
  const int less = PyObject_RichCompareBool(x.get(), y.get(), Py_LT);
  if (less) {
    if (less < 0) throw Raised{};
    return -1;
  }
  const int equal = PyObject_RichCompareBool(x.get(), y.get(), Py_EQ);
  if (equal < 0) throw Raised{};
  return equal ? 0 : 1;
}

}  // namespace

bool holds(Binary operation, int order) {
  switch (operation) {
    case Binary::equal:
      return order == 0;
    case Binary::not_equal:
      return order != 0;
    case Binary::less:
      return order < 0;
    case Binary::less_equal:
      return order <= 0;
    case Binary::greater:
      return order > 0;
    default:
      return order >= 0;
  }
}

ArrayRef compare_others(Binary operation, const ArrayRef& left, const ArrayRef& right) {
  const Shape shape = broadcast_shapes({left.get(), right.get()});
  ArrayRef result = new_array(dtype_of(Num::boolean), shape);
  const DType& a = left->dtype;
  const DType& b = right->dtype;
  const bool texts = a.num == b.num && (a.num == Num::text || a.num == Num::bytes);
  const bool bytes = a.num == b.num && a.num == Num::other && a.itemsize == b.itemsize;
  const bool times = a.num == b.num && is_time(a.num);
  if (times && (a.unit != b.unit || a.unit_count != b.unit_count) && a.unit != kGenericUnit &&
      b.unit != kGenericUnit) {
    raise(PyExc_TypeError, "firn.Array does not compare " + name_of(a) + " with " + name_of(b) +
                               ": bring them to one unit in the notebook");
  }
  const bool equality = operation == Binary::equal || operation == Binary::not_equal;
  if (!texts && !times && !(bytes && equality)) {
    if (!equality) raise_unsupported(name_of(operation), a, &b);
    std::memset(result->data, operation == Binary::not_equal,
                static_cast<std::size_t>(size_of(result.get())));
    return result;
  }
  constexpr std::int64_t not_a_time = std::numeric_limits<std::int64_t>::min();
  walk<3>(shape, operands_of(result, left, right, shape),
          [&](const auto& at, const auto& strides, Py_ssize_t count) {
            for (Py_ssize_t i = 0; i < count; ++i) {
              const char* const x = at[1] + i * strides[1];
              const char* const y = at[2] + i * strides[2];
              bool answer = false;
              if (times) {
                std::int64_t m = 0, n = 0;
                cast_run(a, x, 0, Num::int64, reinterpret_cast<char*>(&m), 1);
                cast_run(b, y, 0, Num::int64, reinterpret_cast<char*>(&n), 1);
                answer = m == not_a_time || n == not_a_time ? operation == Binary::not_equal
                                                            : holds(operation, (m > n) - (m < n));
              } else if (bytes) {
                const int order = std::memcmp(x, y, static_cast<std::size_t>(a.itemsize));
                answer = holds(operation, order != 0);
              } else {
                answer = holds(operation, compare_text(left.get(), x, right.get(), y));
              }
              at[0][i * strides[0]] = static_cast<char>(answer);
            }
          });
  return result;
}

}  // namespace firn::heap::buffers
