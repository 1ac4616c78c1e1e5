// Between elements of an array and Python objects.
#include <Eigen/Core>
#include <cmath>
#include <cstring>
#include <limits>

#include "heap/buffers/loops.hpp"
#include "heap/static_objects.hpp"

namespace firn::heap::buffers {
namespace {

constexpr std::int64_t kNotATime = std::numeric_limits<std::int64_t>::min();

// ---- times ----

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

struct Date {
  std::int64_t year;
  int month, day;
};

// The Gregorian date so many days after 1970-01-01 (Howard Hinnant's days_from_civil, backwards).
Date date_of(std::int64_t days) {
  days += 719468;
  const std::int64_t era = floor_divide(days, 146097);
  const std::int64_t of_era = days - era * 146097;
  const std::int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t month = (5 * of_year + 2) / 153;
  const int day = static_cast<int>(of_year - (153 * month + 2) / 5 + 1);
  const int civil_month = static_cast<int>(month < 10 ? month + 3 : month - 9);
  return {year + era * 400 + (civil_month <= 2), civil_month, day};
}

bool is_datable(std::int64_t year) { return year >= 1 && year <= 9999; }

PyObject* date_object(const Date& date, std::int64_t number) {
  if (!is_datable(date.year)) return PyLong_FromLongLong(number);
  return PyObject_CallFunction(reinterpret_cast<PyObject*>(datetime_types.date), "iii",
                               static_cast<int>(date.year), date.month, date.day);
}

// The unit's length in microseconds, for those from weeks to microseconds.
std::int64_t microseconds_of(int unit) {
  constexpr std::int64_t lengths[] = {
      0, 0, 604800000000, 86400000000, 3600000000, 60000000, 1000000, 1000, 1};
  return unit < 9 ? lengths[unit] : 0;
}

// As numpy's tolist(): dates, datetimes or timedeltas where these can say it, else the number.
PyObject* time_object(const DType& dtype, std::int64_t number) {
  if (number == kNotATime) return Py_NewRef(Py_None);
  const std::string unit = unit_name(dtype.unit);
  std::int64_t amount = 0;
  if (__builtin_mul_overflow(number, static_cast<std::int64_t>(dtype.unit_count), &amount)) {
    return PyLong_FromLongLong(number);
  }
  if (dtype.num == Num::datetime && (unit == "Y" || unit == "M")) {
    const std::int64_t months = unit == "Y" ? amount * 12 : amount;
    if (std::abs(amount) > 1000000) return PyLong_FromLongLong(number);
    const std::int64_t year = floor_divide(months, 12);
    return date_object({year + 1970, static_cast<int>(months - year * 12) + 1, 1}, number);
  }
  const std::int64_t length = microseconds_of(dtype.unit);
  if (!length) return PyLong_FromLongLong(number);
  constexpr std::int64_t day = 86400000000;
  const __int128 time = static_cast<__int128>(amount) * length;
  const __int128 whole_days = time / day - (time % day < 0);
  if (whole_days > 999999999 || whole_days < -999999999) return PyLong_FromLongLong(number);
  const auto days = static_cast<std::int64_t>(whole_days);
  auto rest = static_cast<std::int64_t>(time - whole_days * day);
  if (dtype.num == Num::timedelta) {
    return PyObject_CallFunction(reinterpret_cast<PyObject*>(datetime_types.timedelta), "iLL",
                                 static_cast<int>(days), static_cast<long long>(rest / 1000000),
                                 static_cast<long long>(rest % 1000000));
  }
  const Date date = date_of(days);
  if (unit == "W" || unit == "D") return date_object(date, number);
  if (!is_datable(date.year)) return PyLong_FromLongLong(number);
  const auto part = [&](std::int64_t microseconds) {
    const int value = static_cast<int>(rest / microseconds);
    rest %= microseconds;
    return value;
  };
  const int hour = part(3600000000), minute = part(60000000), second = part(1000000);
  return PyObject_CallFunction(reinterpret_cast<PyObject*>(datetime_types.datetime), "iiiiiii",
                               static_cast<int>(date.year), date.month, date.day, hour, minute,
                               second, static_cast<int>(rest));
}

// ---- text ----

PyObject* text_object(const DType& dtype, const char* at) {
  std::vector<Py_UCS4> text(static_cast<std::size_t>(dtype.itemsize / 4));
  if (!text.empty()) std::memcpy(text.data(), at, text.size() * 4);
  if (dtype.swapped) {
    for (Py_UCS4& c : text) c = __builtin_bswap32(c);
  }
  while (!text.empty() && text.back() == 0) text.pop_back();
  return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, text.data(),
                                   static_cast<Py_ssize_t>(text.size()));
}

PyObject* bytes_object(const DType& dtype, const char* at) {
  Py_ssize_t size = dtype.itemsize;
  while (size && at[size - 1] == 0) --size;
  return PyBytes_FromStringAndSize(at, size);
}

// ---- structured elements ----

PyObject* field_object(PyObject* field, const char* at) {
  PyObject* name = nullptr;
  Py_ssize_t offset = 0;
  const char* typestr = nullptr;
  PyObject *shape = nullptr, *nested = nullptr;
  if (!PyArg_ParseTuple(field, "OnsO!O", &name, &offset, &typestr, &PyTuple_Type, &shape,
                        &nested)) {
    throw Raised{};
  }
  DType dtype;
  if (!parse_typestr(typestr, &dtype))
    raise(PyExc_TypeError, std::string("unknown dtype ") + typestr);
  const Shape extents = parse_shape(shape, "a field's shape");
  Shape strides(extents.size());
  Py_ssize_t stride = dtype.itemsize;
  for (std::size_t i = extents.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= extents[i];
  }
  PyObject* const layout = nested == Py_None ? nullptr : nested;
  ArrayRef part =
      new_view(nullptr, const_cast<char*>(at) + offset, dtype, extents, strides, layout);
  return to_list(part.get());
}

PyObject* structured_object(const Array* array, const char* at) {
  if (!array->layout || !PyTuple_Check(array->layout)) {
    return PyBytes_FromStringAndSize(at, array->dtype.itemsize);
  }
  const Py_ssize_t count = PyTuple_GET_SIZE(array->layout);
  Ref fields(check(PyTuple_New(count)));
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyTuple_SET_ITEM(fields.get(), i, check(field_object(PyTuple_GET_ITEM(array->layout, i), at)));
  }
  return fields.release();
}

PyObject* list_of(const Array* array, const char* at, int axis) {
  if (axis == array->ndim) return to_python(array, at);
  const Py_ssize_t count = array->shape()[axis], stride = array->strides()[axis];
  Ref list(check(PyList_New(count)));
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyList_SET_ITEM(list.get(), i, check(list_of(array, at + i * stride, axis + 1)));
  }
  return list.release();
}

[[noreturn]] void raise_out_of_bounds(const DType& dtype, PyObject* value) {
  PyErr_Format(PyExc_OverflowError, "Python integer %S out of bounds for %s", value,
               name_of(dtype).c_str());
  throw Raised{};
}

template <typename T>
T integer_from(const DType& dtype, PyObject* value) {
  Ref index(PyNumber_Index(value));
  if (!index) {
    PyErr_Clear();
    index = Ref(check(PyNumber_Long(value)));  // a float, as numpy's constructors take it
  }
  if constexpr (std::is_signed_v<T>) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
    if (number == -1 && !overflow && PyErr_Occurred()) throw Raised{};
    if (overflow || number < std::numeric_limits<T>::min() ||
        number > std::numeric_limits<T>::max()) {
      raise_out_of_bounds(dtype, index.get());
    }
    return static_cast<T>(number);
  } else {
    const unsigned long long number = PyLong_AsUnsignedLongLong(index.get());
    if (number == static_cast<unsigned long long>(-1) && PyErr_Occurred()) {
      PyErr_Clear();
      raise_out_of_bounds(dtype, index.get());
    }
    if (number > std::numeric_limits<T>::max()) raise_out_of_bounds(dtype, index.get());
    return static_cast<T>(number);
  }
}

double float_from(PyObject* value) {
  const double number = PyFloat_AsDouble(value);
  if (number == -1 && PyErr_Occurred()) throw Raised{};
  return number;
}

void set_text(const DType& dtype, char* at, PyObject* value) {
  Ref text(PyUnicode_Check(value) ? Py_NewRef(value) : check(PyObject_Str(value)));
  std::memset(at, 0, static_cast<std::size_t>(dtype.itemsize));
  const Py_ssize_t count =
      std::min(PyUnicode_GET_LENGTH(text.get()), static_cast<Py_ssize_t>(dtype.itemsize / 4));
  for (Py_ssize_t i = 0; i < count; ++i) {
    const Py_UCS4 c = PyUnicode_READ_CHAR(text.get(), i);
    std::memcpy(at + i * 4, &c, 4);
  }
}

}  // namespace

PyObject* to_python(const Array* array, const char* at) {
  const DType& dtype = array->dtype;
  switch (dtype.num) {
    case Num::bytes:
      return bytes_object(dtype, at);
    case Num::text:
      return text_object(dtype, at);
    case Num::other:
      return structured_object(array, at);
    case Num::timedelta:
    case Num::datetime: {
      std::int64_t number = 0;
      cast_run(dtype, at, 0, Num::int64, reinterpret_cast<char*>(&number), 1);
      return time_object(dtype, number);
    }
    case Num::boolean:
      return PyBool_FromLong(*at != 0);
    case Num::complex64:
    case Num::complex128: {
      Complex128 number;
      cast_run(dtype, at, 0, Num::complex128, reinterpret_cast<char*>(&number), 1);
      return PyComplex_FromDoubles(number.real(), number.imag());
    }
    case Num::uint64: {
      std::uint64_t number = 0;
      cast_run(dtype, at, 0, Num::uint64, reinterpret_cast<char*>(&number), 1);
      return PyLong_FromUnsignedLongLong(number);
    }
    case Num::float64:
      if (!dtype.swapped) {
        double number = 0;
        std::memcpy(&number, at, sizeof number);
        return PyFloat_FromDouble(number);
      }
      [[fallthrough]];
    case Num::float16:
    case Num::float32: {
      double number = 0;
      cast_run(dtype, at, 0, Num::float64, reinterpret_cast<char*>(&number), 1);
      return PyFloat_FromDouble(number);
    }
    default: {
      std::int64_t number = 0;
      cast_run(dtype, at, 0, Num::int64, reinterpret_cast<char*>(&number), 1);
      return PyLong_FromLongLong(number);
    }
  }
}

PyObject* to_list(const Array* array) { return list_of(array, array->data, 0); }

PyObject* item_or_array(ArrayRef array) {
  if (array->ndim == 0) return check(to_python(array.get(), array->data));
  return array.release();
}

void set_element(const DType& dtype, char* at, PyObject* value) {
  switch (dtype.num) {
    case Num::bytes: {
      Ref raw(PyBytes_Check(value) ? Py_NewRef(value) : check(PyObject_Bytes(value)));
      const auto kept = std::min(static_cast<std::size_t>(PyBytes_GET_SIZE(raw.get())),
                                 static_cast<std::size_t>(dtype.itemsize));
      std::memset(at, 0, static_cast<std::size_t>(dtype.itemsize));
      std::memcpy(at, PyBytes_AS_STRING(raw.get()), kept);
      return;
    }
    case Num::text:
      return set_text(dtype, at, value);
    case Num::other:
      raise(PyExc_TypeError, "firn.Array makes no structured elements: make them in the notebook");
    case Num::timedelta:
    case Num::datetime: {
      const std::int64_t number =
          value == Py_None ? kNotATime : integer_from<std::int64_t>(dtype, value);
      std::memcpy(at, &number, sizeof number);
      return;
    }
    case Num::complex64:
    case Num::complex128: {
      const Py_complex number = PyComplex_AsCComplex(value);
      if (number.real == -1 && PyErr_Occurred()) throw Raised{};
      if (dtype.num == Num::complex128) {
        const Complex128 result(number.real, number.imag);
        std::memcpy(at, &result, sizeof result);
      } else {
        const Complex64 result(static_cast<float>(number.real), static_cast<float>(number.imag));
        std::memcpy(at, &result, sizeof result);
      }
      return;
    }
    case Num::boolean: {
      const int truth = PyObject_IsTrue(value);
      if (truth < 0) throw Raised{};
      *at = static_cast<char>(truth);
      return;
    }
    default:
      break;
  }
  with_type(dtype.num, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T>) {
      const T number = integer_from<T>(dtype, value);
      std::memcpy(at, &number, sizeof number);
    } else if constexpr (is_real<T>) {
      const double wide = float_from(value);
      const T number = is_half<T> ? T(static_cast<float>(wide)) : static_cast<T>(wide);
      std::memcpy(static_cast<void*>(at), &number, sizeof number);
    }
  });
}

}  // namespace firn::heap::buffers
