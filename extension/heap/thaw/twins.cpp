#include "heap/thaw/thawer.hpp"

#include "heap/twins/twins.hpp"

namespace firn::heap::thawing {

// A copy of the interpreter's own object, as copy.deepcopy() makes it: a Decimal is itself.
PyObject* Thawer::make_twin(PyObject* object) {
  PyObject* own = check(resolve(object));
  if (reinterpret_cast<FrozenFace*>(object)->kind == FaceKind::definition) return own;
  if (!deep_copies_) deep_copies_ = PyDict_New();
  PyObject* deepcopy = deep_copies_ ? PyImport_ImportModuleAttrString("copy", "deepcopy") : nullptr;
  PyObject* made =
      deepcopy ? PyObject_CallFunctionObjArgs(deepcopy, own, deep_copies_, nullptr) : nullptr;
  Py_XDECREF(deepcopy);
  Py_DECREF(own);
  return check(made);
}

}  // namespace firn::heap::thawing
