// What is made at once: numbers, text, dates.
#include "heap/thaw/thawer.hpp"

#include <cstring>

namespace firn::heap::thawing {

PyObject* Thawer::make_string(PyObject* object) {
  const auto* source = reinterpret_cast<PyASCIIObject*>(object);
  const unsigned kind = source->state.kind;
  const Py_UCS4 widest = source->state.ascii ? 0x7f
                         : kind == 1         ? 0xff
                         : kind == 2         ? 0xffff
                                             : 0x10ffff;
  PyObject* made = check(PyUnicode_New(source->length, widest));
  std::memcpy(PyUnicode_DATA(made), PyUnicode_DATA(object),
              static_cast<std::size_t>(source->length) * kind);
  reinterpret_cast<PyASCIIObject*>(made)->hash = source->hash;
  return made;
}

PyObject* Thawer::make_rare(PyObject* object, PyTypeObject* type) {
  if (type == &PyComplex_Type)
    return check(PyComplex_FromCComplex(reinterpret_cast<PyComplexObject*>(object)->cval));
  if (type == &PySlice_Type) {
    PyObject* made = check(PySlice_New(nullptr, nullptr, nullptr));
    return push_slots(made, &reinterpret_cast<PySliceObject*>(object)->start,
                      &reinterpret_cast<PySliceObject*>(made)->start, 3);
  }
  if (type == &PyRange_Type) {
    const auto* range = reinterpret_cast<RangeLayout*>(object);
    PyObject* start = check(convert(range->start));
    PyObject* stop = convert(range->stop);
    PyObject* step = convert(range->step);
    PyObject* arguments[] = {start, stop, step};
    PyObject* made =
        PyObject_Vectorcall(reinterpret_cast<PyObject*>(&PyRange_Type), arguments, 3, nullptr);
    for (PyObject* argument : arguments) Py_DECREF(argument);
    return check(made);
  }
  if (type == builtin_frozendict_type()) {
    return push({object, check(new_builtin_frozendict()), Fill::dict});
  }
  return make_date_or_time(object, type);
}

PyObject* Thawer::make_date_or_time(PyObject* object, PyTypeObject* type) {
  if (type == datetime_types.timezone) {
    PyObject* made = check(type->tp_alloc(type, 0));
    auto* from = reinterpret_cast<TimezoneLayout*>(object);
    auto* to = reinterpret_cast<TimezoneLayout*>(made);
    to->offset = to->name = nullptr;
    return push_slots(made, &from->offset, &to->offset, 2);
  }
  const bool zoned = (type == datetime_types.time || type == datetime_types.datetime) &&
                     reinterpret_cast<_PyDateTime_BaseTZInfo*>(object)->hastzinfo;
  PyObject* made = check(type->tp_alloc(type, zoned));
  const std::size_t size = datetime_types.size_of(type, zoned);
  std::memcpy(reinterpret_cast<char*>(made) + sizeof(PyObject),
              reinterpret_cast<const char*>(object) + sizeof(PyObject), size - sizeof(PyObject));
  if (!zoned) return made;
  const bool is_time = type == datetime_types.time;
  PyObject** from = is_time ? &reinterpret_cast<PyDateTime_Time*>(object)->tzinfo
                            : &reinterpret_cast<PyDateTime_DateTime*>(object)->tzinfo;
  PyObject** to = is_time ? &reinterpret_cast<PyDateTime_Time*>(made)->tzinfo
                          : &reinterpret_cast<PyDateTime_DateTime*>(made)->tzinfo;
  *to = nullptr;
  return push_slots(made, from, to, 1);
}

}  // namespace firn::heap::thawing
