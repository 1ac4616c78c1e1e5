// From one kind of number to another.
#include <Eigen/Core>
#include <cstring>

#include "heap/buffers/loops.hpp"

namespace firn::heap::buffers {
namespace {

template <typename T>
T load(const char* at) {
  T value;
  std::memcpy(static_cast<void*>(&value), at, sizeof(T));
  return value;
}

template <typename To, typename From>
To as_number(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (is_boolean<From>) {
    return as_number<To>(static_cast<int>(value.value != 0));
  } else if constexpr (is_half<From>) {
    return as_number<To>(static_cast<float>(value));
  } else if constexpr (is_boolean<To>) {
    if constexpr (is_complex<From>) {
      return Boolean(value.real() != 0 || value.imag() != 0);
    } else {
      return Boolean(value);
    }
  } else if constexpr (is_complex<From>) {
    if constexpr (is_complex<To>) {
      using Part = typename To::value_type;
      return To(static_cast<Part>(value.real()), static_cast<Part>(value.imag()));
    } else {
      return as_number<To>(value.real());
    }
  } else if constexpr (is_complex<To>) {
    return To(static_cast<typename To::value_type>(value), 0);
  } else if constexpr (is_half<To>) {
    return Half(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

template <typename From, typename To>
void cast_typed(const char* source, Py_ssize_t stride, char* target, Py_ssize_t count) {
  To* const to = reinterpret_cast<To*>(target);
  if (stride == static_cast<Py_ssize_t>(sizeof(From))) {
    for (Py_ssize_t i = 0; i < count; ++i) {
      to[i] = as_number<To>(load<From>(source + i * static_cast<Py_ssize_t>(sizeof(From))));
    }
  } else if (stride == 0) {
    std::fill(to, to + count, as_number<To>(load<From>(source)));
  } else {
    for (Py_ssize_t i = 0; i < count; ++i) to[i] = as_number<To>(load<From>(source + i * stride));
  }
}

// Turns the bytes of each part of an element around; a complex number has two parts.
void swap_bytes(const char* source, Py_ssize_t stride, char* target, std::int64_t itemsize,
                std::int64_t part, Py_ssize_t count) {
  for (Py_ssize_t i = 0; i < count; ++i) {
    for (std::int64_t p = 0; p < itemsize; p += part) {
      std::reverse_copy(source + i * stride + p, source + i * stride + p + part,
                        target + i * itemsize + p);
    }
  }
}

std::int64_t part_of(const DType& dtype) {
  if (is_complex_num(dtype.num)) return dtype.itemsize / 2;
  if (dtype.num == Num::text) return 4;
  return dtype.itemsize;
}

// Text and bytes: the length may differ.
void copy_padded(const DType& from, const char* source, const DType& to, char* target) {
  const auto kept = static_cast<std::size_t>(std::min(from.itemsize, to.itemsize));
  if (from.swapped) {
    swap_bytes(source, 0, target, static_cast<std::int64_t>(kept), part_of(from), 1);
  } else {
    std::memcpy(target, source, kept);
  }
  std::memset(target + kept, 0, static_cast<std::size_t>(to.itemsize) - kept);
}

}  // namespace

void cast_run(const DType& from, const char* source, Py_ssize_t stride, Num to, char* target,
              Py_ssize_t count) {
  alignas(64) char swapped[kBlock * 16];
  if (from.swapped) {
    const Py_ssize_t size = stride == 0 ? 1 : count;
    if (size > kBlock) {  // a longer run in parts
      const Py_ssize_t target_size = dtype_of(to).itemsize;
      for (Py_ssize_t i = 0; i < count; i += kBlock) {
        cast_run(from, source + i * stride, stride, to, target + i * target_size,
                 std::min(kBlock, count - i));
      }
      return;
    }
    swap_bytes(source, stride, swapped, from.itemsize, part_of(from), size);
    source = swapped;
    if (stride != 0) stride = from.itemsize;
  }
  const Num num = is_time(from.num) ? Num::int64 : from.num;
  with_type(num, [&](auto source_tag) {
    using From = typename decltype(source_tag)::type;
    with_type(to, [&](auto target_tag) {
      cast_typed<From, typename decltype(target_tag)::type>(source, stride, target, count);
    });
  });
}

ArrayRef converted(Array* array, const DType& wanted) {
  DType dtype = wanted;
  const DType& from = array->dtype;
  const bool sized = dtype.num == Num::bytes || dtype.num == Num::text;
  if (sized && dtype.itemsize == 0 && dtype.num == from.num) dtype.itemsize = from.itemsize;
  const auto as_numbers = [](const DType& one) { return is_numeric(one.num) || is_time(one.num); };
  const bool numbers = as_numbers(dtype) && as_numbers(from) &&
                       (is_time(dtype.num) ? dtype.num == from.num || is_integer(from.num) : true);
  if (is_time(dtype.num) && dtype.num == from.num && from.unit != kGenericUnit &&
      (dtype.unit != from.unit || dtype.unit_count != from.unit_count)) {
    raise(PyExc_TypeError, "firn.Array does not convert between units of time (" + name_of(from) +
                               " to " + name_of(dtype) +
                               "): view('int64') gives the numbers, or convert in the notebook");
  }
  if (!numbers && !(dtype.num == from.num && (sized || dtype.itemsize == from.itemsize))) {
    raise(PyExc_TypeError, "firn.Array cannot convert " + name_of(from) + " to " + name_of(dtype) +
                               ": convert in the notebook, with numpy");
  }
  const bool swap_result = dtype.swapped;
  dtype.swapped = false;
  ArrayRef result = new_array_like(dtype, shape_of(array), array);
  if (from.num == Num::other) {
    result->layout = Py_XNewRef(array->layout);
    result->dtype.swapped = from.swapped;
  }
  const Shape shape = shape_of(array);
  const Num as = is_time(dtype.num) ? Num::int64 : dtype.num;
  walk<2>(shape,
          {{result->data, array->data},
           {Shape(result->strides(), result->strides() + result->ndim),
            Shape(array->strides(), array->strides() + array->ndim)}},
          [&](const auto& at, const auto& strides, Py_ssize_t count) {
            if (numbers && (strides[0] == dtype.itemsize || count == 1)) {
              cast_run(from, at[1], strides[1], as, at[0], count);
              return;
            }
            for (Py_ssize_t i = 0; i < count; ++i) {
              char* const to = at[0] + i * strides[0];
              const char* const source = at[1] + i * strides[1];
              if (numbers) {
                cast_run(from, source, 0, as, to, 1);
              } else if (from.num == Num::other) {
                std::memcpy(to, source, static_cast<std::size_t>(from.itemsize));
              } else {
                copy_padded(from, source, dtype, to);
              }
            }
          });
  if (swap_result && dtype.num != Num::bytes && dtype.itemsize > 1) {
    const Py_ssize_t count = size_of(result.get());
    std::vector<char> one(static_cast<std::size_t>(dtype.itemsize));
    for (Py_ssize_t i = 0; i < count; ++i) {
      char* const at = result->data + i * dtype.itemsize;
      swap_bytes(at, 0, one.data(), dtype.itemsize, part_of(dtype), 1);
      std::memcpy(at, one.data(), one.size());
    }
    result->dtype.swapped = true;
  }
  return result;
}

ArrayRef compact(Array* array) {
  if (!array->dtype.swapped && is_contiguous(array) &&
      is_aligned(array->data, array->dtype.itemsize)) {
    return share(array);
  }
  DType native = array->dtype;
  native.swapped = false;
  ArrayRef result = new_array(native, shape_of(array));
  ArrayRef copied = converted(array, native);
  if (is_contiguous(copied.get())) return copied;
  if (array->dtype.num == Num::other) result->layout = Py_XNewRef(array->layout);
  const auto itemsize = static_cast<std::size_t>(native.itemsize);
  walk<2>(shape_of(array),
          {{result->data, copied->data},
           {Shape(result->strides(), result->strides() + result->ndim),
            Shape(copied->strides(), copied->strides() + copied->ndim)}},
          [&](const auto& at, const auto& strides, Py_ssize_t count) {
            for (Py_ssize_t i = 0; i < count; ++i) {
              std::memcpy(at[0] + i * strides[0], at[1] + i * strides[1], itemsize);
            }
          });
  return result;
}

}  // namespace firn::heap::buffers
