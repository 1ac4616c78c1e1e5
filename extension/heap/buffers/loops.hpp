// Walks over arrays of one shape together, in runs along the axis that is fastest in memory.
#pragma once

#include "heap/cpython_layout.hpp"

#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "heap/buffers/array.hpp"

namespace firn::heap::buffers {

// Elements that are handled at a time, where they have to be gathered or converted first: 16 KiB of
// the widest.
inline constexpr Py_ssize_t kBlock = 1024;

template <int N>
struct Operands {
  std::array<char*, N> at;
  std::array<Shape, N> strides;  // one stride an axis; 0 where an operand is repeated
};

// Calls run(pointers, strides, count) until every element was seen once. The axes are taken in the
// order of the first operand's memory, and those that follow each other in all operands as one.
template <int N, typename Run>
void walk(const Shape& shape, const Operands<N>& operands, Run&& run) {
  const int ndim = static_cast<int>(shape.size());
  std::array<int, kMostDimensions> order;
  int axes = 0;
  for (int i = 0; i < ndim; ++i) {
    if (shape[i] == 0) return;
    if (shape[i] != 1) order[axes++] = i;
  }
  std::stable_sort(order.begin(), order.begin() + axes, [&](int a, int b) {
    for (const Shape& strides : operands.strides) {
      if (std::abs(strides[a]) != std::abs(strides[b])) {
        return std::abs(strides[a]) > std::abs(strides[b]);
      }
    }
    return false;
  });
  std::array<Py_ssize_t, kMostDimensions + 1> extent;
  std::array<std::array<Py_ssize_t, kMostDimensions + 1>, N> step;
  int depth = 0;
  for (int i = 0; i < axes; ++i) {
    const int axis = order[i];
    bool joins = depth > 0;
    for (int k = 0; k < N && joins; ++k) {
      joins = step[k][depth - 1] == operands.strides[k][axis] * shape[axis];
    }
    if (joins) {
      --depth;
      extent[depth] *= shape[axis];
    } else {
      extent[depth] = shape[axis];
    }
    for (int k = 0; k < N; ++k) step[k][depth] = operands.strides[k][axis];
    ++depth;
  }
  if (depth == 0) {
    extent[0] = 1;
    for (int k = 0; k < N; ++k) step[k][0] = 0;
    depth = 1;
  }
  const int inner = depth - 1;
  std::array<Py_ssize_t, N> strides;
  for (int k = 0; k < N; ++k) strides[k] = step[k][inner];
  std::array<Py_ssize_t, kMostDimensions + 1> index{};
  std::array<char*, N> at = operands.at;
  while (true) {
    run(at, strides, extent[inner]);
    int axis = inner - 1;
    for (; axis >= 0; --axis) {
      for (int k = 0; k < N; ++k) at[k] += step[k][axis];
      if (++index[axis] < extent[axis]) break;
      index[axis] = 0;
      for (int k = 0; k < N; ++k) at[k] -= step[k][axis] * extent[axis];
    }
    if (axis < 0) return;
  }
}

// An array's strides as those of an array of the shape that it is broadcast to.
inline Shape broadcast_strides(const Array* array, const Shape& shape) {
  Shape strides(shape.size(), 0);
  const std::size_t missing = shape.size() - static_cast<std::size_t>(array->ndim);
  for (int i = 0; i < array->ndim; ++i) {
    if (array->shape()[i] != 1)
      strides[missing + static_cast<std::size_t>(i)] = array->strides()[i];
  }
  return strides;
}

inline bool is_aligned(const char* at, std::int64_t itemsize) {
  const std::int64_t alignment = std::min<std::int64_t>(itemsize & -itemsize, 8);
  return alignment == 0 ||
         reinterpret_cast<std::uintptr_t>(at) % static_cast<std::uintptr_t>(alignment) == 0;
}

// Gives the elements of a run as contiguous native ones of a numeric type: where they are, when
// they are just that, else copied to a buffer, a block at a time.
class Reader {
 public:
  Reader(const DType& from, Num to) : from_(from), to_(to), size_(dtype_of(to).itemsize) {
    as_is_ = from.num == to && !from.swapped;
  }

  // `count` is at most kBlock. A run that repeats one element is filled once: begin() comes first.
  const char* read(const char* at, Py_ssize_t stride, Py_ssize_t count) {
    if (as_is_ && stride == size_ && is_aligned(at, size_)) return at;
    if (stride == 0 && at == filled_from_ && count <= filled_) return buffer_;
    cast_run(from_, at, stride, to_, buffer_, count);
    filled_from_ = stride == 0 ? at : nullptr;
    filled_ = count;
    return buffer_;
  }

 private:
  DType from_;
  Num to_;
  Py_ssize_t size_;
  bool as_is_;
  const char* filled_from_ = nullptr;
  Py_ssize_t filled_ = 0;
  alignas(64) char buffer_[kBlock * 16];
};

}  // namespace firn::heap::buffers
