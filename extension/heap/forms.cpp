#include "heap/forms.hpp"

#include <algorithm>

#include "heap/records/rounds.hpp"
#include "heap/twins/anew.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap {

std::shared_ptr<Holders> Forms::holders(const std::vector<PyObject*>& values,
                                        const std::vector<PyObject*>& kept) const {
  constexpr std::size_t least = 1'000'000;
  std::ptrdiff_t elsewhere = uncounted_;
  for (PyObject* value : values) {
    PyObject* frozen = of(value);
    if (frozen && !std::ranges::binary_search(roots_, value) && takes_its_place(value, frozen))
      elsewhere -= 2;  // its variable holds it, and the list of values does
  }
  auto holders = std::make_shared<Holders>();
  for (PyObject* original : kept) holders->keep(original);
  find_holders(*memo_, types_, values, elsewhere > 0, least + 4 * objects_, *holders);
  for (const auto& [twin, original] : holders->twins()) {
    if (keep(twin, original) < 0) PyErr_Clear();  // then frozen data has an object of its own
  }
  if (holders->found().empty()) return nullptr;
  holders->resolve_forms();
  return holders;
}

int keep(PyObject* twin, PyObject* original) {
  if (remember(twin, original) < 0) return -1;
  note_kept(twin);
  return 0;
}

}  // namespace firn::heap
