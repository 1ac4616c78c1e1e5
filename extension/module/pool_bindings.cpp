#include "module/bindings.hpp"

namespace firn {

void bind_pool(pybind11::module_&) {}

}  // namespace firn
