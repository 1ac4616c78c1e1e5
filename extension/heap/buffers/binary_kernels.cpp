// Two runs of numbers, element by element. Floats go through Eigen where it has vector instructions
// for them; integers wrap around, as in NumPy, hence they are calculated without a sign.
#include <limits>

#include "heap/buffers/numbers.hpp"
#include "heap/buffers/operators.hpp"

namespace firn::heap::buffers {
namespace {

// A type wide enough that nothing is promoted to a signed int.
template <typename T>
using Wrapping = std::conditional_t<sizeof(T) < 4, std::uint32_t, std::make_unsigned_t<T>>;

template <typename T, typename F>
void each(const char* left, const char* right, char* result, Py_ssize_t count, F f) {
  using Result = decltype(f(T{}, T{}));
  const T* const a = reinterpret_cast<const T*>(left);
  const T* const b = reinterpret_cast<const T*>(right);
  Result* const out = reinterpret_cast<Result*>(result);
  for (Py_ssize_t i = 0; i < count; ++i) out[i] = f(a[i], b[i]);
}

// ---- division, as Python and NumPy define it ----

template <typename T>
T float_remainder(T a, T b) {
  T rest = std::fmod(a, b);
  if (b == 0) return rest;
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) rest += b;
  } else {
    rest = std::copysign(T(0), b);
  }
  return rest;
}

template <typename T>
T float_floor_divide(T a, T b) {
  if (b == 0) return a / b;
  T rest = std::fmod(a, b);
  T quotient = (a - rest) / b;
  if (rest != 0 && (b < 0) != (rest < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(T(0), a / b);
  T floor = std::floor(quotient);
  if (quotient - floor > T(0.5)) floor += 1;
  return floor;
}

template <typename T>
T integer_floor_divide(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(Wrapping<T>(0) - static_cast<Wrapping<T>>(a));
    const T quotient = static_cast<T>(a / b);
    return static_cast<T>(quotient - (a % b != 0 && (a < 0) != (b < 0)));
  } else {
    return static_cast<T>(a / b);
  }
}

template <typename T>
T integer_remainder(T a, T b) {
  if (b == 0) return 0;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
    const T rest = static_cast<T>(a % b);
    return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
  } else {
    return static_cast<T>(a % b);
  }
}

template <typename T>
T integer_power(T base, T exponent) {
  Wrapping<T> result = 1, factor = static_cast<Wrapping<T>>(base);
  for (auto left = static_cast<std::make_unsigned_t<T>>(exponent); left; left >>= 1) {
    if (left & 1) result *= factor;
    factor *= factor;
  }
  return static_cast<T>(result);
}

template <typename T>
T complex_power(T a, T b) {
  if (b == T(0)) return T(1);
  if (a == T(0)) {
    using Part = typename T::value_type;
    if (b.real() > 0 && b.imag() == 0) return T(0);
    return T(std::numeric_limits<Part>::quiet_NaN(), std::numeric_limits<Part>::quiet_NaN());
  }
  if (b.imag() == 0) {  // small whole powers are products, as in NumPy
    const auto whole = static_cast<long>(b.real());
    if (static_cast<typename T::value_type>(whole) == b.real()) {
      if (whole == 1) return a;
      if (whole == 2) return a * a;
      if (whole == 3) return a * a * a;
    }
  }
  return std::pow(a, b);
}

// ---- by operation ----

template <Binary operation, typename T>
void arithmetic(const char* left, const char* right, char* result, Py_ssize_t count) {
  if constexpr (std::is_integral_v<T>) {
    each<T>(left, right, result, count, [](T a, T b) {
      const auto x = static_cast<Wrapping<T>>(a), y = static_cast<Wrapping<T>>(b);
      if constexpr (operation == Binary::add) return static_cast<T>(x + y);
      if constexpr (operation == Binary::subtract) return static_cast<T>(x - y);
      if constexpr (operation == Binary::multiply) return static_cast<T>(x * y);
    });
  } else if constexpr (is_boolean<T>) {
    each<T>(left, right, result, count, [](T a, T b) {
      if constexpr (operation == Binary::multiply) return Boolean(a.value && b.value);
      return Boolean(a.value || b.value);
    });
  } else {
    const ConstRun<T> a(reinterpret_cast<const T*>(left), count);
    const ConstRun<T> b(reinterpret_cast<const T*>(right), count);
    Run<T> out(reinterpret_cast<T*>(result), count);
    if constexpr (operation == Binary::add) out = a + b;
    if constexpr (operation == Binary::subtract) out = a - b;
    if constexpr (operation == Binary::multiply) out = a * b;
    if constexpr (operation == Binary::divide) out = a / b;
  }
}

// Half floats are calculated in float, as NumPy does.
template <typename T, typename F>
auto in_float(F f) {
  if constexpr (is_half<T>) {
    return [f](T a, T b) { return T(f(static_cast<float>(a), static_cast<float>(b))); };
  } else {
    return f;
  }
}

template <Binary operation, typename T>
void division(const char* left, const char* right, char* result, Py_ssize_t count) {
  if constexpr (std::is_integral_v<T>) {
    each<T>(left, right, result, count, [](T a, T b) {
      if constexpr (operation == Binary::floor_divide) return integer_floor_divide(a, b);
      if constexpr (operation == Binary::remainder) return integer_remainder(a, b);
      if constexpr (operation == Binary::power) return integer_power(a, b);
    });
  } else if constexpr (is_complex<T>) {
    each<T>(left, right, result, count, [](T a, T b) { return complex_power(a, b); });
  } else {
    const auto calculate = [](auto a, auto b) {
      if constexpr (operation == Binary::floor_divide) return float_floor_divide(a, b);
      if constexpr (operation == Binary::remainder) return float_remainder(a, b);
      if constexpr (operation == Binary::power) return std::pow(a, b);
    };
    each<T>(left, right, result, count, in_float<T>(calculate));
  }
}

template <Binary operation, typename T>
void bits(const char* left, const char* right, char* result, Py_ssize_t count) {
  if constexpr (is_boolean<T>) {
    each<T>(left, right, result, count, [](T a, T b) {
      if constexpr (operation == Binary::bitwise_and) return Boolean(a.value && b.value);
      if constexpr (operation == Binary::bitwise_or) return Boolean(a.value || b.value);
      return Boolean(!a.value != !b.value);
    });
  } else {
    each<T>(left, right, result, count, [](T a, T b) {
      constexpr auto width = static_cast<std::make_unsigned_t<T>>(sizeof(T) * 8);
      const auto shift = static_cast<std::make_unsigned_t<T>>(b);
      if constexpr (operation == Binary::bitwise_and) return static_cast<T>(a & b);
      if constexpr (operation == Binary::bitwise_or) return static_cast<T>(a | b);
      if constexpr (operation == Binary::bitwise_xor) return static_cast<T>(a ^ b);
      if constexpr (operation == Binary::left_shift) {
        return shift < width ? static_cast<T>(static_cast<Wrapping<T>>(a) << shift) : T(0);
      }
      if constexpr (operation == Binary::right_shift) {
        return shift < width ? static_cast<T>(a >> shift) : static_cast<T>(a < T(0) ? -1 : 0);
      }
    });
  }
}

template <Binary operation, typename T>
void extreme(const char* left, const char* right, char* result, Py_ssize_t count) {
  each<T>(left, right, result, count, [](T a, T b) {
    if (is_nan(a)) return a;
    if (is_nan(b)) return b;
    if constexpr (operation == Binary::minimum) return is_less(b, a) ? b : a;
    return is_less(a, b) ? b : a;
  });
}

template <Binary operation, typename T>
void geometry(const char* left, const char* right, char* result, Py_ssize_t count) {
  const auto calculate = [](auto a, auto b) {
    if constexpr (operation == Binary::arctan2) return std::atan2(a, b);
    return std::hypot(a, b);
  };
  each<T>(left, right, result, count, in_float<T>(calculate));
}

template <Binary operation, typename T>
void logic(const char* left, const char* right, char* result, Py_ssize_t count) {
  each<T>(left, right, result, count, [](T a, T b) {
    if constexpr (operation == Binary::logical_and) return Boolean(truth(a) && truth(b));
    if constexpr (operation == Binary::logical_or) return Boolean(truth(a) || truth(b));
    return Boolean(truth(a) != truth(b));
  });
}

template <Binary operation, typename T>
void comparison(const char* left, const char* right, char* result, Py_ssize_t count) {
  each<T>(left, right, result, count, [](T a, T b) {
    if constexpr (operation == Binary::equal) return Boolean(a == b);
    if constexpr (operation == Binary::not_equal) return Boolean(!(a == b));
    if constexpr (operation == Binary::less) return Boolean(is_less(a, b));
    if constexpr (operation == Binary::greater) return Boolean(is_less(b, a));
    if constexpr (operation == Binary::less_equal) {
      return Boolean(is_less(a, b) || a == b);
    }
    return Boolean(is_less(b, a) || a == b);
  });
}

template <Binary operation, typename T>
BinaryKernel kernel_of() {
  if constexpr (operation <= Binary::multiply) {
    if constexpr (!(operation == Binary::subtract && is_boolean<T>))
      return arithmetic<operation, T>;
  } else if constexpr (operation == Binary::divide) {
    if constexpr (is_real<T> || is_complex<T>) return arithmetic<operation, T>;
  } else if constexpr (operation <= Binary::power) {
    if constexpr (!is_boolean<T> && (!is_complex<T> || operation == Binary::power)) {
      return division<operation, T>;
    }
  } else if constexpr (operation <= Binary::bitwise_xor) {
    if constexpr (is_boolean<T> || std::is_integral_v<T>) return bits<operation, T>;
  } else if constexpr (operation <= Binary::right_shift) {
    if constexpr (std::is_integral_v<T>) return bits<operation, T>;
  } else if constexpr (operation <= Binary::maximum) {
    return extreme<operation, T>;
  } else if constexpr (operation <= Binary::hypot) {
    if constexpr (is_real<T>) return geometry<operation, T>;
  } else if constexpr (operation <= Binary::logical_xor) {
    return logic<operation, T>;
  } else {
    return comparison<operation, T>;
  }
  return nullptr;
}

template <std::size_t... operations>
BinaryKernel find_kernel(Binary operation, Num num, std::index_sequence<operations...>) {
  BinaryKernel found = nullptr;
  with_type(num, [&](auto tag) {
    using T = typename decltype(tag)::type;
    static constexpr auto make = [] {
      return std::array<BinaryKernel, sizeof...(operations)>{
          kernel_of<static_cast<Binary>(operations), T>()...};
    };
    static const auto kernels = make();
    found = kernels[static_cast<std::size_t>(operation)];
  });
  return found;
}

template <typename A, typename B>
void compare_mixed(Binary operation, const char* left, const char* right, char* result,
                   Py_ssize_t count) {
  const A* const a = reinterpret_cast<const A*>(left);
  const B* const b = reinterpret_cast<const B*>(right);
  Boolean* const out = reinterpret_cast<Boolean*>(result);
  for (Py_ssize_t i = 0; i < count; ++i) {
    const bool less = std::cmp_less(a[i], b[i]), equal = std::cmp_equal(a[i], b[i]);
    switch (operation) {
      case Binary::equal:
        out[i] = Boolean(equal);
        break;
      case Binary::not_equal:
        out[i] = Boolean(!equal);
        break;
      case Binary::less:
        out[i] = Boolean(less);
        break;
      case Binary::less_equal:
        out[i] = Boolean(less || equal);
        break;
      case Binary::greater:
        out[i] = Boolean(!less && !equal);
        break;
      default:
        out[i] = Boolean(!less);
    }
  }
}

template <Binary operation, bool left_signed>
void mixed(const char* left, const char* right, char* result, Py_ssize_t count) {
  using A = std::conditional_t<left_signed, std::int64_t, std::uint64_t>;
  using B = std::conditional_t<left_signed, std::uint64_t, std::int64_t>;
  compare_mixed<A, B>(operation, left, right, result, count);
}

template <bool left_signed>
BinaryKernel find_mixed(Binary operation) {
  constexpr BinaryKernel kernels[] = {
      mixed<Binary::equal, left_signed>,   mixed<Binary::not_equal, left_signed>,
      mixed<Binary::less, left_signed>,    mixed<Binary::less_equal, left_signed>,
      mixed<Binary::greater, left_signed>, mixed<Binary::greater_equal, left_signed>};
  return kernels[static_cast<int>(operation) - static_cast<int>(Binary::equal)];
}

}  // namespace

BinaryKernel binary_kernel(Binary operation, Num num) {
  return find_kernel(operation, num,
                     std::make_index_sequence<static_cast<std::size_t>(Binary::count)>());
}

BinaryKernel mixed_comparison(Binary operation, bool left_signed) {
  return left_signed ? find_mixed<true>(operation) : find_mixed<false>(operation);
}

}  // namespace firn::heap::buffers
