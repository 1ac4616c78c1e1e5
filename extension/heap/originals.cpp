#include "heap/originals.hpp"

#include <algorithm>

namespace firn::heap {
namespace {

// Those of the main interpreter, changed with its GIL.
std::vector<Originals*>& registered() {
  static std::vector<Originals*> all;
  return all;
}

bool is_main() { return PyInterpreterState_Get() == PyInterpreterState_Main(); }

}  // namespace

Originals::Originals(Pairs pairs) : pairs_(std::move(pairs)) {
  registered().push_back(this);
  for (const auto& [copy, original] : pairs_) Py_INCREF(original);
}

Originals::~Originals() {
  std::erase(registered(), this);
  for (const auto& [copy, original] : pairs_) Py_DECREF(original);
}

PyObject* Originals::of(PyObject* copy) {
  if (!sorted_) std::ranges::sort(pairs_);
  sorted_ = true;
  const auto at = std::ranges::lower_bound(pairs_, copy, {}, &Pairs::value_type::first);
  return at != pairs_.end() && at->first == copy ? at->second : nullptr;
}

bool has_originals() { return is_main() && !registered().empty(); }

PyObject* original_of(PyObject* copy) {
  if (!is_main()) return nullptr;
  for (Originals* originals : registered()) {
    if (PyObject* original = originals->of(copy)) return original;
  }
  return nullptr;
}

}  // namespace firn::heap
