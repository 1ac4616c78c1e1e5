#include "heap/advice.hpp"

#include <cstring>

namespace firn::heap {
namespace {

struct Advice {
  const char* type;  // as tp_name begins
  const char* text;
};

constexpr Advice advices[] = {
    {"generator", "A generator is used up as it is read: list(...) keeps what it gives."},
    {"async_generator", "It is used up as it is read: keep what it gives in a list."},
    {"coroutine", "Await it, and freeze its result."},
    {"module", "Import the module where it is used; a function that does so can be frozen."},
    {"_io.", "An open file belongs to its process: freeze what was read from it, or its path."},
    {"tempfile.",
     "An open file belongs to its process: freeze what was read from it, or its path."},
    {"_thread.", "What is frozen never changes and needs no lock: leave it out of the data."},
    {"threading.", "What is frozen never changes and needs no lock: leave it out of the data."},
    {"weakref", "Frozen data lives for ever: hold the object itself instead of a weak reference."},
    {"socket", "Leave the connection out of the data, and open one where it is used."},
    {"_socket", "Leave the connection out of the data, and open one where it is used."},
    {"ssl.", "Leave the connection out of the data, and open one where it is used."},
    {"sqlite3.", "Leave the connection out of the data, and open one where it is used."},
};

}  // namespace

const char* advice_for(PyObject* unfreezable) {
  const PyTypeObject* type = Py_TYPE(unfreezable);
  for (const Advice& advice : advices) {
    if (std::strncmp(type->tp_name, advice.type, std::strlen(advice.type)) == 0) return advice.text;
  }
  if (PyIter_Check(unfreezable))
    return "An iterator is used up as it is read: list(...) keeps what it gives.";
  return "Leave it out of the data, or freeze what it is made from; if the class is yours, "
         "__getstate__ "
         "can leave out what does not pickle.";
}

}  // namespace firn::heap
