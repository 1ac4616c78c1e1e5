// `seen |= frozen` and `names += frozen`, where `seen` is a plain set and `names` a plain list.
//
// set and list know no frozen values, so that CPython asks the right operand, which cannot know
// that the left one is to be changed in place. A new value would then be bound to `seen`, and
// whoever else holds the old one would silently miss the update. So the running instruction is
// looked at.
#include <opcode.h>
#include <opcode_ids.h>

#include "heap/cpython_layout.hpp"
#include "heap/faces/faces.hpp"

namespace firn::heap::faces {

bool in_augmented_assignment() {
  PyFrameObject* frame = PyEval_GetFrame();
  if (!frame) return false;
  Ref code(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
  Ref bytes(PyCode_GetCode(reinterpret_cast<PyCodeObject*>(code.get())));
  const int at = PyFrame_GetLasti(frame);
  if (!bytes || at < 0 || at + 1 >= PyBytes_GET_SIZE(bytes.get())) {
    PyErr_Clear();
    return false;
  }
  const auto* instruction =
      reinterpret_cast<const unsigned char*>(PyBytes_AS_STRING(bytes.get())) + at;
  return instruction[0] == BINARY_OP && instruction[1] >= NB_INPLACE_ADD &&
         instruction[1] <= NB_INPLACE_XOR;
}

}  // namespace firn::heap::faces
