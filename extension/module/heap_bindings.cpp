#include "module/bindings.hpp"

namespace firn {

void bind_heap(pybind11::module_&) {}

}  // namespace firn
