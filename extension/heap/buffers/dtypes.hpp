// What the elements of an array are.
#pragma once

#include "heap/cpython_layout.hpp"

#include <complex>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace Eigen {
struct half;  // <Eigen/Core> has it, which the layers above need not know
}

namespace firn::heap::buffers {

// Thrown where a Python exception is set; the entry points turn it into nullptr.
struct Raised {};

[[noreturn]] void raise(PyObject* error, const std::string& message);

enum class Num : std::uint8_t {
  boolean,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float16,
  float32,
  float64,
  complex64,
  complex128,
  // Read and compared, but not calculated with.
  timedelta,
  datetime,
  bytes,
  text,
  other,  // structured elements and what else a format may say: bytes
};
inline constexpr int kNumeric = static_cast<int>(Num::complex128) + 1;

// Any byte but zero is true: memory of others may hold more than 0 and 1.
struct Boolean {
  std::uint8_t value = 0;
  Boolean() = default;
  template <typename T>
    requires std::is_arithmetic_v<T>
  Boolean(T number) : value(number != 0) {}
  explicit operator bool() const { return value != 0; }
  friend bool operator==(Boolean a, Boolean b) { return !a.value == !b.value; }
  friend bool operator<(Boolean a, Boolean b) { return !a.value && b.value; }
};

using Half = Eigen::half;
using Complex64 = std::complex<float>;
using Complex128 = std::complex<double>;

template <typename T>
struct Tag {
  using type = T;
};

// Calls f(Tag<T>) with the C++ type of a numeric element.
template <typename F>
decltype(auto) with_type(Num num, F&& f) {
  switch (num) {
    case Num::boolean:
      return f(Tag<Boolean>{});
    case Num::int8:
      return f(Tag<std::int8_t>{});
    case Num::int16:
      return f(Tag<std::int16_t>{});
    case Num::int32:
      return f(Tag<std::int32_t>{});
    case Num::int64:
      return f(Tag<std::int64_t>{});
    case Num::uint8:
      return f(Tag<std::uint8_t>{});
    case Num::uint16:
      return f(Tag<std::uint16_t>{});
    case Num::uint32:
      return f(Tag<std::uint32_t>{});
    case Num::uint64:
      return f(Tag<std::uint64_t>{});
    case Num::float16:
      return f(Tag<Half>{});
    case Num::float32:
      return f(Tag<float>{});
    case Num::float64:
      return f(Tag<double>{});
    case Num::complex64:
      return f(Tag<Complex64>{});
    default:
      return f(Tag<Complex128>{});
  }
}

template <typename T>
inline constexpr bool is_complex = std::is_same_v<T, Complex64> || std::is_same_v<T, Complex128>;
template <typename T>
inline constexpr bool is_half = std::is_same_v<T, Half>;
template <typename T>
inline constexpr bool is_real = std::is_floating_point_v<T> || is_half<T>;
template <typename T>
inline constexpr bool is_boolean = std::is_same_v<T, Boolean>;

inline bool is_numeric(Num num) { return static_cast<int>(num) < kNumeric; }
inline bool is_integer(Num num) { return num >= Num::int8 && num <= Num::uint64; }
inline bool is_signed(Num num) { return num >= Num::int8 && num <= Num::int64; }
inline bool is_unsigned(Num num) { return num >= Num::uint8 && num <= Num::uint64; }
inline bool is_float(Num num) { return num >= Num::float16 && num <= Num::float64; }
inline bool is_complex_num(Num num) { return num == Num::complex64 || num == Num::complex128; }
inline bool is_time(Num num) { return num == Num::timedelta || num == Num::datetime; }

struct DType {
  Num num = Num::float64;
  bool swapped = false;    // the bytes are in the other order than this machine's
  std::uint8_t unit = 14;  // timedelta, datetime: index into the units; 14 is none ("generic")
  std::int32_t unit_count = 1;
  std::int64_t itemsize = 8;  // bytes

  friend bool operator==(const DType&, const DType&) = default;
};

DType dtype_of(Num num);  // in native order; not of bytes, text and other

// numpy's units of time, from years to attoseconds: "Y", "M", "W", "D", "h" ... "as"; "" is none.
inline constexpr int kGenericUnit = 14;
const char* unit_name(int unit);

std::string name_of(const DType& dtype);     // "float64", "datetime64[ns]", "str96"
std::string typestr_of(const DType& dtype);  // "<f8", as in numpy's array interface
char kind_of(const DType& dtype);            // 'b', 'i', 'u', 'f', 'c', 'm', 'M', 'S', 'U', 'V'
char char_of(const DType& dtype);            // the struct module's and numpy's character

// The PEP 3118 format; empty where there is none (datetimes).
std::string format_of(const DType& dtype);

// Both return false for what they do not know. A format that is known but no single number gives
// Num::other.
bool parse_typestr(std::string_view text, DType* dtype);
bool parse_format(std::string_view format, std::int64_t itemsize, DType* dtype);

// The dtype that a user names: a dtype, a name ("float32", "<f4", "f4"), a Python type. Throws
// Raised.
DType parse_dtype(PyObject* object);

// The dtype that results of both kinds have, by NumPy 2's rules. Throws Raised.
DType promote(const DType& a, const DType& b);
Num promote(Num a, Num b);  // numeric ones

}  // namespace firn::heap::buffers
