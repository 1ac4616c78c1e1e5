// One run of numbers, element by element.
#include <Eigen/Core>
#include <cmath>

#include "heap/buffers/numbers.hpp"
#include "heap/buffers/operators.hpp"

namespace firn::heap::buffers {
namespace {

template <typename T, typename F>
void each(const char* argument, char* result, Py_ssize_t count, F f) {
  using Result = decltype(f(T{}));
  const T* const a = reinterpret_cast<const T*>(argument);
  Result* const out = reinterpret_cast<Result*>(result);
  for (Py_ssize_t i = 0; i < count; ++i) out[i] = f(a[i]);
}

template <typename T>
constexpr bool is_nonnegative = std::is_unsigned_v<T> || is_boolean<T>;

template <Unary operation, typename T>
void simple(const char* argument, char* result, Py_ssize_t count) {
  each<T>(argument, result, count, [](T a) {
    if constexpr (operation == Unary::negative) {
      if constexpr (std::is_integral_v<T>) {
        using Wide = std::conditional_t<sizeof(T) < 4, std::uint32_t, std::make_unsigned_t<T>>;
        return static_cast<T>(Wide(0) - static_cast<Wide>(a));
      } else {
        return T(-a);
      }
    } else if constexpr (operation == Unary::positive) {
      return a;
    } else if constexpr (operation == Unary::absolute) {
      if constexpr (is_complex<T>) {
        return std::hypot(a.real(), a.imag());
      } else if constexpr (is_nonnegative<T>) {
        return a;
      } else if constexpr (std::is_integral_v<T>) {
        using Wide = std::conditional_t<sizeof(T) < 4, std::uint32_t, std::make_unsigned_t<T>>;
        return a < 0 ? static_cast<T>(Wide(0) - static_cast<Wide>(a)) : a;
      } else if constexpr (is_half<T>) {
        return Eigen::numext::abs(a);
      } else {
        return std::abs(a);
      }
    } else if constexpr (operation == Unary::invert) {
      if constexpr (is_boolean<T>) {
        return Boolean(!a.value);
      } else {
        return static_cast<T>(~a);
      }
    } else if constexpr (operation == Unary::conjugate) {
      if constexpr (is_complex<T>) {
        return std::conj(a);
      } else {
        return a;
      }
    } else if constexpr (operation == Unary::square) {
      if constexpr (std::is_integral_v<T>) {
        using Wide = std::conditional_t<sizeof(T) < 4, std::uint32_t, std::make_unsigned_t<T>>;
        return static_cast<T>(static_cast<Wide>(a) * static_cast<Wide>(a));
      } else {
        return T(a * a);
      }
    } else if constexpr (operation == Unary::reciprocal) {
      if constexpr (std::is_integral_v<T>) {
        return a == 0 ? T(0) : static_cast<T>(1 / a);
      } else {
        return T(T(1) / a);
      }
    } else if constexpr (operation == Unary::sign) {
      if constexpr (is_complex<T>) {  // NumPy 2: the direction
        const auto length = std::hypot(a.real(), a.imag());
        return length == 0 ? T(0) : a / length;
      } else if constexpr (std::is_integral_v<T>) {
        return static_cast<T>((a > T(0)) - (a < T(0)));
      } else {
        return a > T(0) ? T(1) : a < T(0) ? T(-1) : T(a);  // NaN stays
      }
    }
  });
}

// Floats and complex numbers; halves in float.
template <Unary operation, typename T>
T calculate(T a) {
  if constexpr (operation == Unary::sqrt) return std::sqrt(a);
  if constexpr (operation == Unary::exp) return std::exp(a);
  if constexpr (operation == Unary::log) return std::log(a);
  if constexpr (operation == Unary::log10) return std::log10(a);
  if constexpr (operation == Unary::sin) return std::sin(a);
  if constexpr (operation == Unary::cos) return std::cos(a);
  if constexpr (operation == Unary::tan) return std::tan(a);
  if constexpr (operation == Unary::arcsin) return std::asin(a);
  if constexpr (operation == Unary::arccos) return std::acos(a);
  if constexpr (operation == Unary::arctan) return std::atan(a);
  if constexpr (operation == Unary::sinh) return std::sinh(a);
  if constexpr (operation == Unary::cosh) return std::cosh(a);
  if constexpr (operation == Unary::tanh) return std::tanh(a);
  if constexpr (operation == Unary::arcsinh) return std::asinh(a);
  if constexpr (operation == Unary::arccosh) return std::acosh(a);
  if constexpr (operation == Unary::arctanh) return std::atanh(a);
  if constexpr (is_complex<T>) {
    using Part = typename T::value_type;
    if constexpr (operation == Unary::exp2) return std::pow(T(2), a);
    if constexpr (operation == Unary::log2) return std::log(a) / Part(0.6931471805599453094);
    if constexpr (operation == Unary::rint) {
      return T(std::nearbyint(a.real()), std::nearbyint(a.imag()));
    }
    return a;
  } else {
    if constexpr (operation == Unary::cbrt) return std::cbrt(a);
    if constexpr (operation == Unary::exp2) return std::exp2(a);
    if constexpr (operation == Unary::expm1) return std::expm1(a);
    if constexpr (operation == Unary::log2) return std::log2(a);
    if constexpr (operation == Unary::log1p) return std::log1p(a);
    if constexpr (operation == Unary::floor) return std::floor(a);
    if constexpr (operation == Unary::ceil) return std::ceil(a);
    if constexpr (operation == Unary::trunc) return std::trunc(a);
    if constexpr (operation == Unary::rint) return std::nearbyint(a);
    return a;
  }
}

template <Unary operation, typename T>
void function(const char* argument, char* result, Py_ssize_t count) {
  if constexpr (is_half<T>) {
    each<T>(argument, result, count,
            [](T a) { return T(calculate<operation, float>(static_cast<float>(a))); });
  } else if constexpr (is_complex<T>) {
    each<T>(argument, result, count, [](T a) { return calculate<operation, T>(a); });
  } else {
    // Eigen's own vector code for what it has.
    const ConstRun<T> a(reinterpret_cast<const T*>(argument), count);
    Run<T> out(reinterpret_cast<T*>(result), count);
    if constexpr (operation == Unary::sqrt) {
      out = a.sqrt();
    } else if constexpr (operation == Unary::exp) {
      out = a.exp();
    } else if constexpr (operation == Unary::log) {
      out = a.log();
    } else if constexpr (operation == Unary::sin) {
      out = a.sin();
    } else if constexpr (operation == Unary::cos) {
      out = a.cos();
    } else {
      each<T>(argument, result, count, [](T x) { return calculate<operation, T>(x); });
    }
  }
}

template <Unary operation, typename T>
void question(const char* argument, char* result, Py_ssize_t count) {
  each<T>(argument, result, count, [](T a) {
    if constexpr (operation == Unary::logical_not) {
      if constexpr (is_boolean<T>) {
        return Boolean(!a.value);
      } else {
        return Boolean(a == T(0));
      }
    } else if constexpr (is_complex<T>) {
      if constexpr (operation == Unary::isnan)
        return Boolean(std::isnan(a.real()) || std::isnan(a.imag()));
      if constexpr (operation == Unary::isinf)
        return Boolean(std::isinf(a.real()) || std::isinf(a.imag()));
      return Boolean(std::isfinite(a.real()) && std::isfinite(a.imag()));
    } else if constexpr (is_real<T>) {
      const auto value = static_cast<std::conditional_t<is_half<T>, float, T>>(a);
      if constexpr (operation == Unary::isnan) return Boolean(std::isnan(value));
      if constexpr (operation == Unary::isinf) return Boolean(std::isinf(value));
      return Boolean(std::isfinite(value));
    } else {
      return Boolean(operation == Unary::isfinite);
    }
  });
}

template <Unary operation, typename T>
UnaryKernel kernel_of() {
  constexpr bool floating = is_real<T> || is_complex<T>;
  if constexpr (operation >= Unary::isnan) {
    return question<operation, T>;
  } else if constexpr (operation == Unary::absolute || operation == Unary::conjugate) {
    return simple<operation, T>;
  } else if constexpr (operation == Unary::invert) {
    if constexpr (is_boolean<T> || std::is_integral_v<T>) return simple<operation, T>;
  } else if constexpr (operation <= Unary::reciprocal) {
    if constexpr (!is_boolean<T>) return simple<operation, T>;
  } else if constexpr (operation == Unary::floor || operation == Unary::ceil ||
                       operation == Unary::trunc || operation == Unary::cbrt ||
                       operation == Unary::expm1 || operation == Unary::log1p) {
    if constexpr (is_real<T>) return function<operation, T>;
  } else {
    if constexpr (floating) return function<operation, T>;
  }
  return nullptr;
}

template <std::size_t... operations>
UnaryKernel find_kernel(Unary operation, Num num, std::index_sequence<operations...>) {
  UnaryKernel found = nullptr;
  with_type(num, [&](auto tag) {
    using T = typename decltype(tag)::type;
    static const std::array<UnaryKernel, sizeof...(operations)> kernels{
        kernel_of<static_cast<Unary>(operations), T>()...};
    found = kernels[static_cast<std::size_t>(operation)];
  });
  return found;
}

}  // namespace

UnaryKernel unary_kernel(Unary operation, Num num) {
  return find_kernel(operation, num,
                     std::make_index_sequence<static_cast<std::size_t>(Unary::count)>());
}

}  // namespace firn::heap::buffers
