#include "heap/buffers/dtypes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace firn::heap::buffers {
namespace {

struct Known {
  const char* name;
  const char* typestr;  // without its byte order
  char character;
  std::int64_t itemsize;
};

constexpr std::array<Known, kNumeric> known{{
    {"bool", "b1", '?', 1},
    {"int8", "i1", 'b', 1},
    {"int16", "i2", 'h', 2},
    {"int32", "i4", 'i', 4},
    {"int64", "i8", 'l', 8},
    {"uint8", "u1", 'B', 1},
    {"uint16", "u2", 'H', 2},
    {"uint32", "u4", 'I', 4},
    {"uint64", "u8", 'L', 8},
    {"float16", "f2", 'e', 2},
    {"float32", "f4", 'f', 4},
    {"float64", "f8", 'd', 8},
    {"complex64", "c8", 'F', 8},
    {"complex128", "c16", 'D', 16},
}};

constexpr const char* units[] = {"Y",  "M",  "W",  "D",  "h",  "m", "s", "ms",
                                 "us", "ns", "ps", "fs", "as", "?", ""};

const Known& known_of(Num num) { return known[static_cast<std::size_t>(num) % kNumeric]; }

bool parse_number(std::string_view text, std::int64_t* number) {
  if (text.empty()) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && *number >= 0;
}

// "[ns]", "[25us]", or nothing.
bool parse_unit(std::string_view text, DType* dtype) {
  dtype->unit = kGenericUnit;
  if (text.empty()) return true;
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') return false;
  text = text.substr(1, text.size() - 2);
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits) {
    std::int64_t count = 0;
    if (!parse_number(text.substr(0, digits), &count)) return false;
    dtype->unit_count = static_cast<std::int32_t>(count);
  }
  for (int unit = 0; unit < kGenericUnit; ++unit) {
    if (text.substr(digits) == units[unit]) {
      dtype->unit = static_cast<std::uint8_t>(unit);
      return true;
    }
  }
  return false;
}

std::string unit_text(const DType& dtype) {
  if (dtype.unit == kGenericUnit) return "";
  const std::string count = dtype.unit_count == 1 ? "" : std::to_string(dtype.unit_count);
  return "[" + count + units[dtype.unit] + "]";
}

std::string utf8(PyObject* string) {
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(string, &size);
  if (!text) throw Raised{};
  return {text, static_cast<std::size_t>(size)};
}

bool parse_name(std::string_view text, DType* dtype) {
  for (int i = 0; i < kNumeric; ++i) {
    if (text == known[static_cast<std::size_t>(i)].name) {
      *dtype = dtype_of(static_cast<Num>(i));
      return true;
    }
  }
  if (text == "float" || text == "double") return *dtype = dtype_of(Num::float64), true;
  if (text == "int" || text == "intp" || text == "q") return *dtype = dtype_of(Num::int64), true;
  if (text == "uint" || text == "uintp" || text == "Q") return *dtype = dtype_of(Num::uint64), true;
  if (text == "complex") return *dtype = dtype_of(Num::complex128), true;
  if (text == "half") return *dtype = dtype_of(Num::float16), true;
  if (text == "single") return *dtype = dtype_of(Num::float32), true;
  for (const auto& [word, num] :
       {std::pair{"timedelta64", Num::timedelta}, std::pair{"datetime64", Num::datetime}}) {
    if (!text.starts_with(word)) continue;
    *dtype = dtype_of(num);
    return parse_unit(text.substr(std::strlen(word)), dtype);
  }
  std::int64_t bits = 0;
  if (text.starts_with("str") && parse_number(text.substr(3), &bits) && bits % 32 == 0) {
    *dtype = {Num::text, false, kGenericUnit, 1, bits / 8};
    return true;
  }
  if (text.starts_with("bytes") && parse_number(text.substr(5), &bits) && bits % 8 == 0) {
    *dtype = {Num::bytes, false, kGenericUnit, 1, bits / 8};
    return true;
  }
  return parse_typestr(text, dtype);
}

}  // namespace

void raise(PyObject* error, const std::string& message) {
  PyErr_SetString(error, message.c_str());
  throw Raised{};
}

DType dtype_of(Num num) {
  if (is_time(num)) return {num, false, kGenericUnit, 1, 8};
  return {num, false, kGenericUnit, 1, known_of(num).itemsize};
}

const char* unit_name(int unit) { return units[unit]; }

std::string name_of(const DType& dtype) {
  switch (dtype.num) {
    case Num::timedelta:
      return "timedelta64" + unit_text(dtype);
    case Num::datetime:
      return "datetime64" + unit_text(dtype);
    case Num::bytes:
      return "bytes" + (dtype.itemsize ? std::to_string(dtype.itemsize * 8) : "");
    case Num::text:
      return "str" + (dtype.itemsize ? std::to_string(dtype.itemsize * 8) : "");
    case Num::other:
      return "void" + std::to_string(dtype.itemsize * 8);
    default:
      return known_of(dtype.num).name;
  }
}

std::string typestr_of(const DType& dtype) {
  const std::string order = dtype.swapped ? ">" : "<";
  switch (dtype.num) {
    case Num::timedelta:
      return order + "m8" + unit_text(dtype);
    case Num::datetime:
      return order + "M8" + unit_text(dtype);
    case Num::bytes:
      return "|S" + std::to_string(dtype.itemsize);
    case Num::text:
      return order + "U" + std::to_string(dtype.itemsize / 4);
    case Num::other:
      return "|V" + std::to_string(dtype.itemsize);
    default:
      return (dtype.itemsize == 1 ? "|" : order) + known_of(dtype.num).typestr;
  }
}

char kind_of(const DType& dtype) {
  switch (dtype.num) {
    case Num::timedelta:
      return 'm';
    case Num::datetime:
      return 'M';
    case Num::bytes:
      return 'S';
    case Num::text:
      return 'U';
    case Num::other:
      return 'V';
    default:
      return known_of(dtype.num).typestr[0];
  }
}

char char_of(const DType& dtype) {
  return is_numeric(dtype.num) ? known_of(dtype.num).character : kind_of(dtype);
}

std::string format_of(const DType& dtype) {
  const std::string order = dtype.swapped ? ">" : "";
  switch (dtype.num) {
    case Num::timedelta:
    case Num::datetime:
      return "";
    case Num::bytes:
    case Num::other:
      return std::to_string(dtype.itemsize) + "s";
    case Num::text:
      return order + std::to_string(dtype.itemsize / 4) + "w";
    case Num::complex64:
      return order + "Zf";
    case Num::complex128:
      return order + "Zd";
    case Num::int64:
      return dtype.swapped ? ">q" : "l";
    case Num::uint64:
      return dtype.swapped ? ">Q" : "L";
    default:
      return order + known_of(dtype.num).character;
  }
}

bool parse_typestr(std::string_view text, DType* dtype) {
  if (text.empty()) return false;
  bool swapped = false;
  if (std::strchr("<>|=", text.front())) {
    swapped = text.front() == '>';
    text.remove_prefix(1);
  }
  if (text.empty()) return false;
  const char kind = text.front();
  if (kind == 'm' || kind == 'M') {
    if (!text.substr(1).starts_with("8")) return false;
    *dtype = dtype_of(kind == 'm' ? Num::timedelta : Num::datetime);
    dtype->swapped = swapped;
    return parse_unit(text.substr(2), dtype);
  }
  std::int64_t size = 0;
  if (kind == 'S' || kind == 'U' || kind == 'V' || kind == 'a') {
    if (text.size() > 1 && !parse_number(text.substr(1), &size)) return false;
    if (kind == 'U') {
      *dtype = {Num::text, swapped, kGenericUnit, 1, size * 4};
    } else {
      *dtype = {kind == 'V' ? Num::other : Num::bytes, false, kGenericUnit, 1, size};
    }
    return true;
  }
  for (int i = 0; i < kNumeric; ++i) {
    const Known& one = known[static_cast<std::size_t>(i)];
    if (text == one.typestr || (text.size() == 1 && kind == one.character)) {
      *dtype = dtype_of(static_cast<Num>(i));
      dtype->swapped = swapped && one.itemsize > 1;
      return true;
    }
  }
  return false;
}

bool parse_format(std::string_view format, std::int64_t itemsize, DType* dtype) {
  *dtype = {Num::other, false, kGenericUnit, 1, itemsize};
  bool swapped = false, standard = false;
  if (!format.empty() && std::strchr("@=<>!^", format.front())) {
    swapped = format.front() == '>' || format.front() == '!';
    standard = format.front() != '@' && format.front() != '^';
    format.remove_prefix(1);
  }
  if (format.empty()) return itemsize == 1 ? (*dtype = dtype_of(Num::uint8), true) : true;
  std::size_t digits = std::min(format.find_first_not_of("0123456789"), format.size());
  std::int64_t count = 1;
  if (digits && !parse_number(format.substr(0, digits), &count)) return true;
  const std::string_view code = format.substr(digits);
  if (code == "s") {
    if (count == itemsize) dtype->num = Num::bytes;
    return true;
  }
  if (code == "w") {
    if (count * 4 == itemsize) *dtype = {Num::text, swapped, kGenericUnit, 1, itemsize};
    return true;
  }
  if (digits) return true;  // "3d": an element of several numbers
  const auto choose = [&](Num num) {
    if (known_of(num).itemsize != itemsize) return;
    *dtype = dtype_of(num);
    dtype->swapped = swapped && itemsize > 1;
  };
  if (code == "Zf" || code == "F") return choose(Num::complex64), true;
  if (code == "Zd" || code == "D") return choose(Num::complex128), true;
  if (code.size() != 1) return true;
  switch (code.front()) {
    case '?':
      choose(Num::boolean);
      break;
    case 'c':
      if (itemsize == 1) dtype->num = Num::bytes;
      break;
    case 'b':
      choose(Num::int8);
      break;
    case 'B':
      choose(Num::uint8);
      break;
    case 'h':
      choose(Num::int16);
      break;
    case 'H':
      choose(Num::uint16);
      break;
    case 'i':
      choose(Num::int32);
      break;
    case 'I':
      choose(Num::uint32);
      break;
    case 'l':
      choose(standard ? Num::int32 : Num::int64);
      break;
    case 'L':
      choose(standard ? Num::uint32 : Num::uint64);
      break;
    case 'q':
    case 'n':
      choose(Num::int64);
      break;
    case 'Q':
    case 'N':
    case 'P':
      choose(Num::uint64);
      break;
    case 'e':
      choose(Num::float16);
      break;
    case 'f':
      choose(Num::float32);
      break;
    case 'd':
      choose(Num::float64);
      break;
    case 'u':
    case 'w':
      if (itemsize == 4) *dtype = {Num::text, swapped, kGenericUnit, 1, 4};
      break;
    default:
      break;
  }
  return true;
}

DType parse_dtype(PyObject* object) {
  DType dtype;
  if (PyUnicode_Check(object)) {
    const std::string text = utf8(object);
    if (!parse_name(text, &dtype))
      raise(PyExc_TypeError, "data type '" + text + "' not understood");
    return dtype;
  }
  if (object == reinterpret_cast<PyObject*>(&PyFloat_Type)) return dtype_of(Num::float64);
  if (object == reinterpret_cast<PyObject*>(&PyBool_Type)) return dtype_of(Num::boolean);
  if (object == reinterpret_cast<PyObject*>(&PyLong_Type)) return dtype_of(Num::int64);
  if (object == reinterpret_cast<PyObject*>(&PyComplex_Type)) return dtype_of(Num::complex128);
  if (object == reinterpret_cast<PyObject*>(&PyUnicode_Type))
    return {Num::text, false, kGenericUnit, 1, 0};
  if (object == reinterpret_cast<PyObject*>(&PyBytes_Type))
    return {Num::bytes, false, kGenericUnit, 1, 0};
  // numpy.dtype has its text in `str`, numpy.float64 its own in __name__.
  PyObject* text = nullptr;
  const char* attribute = PyType_Check(object) ? "__name__" : "str";
  if (PyObject_GetOptionalAttrString(object, attribute, &text) < 0) throw Raised{};
  if (text && PyUnicode_Check(text)) {
    const std::string name = utf8(text);
    Py_DECREF(text);
    if (parse_name(name, &dtype)) return dtype;
  } else {
    Py_XDECREF(text);
  }
  PyObject* repr = PyObject_Repr(object);
  if (!repr) throw Raised{};
  const std::string shown = utf8(repr);
  Py_DECREF(repr);
  raise(PyExc_TypeError, "Cannot interpret '" + shown + "' as a data type");
}

Num promote(Num a, Num b) {
  if (a == b) return a;
  if (a > b) std::swap(a, b);
  if (a == Num::boolean) return b;
  const auto size = [](Num num) { return known_of(num).itemsize; };
  if (is_signed(a) && is_signed(b)) return b;
  if (is_unsigned(a) && is_unsigned(b)) return b;
  if (is_signed(a) && is_unsigned(b)) {
    if (size(a) > size(b)) return a;
    switch (b) {
      case Num::uint8:
        return Num::int16;
      case Num::uint16:
        return Num::int32;
      case Num::uint32:
        return Num::int64;
      default:
        return Num::float64;
    }
  }
  if (is_float(a) && is_float(b)) return b;
  if (is_integer(a) && is_float(b)) {
    const Num least = size(a) == 1 ? Num::float16 : size(a) == 2 ? Num::float32 : Num::float64;
    return std::max(least, b);
  }
  if (is_integer(a)) return size(a) <= 2 ? b : Num::complex128;
  if (is_float(a) && is_complex_num(b)) return a == Num::float64 ? Num::complex128 : b;
  return Num::complex128;
}

DType promote(const DType& a, const DType& b) {
  if (a == b && !a.swapped) return a;
  if (is_numeric(a.num) && is_numeric(b.num)) return dtype_of(promote(a.num, b.num));
  DType result = a;
  result.swapped = false;
  if (a.num == b.num && (a.num == Num::bytes || a.num == Num::text)) {
    result.itemsize = std::max(a.itemsize, b.itemsize);
    return result;
  }
  if (a.num == b.num && is_time(a.num)) {
    if (a.unit == b.unit && a.unit_count == b.unit_count) return result;
    if (b.unit == kGenericUnit) return result;
    if (a.unit == kGenericUnit) {
      result = b;
      result.swapped = false;
      return result;
    }
  }
  if (a.num == b.num && a.num == Num::other && a.itemsize == b.itemsize) return result;
  raise(PyExc_TypeError, "there is no common dtype of " + name_of(a) + " and " + name_of(b));
}

}  // namespace firn::heap::buffers
