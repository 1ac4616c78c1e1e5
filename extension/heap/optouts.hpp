// Single objects that firn.set_freezable() was told about. What it says of classes stands in the
// classes themselves (`__firn_freezable__`); an object's own word beats that of its class.
#pragma once

#include <Python.h>

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace firn::heap {

// Of one interpreter, changed with its GIL. The threads of a freeze read it while the interpreter
// that freezes stands still.
class OptOuts {
 public:
  // Whether the object may be frozen; nothing when nobody said so.
  std::optional<bool> says(const void* object) const {
    const auto found = marks_.find(object);
    if (found == marks_.end()) return std::nullopt;
    return found->second;
  }
  void mark(const void* object, std::optional<bool> freezable);

  // Objects of a worker that stand for the notebook's own: a result that holds one is pickled, so
  // that it comes back as that very object.
  void lend(const std::vector<std::uintptr_t>& objects) {
    lent_ = {objects.begin(), objects.end()};
  }
  bool is_lent(const void* object) const {
    return lent_.contains(reinterpret_cast<std::uintptr_t>(object));
  }
  bool empty() const { return marks_.empty() && lent_.empty(); }

 private:
  std::unordered_set<std::uintptr_t> lent_;
  std::unordered_map<const void*, bool> marks_;  // whoever marks sees to it that objects live on
};

// The calling interpreter's; nullptr, without an exception, when it has marked nothing.
const OptOuts* opt_outs();

// Marks an object, or forgets it. -1 with an exception set when there is no memory.
int mark_freezable(const void* object, std::optional<bool> freezable);

// Says which objects of the calling interpreter stand for the notebook's, instead of those before.
// -1 with an exception set when there is no memory.
int lend(const std::vector<std::uintptr_t>& objects);

// Makes a class of a class statement refuse assignments to its attributes, or takes them again.
void seal_class(PyTypeObject* type, bool sealed);

}  // namespace firn::heap
