// Walks over arrays of one shape together, in runs along the axis that is fastest in memory.
#pragma once

#include "heap/cpython_layout.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

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

// What a walk calls for each run, with its pointers, strides and count. A reference that does not
// keep the callable: the walk is compiled once for all of them.
template <int N>
class RunReference {
 public:
  using Pointers = std::array<char*, N>;
  using Strides = std::array<Py_ssize_t, N>;

  template <typename Run>
    requires(!std::is_same_v<std::remove_cvref_t<Run>, RunReference>)
  RunReference(Run&& run)
      : run_(const_cast<void*>(static_cast<const void*>(&run))),
        call_([](void* called, const Pointers& at, const Strides& strides, Py_ssize_t count) {
          (*static_cast<std::remove_reference_t<Run>*>(called))(at, strides, count);
        }) {}

  void operator()(const Pointers& at, const Strides& strides, Py_ssize_t count) const {
    call_(run_, at, strides, count);
  }

 private:
  void* run_;
  void (*call_)(void*, const Pointers&, const Strides&, Py_ssize_t);
};

// Calls run(pointers, strides, count) until every element was seen once. The axes are taken in the
// order of the first operand's memory, and those that follow each other in all operands as one.
// For one to three operands.
template <int N>
void walk(const Shape& shape, const Operands<N>& operands, RunReference<N> run);

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

  // Whether elements need no conversion, wherever they are.
  bool as_is() const { return as_is_; }

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
