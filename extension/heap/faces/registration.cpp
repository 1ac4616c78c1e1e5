// Puts the frozen types at their constant address and registers them in each interpreter.
#include <sys/mman.h>

#include <new>

#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"
#include "heap/records/builtin_methods.hpp"
#include "heap/records/slots.hpp"
#include "heap/records/state.hpp"
#include "heap/thread_state.hpp"

namespace firn::heap {

namespace {

// FrozenList, FrozenDict, FrozenFace and FrozenCallable (hazard 7).
constexpr std::size_t slots_needed = 4;
constexpr std::size_t types_size = 4 * type_stride;
static_assert(sizeof(PyTypeObject) <= type_stride);

using Fill = void (*)(PyTypeObject*);

bool filled = false;  // written by the main interpreter's thread before any other can come

// Only the main interpreter may come first: CPython hands out the slots there.
int fill_types() {
  if (free_static_type_slots() < slots_needed) {
    PyErr_Format(
        PyExc_ImportError,
        "firn needs %zu free slots for static types of extension modules, and this Python has "
        "%zu left: another extension module took the rest; import firn in a process without it.",
        slots_needed, free_static_type_slots());
    return -1;
  }
  void* at = reinterpret_cast<void*>(types_address);
  if (mmap(at, types_size, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at) {
    PyErr_Format(
        PyExc_ImportError,
        "firn keeps its types at address %p, which something else in this process has taken.", at);
    return -1;
  }
  const struct {
    PyTypeObject* type;
    Fill fill;
  } all[] = {{frozen_list_type(), faces::fill_list_type},
             {frozen_dict_type(), faces::fill_dict_type},
             {frozen_face_type(), faces::fill_set_type},
             {frozen_callable_type(), records::fill_callable_type}};
  for (const auto& one : all) {
    new (one.type) PyTypeObject{};
    set_static_type_header(one.type);
    one.fill(one.type);
    if (one.type != frozen_callable_type()) records::remember_container_methods(one.type);
    records::add_slots(one.type);
  }
  filled = true;
  return 0;
}

}  // namespace

int init_types() {
  if (!filled) {
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
      PyErr_SetString(PyExc_ImportError,
                      "the main interpreter must import firn before a subinterpreter can.");
      return -1;
    }
    find_thread_state_offset();
    if (fill_types() < 0 || records::teach_descriptors() < 0) return -1;
  }
  const int made = faces::make_interpreter_objects();
  if (made <= 0) return made;
  if (records::make_state() < 0) return -1;
  for (PyTypeObject* type :
       {frozen_list_type(), frozen_dict_type(), frozen_face_type(), frozen_callable_type()}) {
    if (init_static_type(type) < 0 || faces::tidy_members(type) < 0) return -1;
  }
  records::State* own = records::state();
  if (!own || records::add_members(*own) < 0) return -1;
  return 0;
}

}  // namespace firn::heap
