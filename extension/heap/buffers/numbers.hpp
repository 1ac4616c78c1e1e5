// What the kernels and reductions ask of elements of any type.
#pragma once

#include "heap/cpython_layout.hpp"

#include <Eigen/Core>
#include <cmath>
#include <type_traits>

#include "heap/buffers/array.hpp"

namespace firn::heap::buffers {

// Contiguous elements, for Eigen's vector code.
template <typename T>
using Run = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using ConstRun = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;

template <typename T>
bool is_nan(const T& value) {
  if constexpr (is_complex<T>) {
    return std::isnan(value.real()) || std::isnan(value.imag());
  } else if constexpr (is_half<T>) {
    return Eigen::numext::isnan(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return std::isnan(value);
  } else {
    return false;
  }
}

template <typename T>
bool is_less(const T& a, const T& b) {  // complex numbers in the order of a dictionary
  if constexpr (is_complex<T>) {
    if (a.real() < b.real()) return !std::isnan(a.imag()) && !std::isnan(b.imag());
    return a.real() == b.real() && a.imag() < b.imag();
  } else {
    return a < b;
  }
}

template <typename T>
bool truth(const T& value) {
  if constexpr (is_boolean<T>) {
    return value.value;
  } else {
    return value != T(0);
  }
}

}  // namespace firn::heap::buffers
