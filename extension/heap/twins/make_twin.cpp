#include "heap/cpython_layout.hpp"

#include "heap/twins/make_twin.hpp"

namespace firn::heap {

PyObject* reduce_for_twin(PyObject* original) {
  PyErr_Format(PyExc_TypeError, "cannot freeze %T", original);
  return nullptr;
}

PyObject* make_twin(Copier&, PyObject*, PyObject*, bool) { return nullptr; }

}  // namespace firn::heap
